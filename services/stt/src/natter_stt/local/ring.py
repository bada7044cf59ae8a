"""The last 30 s of one session's microphone, by sample number, with the level of each 20 ms. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from natter_stt.provider import SAMPLE_RATE_HZ

CAPACITY_SAMPLES: Final = 30 * SAMPLE_RATE_HZ
BLOCK_SAMPLES: Final = 320  # 20 ms, on a grid of the session's samples
SILENT_DBFS: Final = -120.0

Levels = npt.NDArray[np.float32]
_BLOCKS: Final = CAPACITY_SAMPLES // BLOCK_SAMPLES
_FULL_SCALE_SQUARED: Final = 32_768.0**2


class AudioRing:
    """Samples in, samples and levels out. What never came is silence."""

    def __init__(self, from_sample: int) -> None:
        self._samples: npt.NDArray[np.int16] = np.zeros(CAPACITY_SAMPLES, np.int16)
        self._levels: Levels = np.full(_BLOCKS, SILENT_DBFS, np.float32)
        self._begin = from_sample
        self._next = from_sample

    @property
    def next_sample(self) -> int:
        """The sample that is expected next."""
        return self._next

    @property
    def oldest_sample(self) -> int:
        """The first sample that is still there."""
        return max(self._begin, self._next - CAPACITY_SAMPLES)

    @property
    def next_block(self) -> int:
        """The number of the first block that is not whole yet; block n holds the samples from n * 320."""
        return self._next // BLOCK_SAMPLES

    def append(self, first_sample: int, pcm: bytes) -> None:
        """Take samples. Those known already are ignored; missing ones before them are silence."""
        samples = np.frombuffer(pcm, "<i2")
        known = self._next - first_sample
        if not len(samples) or known >= len(samples):
            return
        if known < 0:
            self._skip(-known)
        elif known:
            samples = samples[known:]
        self._write(samples[-CAPACITY_SAMPLES:])

    def _skip(self, count: int) -> None:
        if count >= CAPACITY_SAMPLES:
            self._samples[:] = 0
            self._levels[:] = SILENT_DBFS
            self._next += count
            self._begin = self._next
        else:
            self._write(np.zeros(count, np.int16))

    def _write(self, samples: npt.NDArray[np.int16]) -> None:
        at = self._next % CAPACITY_SAMPLES
        head = min(len(samples), CAPACITY_SAMPLES - at)
        self._samples[at : at + head] = samples[:head]
        self._samples[: len(samples) - head] = samples[head:]
        first_block = self.next_block
        self._next += len(samples)
        for block in range(first_block, self.next_block):
            start = block * BLOCK_SAMPLES % CAPACITY_SAMPLES
            piece = self._samples[start : start + BLOCK_SAMPLES].astype(np.float32)
            power = float(np.dot(piece, piece)) / BLOCK_SAMPLES / _FULL_SCALE_SQUARED
            self._levels[block % _BLOCKS] = 10 * np.log10(power) if power > 0 else SILENT_DBFS

    def read(self, from_sample: int, to_sample: int) -> bytes:
        """Samples [from, to) as s16le; those that are gone or not there yet are left out."""
        start = max(from_sample, self.oldest_sample)
        end = min(to_sample, self._next)
        if end <= start:
            return b""
        at, until = start % CAPACITY_SAMPLES, (end - 1) % CAPACITY_SAMPLES + 1
        if at < until:
            return self._samples[at:until].tobytes()
        return self._samples[at:].tobytes() + self._samples[:until].tobytes()

    def levels(self, from_block: int, to_block: int) -> Levels:
        """The levels in dBFS of blocks [from, to), as far as they are there and whole; see `clamp_block`."""
        start, end = self.clamp_block(from_block), self.clamp_block(to_block)
        return self._levels[np.arange(start, end) % _BLOCKS]

    def clamp_block(self, block: int) -> int:
        """The nearest block whose level is known."""
        oldest = -(-self.oldest_sample // BLOCK_SAMPLES)
        return min(max(block, oldest), max(self.next_block, oldest))
