"""Cuts a session's microphone frames into the windows that the model takes. Pure: no clock, no I/O.

Windows lie on multiples of 512 samples of the session's own numbering, wherever the stream is joined, so two workers
that hear the same samples judge the same windows. Samples that never came are quiet: they count as zeros where a
window is partly known, and are reported as a stretch of quiet where it is not known at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from natter_vad.silero import WINDOW_SAMPLES, Floats

BYTES_PER_SAMPLE = 2
_FULL_SCALE = np.float32(1 / 32_768)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """512 samples of one session, to be judged by the model."""

    first_sample: int
    samples: Floats  # (512,), -1..1
    fresh: bool  # nothing that came before is joined to it: the model starts from rest


@dataclass(frozen=True, slots=True)
class Quiet:
    """A stretch known to hold no speech: the microphone was muted, or nothing came. Ends on a window's border."""

    from_sample: int
    to_sample: int


Piece = Window | Quiet


class Windower:
    """Turns frames (sample number and PCM) into windows and stretches of quiet, in order and without overlap."""

    def __init__(self) -> None:
        self._buffer: Floats = np.zeros(WINDOW_SAMPLES, np.float32)
        self._heard = False  # the window being filled holds samples that came from the microphone
        self._fresh = True
        self._next: int | None = None

    @property
    def next_sample(self) -> int | None:
        """The sample that is expected next; None before the first frame."""
        return self._next

    def push(self, first_sample: int, pcm: bytes | memoryview, *, muted: bool = False) -> list[Piece]:
        """Take one frame. What is older than the last frame is ignored, what is missing before it is quiet.

        Args:
            first_sample: the session's number of the frame's first sample, 16 kHz.
            pcm: s16le mono of any length.
            muted: the microphone is off: the samples are quiet whatever they are.

        Raises:
            ValueError: an odd number of bytes, or a negative sample number.
        """
        if len(pcm) % BYTES_PER_SAMPLE:
            raise ValueError(f"{len(pcm)} bytes are no whole number of samples")
        if first_sample < 0:
            raise ValueError(f"sample {first_sample} is before the session began")
        count = len(pcm) // BYTES_PER_SAMPLE
        pieces: list[Piece] = []
        if not count:
            return pieces
        if self._next is None:
            self._next = first_sample - first_sample % WINDOW_SAMPLES
            self._skip_to(first_sample, pieces)
        skip = self._next - first_sample
        if skip >= count:
            return pieces
        if skip < 0:
            self._skip_to(first_sample, pieces)
            skip = 0
        if muted:
            self._skip_to(first_sample + count, pieces)
        else:
            samples = np.frombuffer(pcm, "<i2")[skip:].astype(np.float32)
            samples *= _FULL_SCALE
            self._fill(samples, pieces)
        return pieces

    def _fill(self, samples: Floats, pieces: list[Piece]) -> None:
        assert self._next is not None  # noqa: S101 - for the type checker: push sets it
        taken = 0
        while taken < len(samples):
            at = self._next % WINDOW_SAMPLES
            count = min(WINDOW_SAMPLES - at, len(samples) - taken)
            self._buffer[at : at + count] = samples[taken : taken + count]
            self._heard = True
            taken += count
            self._next += count
            if at + count == WINDOW_SAMPLES:
                self._close(pieces)

    def _skip_to(self, sample: int, pieces: list[Piece]) -> None:
        """Let everything before `sample` be quiet, and the model start anew behind it."""
        assert self._next is not None  # noqa: S101 - for the type checker: push sets it
        if sample <= self._next:
            return
        if self._heard:
            border = self._next - self._next % WINDOW_SAMPLES + WINDOW_SAMPLES
            if border > sample:  # the hole lies within one window: its zeros are all that is left of it
                self._next = sample
                return
            self._next = border
            self._close(pieces)
        start = self._next - self._next % WINDOW_SAMPLES
        end = sample - sample % WINDOW_SAMPLES
        if end > start:
            if pieces and isinstance(last := pieces[-1], Quiet):
                pieces[-1] = Quiet(last.from_sample, end)
            else:
                pieces.append(Quiet(start, end))
        self._next = sample
        self._fresh = True

    def _close(self, pieces: list[Piece]) -> None:
        assert self._next is not None  # noqa: S101 - for the type checker: push sets it
        pieces.append(Window(self._next - WINDOW_SAMPLES, self._buffer, self._fresh))
        self._buffer = np.zeros(WINDOW_SAMPLES, np.float32)
        self._heard = False
        self._fresh = False
