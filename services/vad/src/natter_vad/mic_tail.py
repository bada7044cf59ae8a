"""The last seconds of a session's microphone. Pure."""

from __future__ import annotations

from typing import Final

from natter_vad.log_mel import INPUT_SAMPLES

_BYTES_PER_SAMPLE: Final = 2


class MicTail:
    """A ring of the last 8 s (256 KB a session), by sample number. What never came, or was muted, is zeros."""

    def __init__(self) -> None:
        self._ring = bytearray(INPUT_SAMPLES * _BYTES_PER_SAMPLE)
        self._end: int | None = None

    def push(self, first_sample: int, pcm: bytes | memoryview) -> None:
        """Take the next samples (s16le, an even number of bytes); they begin at or after the end of those before."""
        if self._end is not None and first_sample > self._end:
            self._write(max(self._end, first_sample - INPUT_SAMPLES), bytes(self._gap_bytes(first_sample)))
        known = max(0, len(pcm) - len(self._ring))
        self._write(first_sample + known // _BYTES_PER_SAMPLE, pcm[known:])
        self._end = first_sample + len(pcm) // _BYTES_PER_SAMPLE

    def read(self, from_sample: int, to_sample: int) -> bytes:
        """The samples [from, to), as far as they are still there: at most the last 8 s."""
        end = 0 if self._end is None else self._end
        to_sample = min(to_sample, end)
        from_sample = max(from_sample, end - INPUT_SAMPLES, 0)
        if from_sample >= to_sample:
            return b""
        size = len(self._ring)
        start, length = from_sample * _BYTES_PER_SAMPLE % size, (to_sample - from_sample) * _BYTES_PER_SAMPLE
        if start + length <= size:
            return bytes(self._ring[start : start + length])
        return bytes(self._ring[start:]) + bytes(self._ring[: start + length - size])

    def _gap_bytes(self, first_sample: int) -> int:
        end = first_sample if self._end is None else self._end
        return min(first_sample - end, INPUT_SAMPLES) * _BYTES_PER_SAMPLE

    def _write(self, first_sample: int, pcm: bytes | memoryview) -> None:
        size = len(self._ring)
        start = first_sample * _BYTES_PER_SAMPLE % size
        fits = min(len(pcm), size - start)
        self._ring[start : start + fits] = pcm[:fits]
        self._ring[: len(pcm) - fits] = pcm[fits:]
