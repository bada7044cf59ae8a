"""Where a voice was last heard, by loudness. Pure: no clock, no I/O.

The model for speech goes on saying "speech" for some 60 ms (20–90) after a voice has ended. Loudness knows the end to
10 ms, but can't tell a voice from a noise; so the model says what speech is, and loudness only where its end lies.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

BLOCK_SAMPLES: Final = 160  # 10 ms

# A voice is heard down to this much under its loudest: the softest ends of words ("-f", "-th") lie 25 to 35 dB down.
_RANGE_DB: Final = 35.0
# Where the room is less than this under the voice, loudness says nothing: everything counts as heard.
_LEAST_RANGE_DB: Final = 20.0
_ABOVE_FLOOR_DB: Final = 6.0
# How fast the loudest and the softest are forgotten, a block. A slammed door is forgotten within 2 s.
_PEAK_FALLS_DB: Final = 0.1
_FLOOR_RISES_DB: Final = 0.03


class Loudness:
    """One session's loudness in blocks of 10 ms, against the loudest and the softest of the last seconds."""

    def __init__(self) -> None:
        self._peak_db = -math.inf
        self._floor_db = math.inf
        self._audible_end = 0

    @property
    def audible_end_sample(self) -> int:
        """The sample after the last block in which there was more to hear than the room."""
        return self._audible_end

    def push(self, first_sample: int, pcm: bytes | memoryview) -> None:
        """Take the next samples: s16le mono at 16 kHz, an even number of bytes."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        whole = len(samples) - len(samples) % BLOCK_SAMPLES
        blocks = samples[:whole].reshape(-1, BLOCK_SAMPLES)
        powers: list[float] = (np.einsum("ij,ij->i", blocks, blocks) / BLOCK_SAMPLES).tolist()
        if whole < len(samples):
            powers.append(float(np.mean(samples[whole:] ** 2)))
        for index, power in enumerate(powers):
            end = first_sample + min((index + 1) * BLOCK_SAMPLES, len(samples))
            if self._is_audible(power):
                self._audible_end = max(self._audible_end, end)

    def _is_audible(self, power: float) -> bool:
        self._peak_db -= _PEAK_FALLS_DB
        if power == 0:  # a gate, or a hole: nobody's room
            return False
        level_db = 10 * math.log10(power)
        self._peak_db = max(level_db, self._peak_db)
        self._floor_db = min(level_db, self._floor_db + _FLOOR_RISES_DB)
        least_db = max(self._peak_db - _RANGE_DB, self._floor_db + _ABOVE_FLOOR_DB)
        return least_db > self._peak_db - _LEAST_RANGE_DB or level_db > least_db
