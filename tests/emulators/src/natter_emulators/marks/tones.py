"""The tone pairs that mark words: which they are, and how they sound.

A mark is one tone of the low group and one of the high group for as long as the word lasts. All lie above a voice that
is low-passed at 2 kHz and below what a wide-band codec keeps. Their spacing is where a Hann window of 32 ms has its
first zero, so that tones do not leak into each other, and every one of them is a whole bin at any rate.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from natter_emulators.marks.lexicon import LEXICON

Floats = npt.NDArray[np.float32]

WINDOW_MS: Final = 32
BIN_HZ: Final = 1000 / WINDOW_MS
SPACING_BINS: Final = 2  # 62.5 Hz

LOW_TONES: Final = 24
HIGH_TONES: Final = 36
LOW_FIRST_BIN: Final = 72  # 2,250 Hz
HIGH_FIRST_BIN: Final = LOW_FIRST_BIN + SPACING_BINS * (LOW_TONES + 2)  # two tones' room between the groups

MARKS: Final = LOW_TONES * HIGH_TONES
assert len(LEXICON) <= MARKS

TONE_AMPLITUDE: Final = 0.035
"""Of each of the two tones, of full scale: 29 dB below it, about 10 dB below the voice."""
RAMP_MS: Final = 5
"""Tones fade in and out over this, or they would click."""


def tone_pair_hz(place: int) -> tuple[float, float]:
    """The two frequencies of the word at this place of the lexicon."""
    if not 0 <= place < MARKS:
        raise ValueError(f"there are {MARKS} marks, so none for place {place}")
    low, high = place % LOW_TONES, place // LOW_TONES
    return (LOW_FIRST_BIN + SPACING_BINS * low) * BIN_HZ, (HIGH_FIRST_BIN + SPACING_BINS * high) * BIN_HZ


def place_of_pair(low: int, high: int) -> int:
    """The place in the lexicon of the word marked by these numbers of a low and a high tone."""
    return high * LOW_TONES + low


def mark(place: int, samples: int, rate_hz: int) -> Floats:
    """The mark of one word, -1..1."""
    at = np.arange(samples, dtype=np.float32) / np.float32(rate_hz)
    tones = np.zeros(samples, dtype=np.float32)
    for hz in tone_pair_hz(place):
        tones += np.sin(np.float32(2 * np.pi * hz) * at)
    return tones * np.float32(TONE_AMPLITUDE) * ramps(samples, rate_hz)


def ramps(samples: int, rate_hz: int) -> Floats:
    """One, but for a linear ramp at both ends."""
    ramp = max(1, min(rate_hz * RAMP_MS // 1000, samples // 2))
    shape = np.ones(samples, dtype=np.float32)
    up = np.arange(ramp, dtype=np.float32) / np.float32(ramp)
    shape[:ramp] = up[:samples]
    shape[samples - ramp :] = up[::-1][:samples]
    return shape


def to_pcm(sound: Floats) -> npt.NDArray[np.int16]:
    """-1..1 to 16 bits, clipped."""
    return np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)
