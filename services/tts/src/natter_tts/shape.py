"""Gives voice audio the shape that Natter wants, whatever the provider: tight start, measured pause, chunks. Pure.

Audio inside is float32, -1 to 1, 24 kHz mono; it leaves as s16le.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from natter_tts.provider import RATE_HZ

Samples = npt.NDArray[np.float32]

# Sound is what is louder than this in a window of 5 ms (RMS). Speech is heard from about -45 dBFS on.
SOUND_DBFS: Final = -48.0
WINDOW_SAMPLES: Final = RATE_HZ * 5 // 1000
# Kept before the first sound, faded in, so that no consonant is cut.
LEAD_SAMPLES: Final = RATE_HZ * 15 // 1000
FADE_SAMPLES: Final = WINDOW_SAMPLES
FRAME_SAMPLES: Final = RATE_HZ * 20 // 1000
CHUNK_SAMPLES: Final = RATE_HZ * 200 // 1000

_PAUSES_MS: Final = {",": 120, ";": 120, ":": 120, "—": 120, "–": 120, ".": 250, "!": 250, "?": 250, "…": 250}
_PAUSES_MS_WIDE: Final = {"。": 250, "！": 250, "？": 250, "，": 120, "、": 120}
# A phrase whose clause goes on in the next segment: the voice is not to stop there. Frames add up to 20 ms.
_NO_PUNCTUATION_MS: Final = 20
# A line that ends without punctuation: an item of a list.
_LINE_MS: Final = 250
# Above it the limiter bends; everything below passes unchanged.
_KNEE: Final = 0.8


def pause_samples(spoken: str, text: str = "") -> int:
    """The pause behind ``spoken``, by its last punctuation mark; by the end of its line as shown, where it has none."""
    last = spoken.rstrip(" \t\r\n\"'”’»)]*_")[-1:]
    ends_line = "\n" in text[len(text.rstrip()) :]
    return RATE_HZ * (_PAUSES_MS | _PAUSES_MS_WIDE).get(last, _LINE_MS if ends_line else _NO_PUNCTUATION_MS) // 1000


def sound_span(audio: Samples) -> tuple[int, int] | None:
    """First and last sample (exclusive) that belong to sound, to a window of 5 ms; None for silence."""
    windows = len(audio) // WINDOW_SAMPLES
    if windows == 0:
        return None
    power = np.square(audio[: windows * WINDOW_SAMPLES]).reshape(windows, WINDOW_SAMPLES).mean(axis=1)
    loud = np.flatnonzero(power > 10.0 ** (SOUND_DBFS / 10.0))
    if loud.size == 0:
        return None
    return int(loud[0]) * WINDOW_SAMPLES, (int(loud[-1]) + 1) * WINDOW_SAMPLES


def trim(audio: Samples, pause: int) -> tuple[Samples, int]:
    """Cut ``audio`` to its sound, a lead of 15 ms before and ``pause`` samples behind it.

    Returns the new audio and how many samples were cut at its start. Silence gives nothing.
    """
    span = sound_span(audio)
    if span is None:
        return np.zeros(0, np.float32), 0
    start = max(0, span[0] - LEAD_SAMPLES)
    stop = span[1] + pause
    cut = np.zeros(stop - start, np.float32)
    kept = audio[start:stop]
    cut[: len(kept)] = kept
    fade = min(FADE_SAMPLES, len(kept))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    if start > 0:
        cut[:fade] *= ramp
    # What the voice breathes out after the last sound may be cut off in the middle.
    cut[len(kept) - fade : len(kept)] *= ramp[::-1]
    return cut, start


def to_s16(audio: Samples, gain: float = 1.0) -> bytes:
    """Amplify, bend peaks over 0.8 softly under 1.0, and convert to s16le."""
    louder = audio * np.float32(gain)
    over = np.abs(louder) > _KNEE
    if over.any():
        room = 1.0 - _KNEE
        bent = np.sign(louder) * (_KNEE + room * np.tanh((np.abs(louder) - _KNEE) / room))
        louder = np.where(over, bent, louder)
    return np.rint(louder * 32767.0).astype("<i2").tobytes()


class Chunker:
    """Cuts a segment's s16le audio into chunks: 20 ms first, then up to 200 ms, all of whole 20 ms frames."""

    def __init__(self) -> None:
        self._held = b""
        self._sent = 0

    @property
    def sent_samples(self) -> int:
        """How many samples were given out."""
        return self._sent

    def feed(self, pcm: bytes) -> list[tuple[int, bytes]]:
        """Take audio; return chunks that are complete, each with its first sample. All whole frames leave at once."""
        self._held += pcm
        chunks: list[tuple[int, bytes]] = []
        while len(self._held) >= 2 * FRAME_SAMPLES:
            samples = FRAME_SAMPLES if self._sent == 0 else min(CHUNK_SAMPLES, len(self._held) // 2)
            samples -= samples % FRAME_SAMPLES
            chunks.append((self._sent, self._held[: 2 * samples]))
            self._held = self._held[2 * samples :]
            self._sent += samples
        return chunks

    def finish(self) -> list[tuple[int, bytes]]:
        """The rest, filled up with silence to a whole frame."""
        if not self._held:
            return []
        return self.feed(bytes(2 * FRAME_SAMPLES - len(self._held)))
