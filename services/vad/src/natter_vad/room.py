"""What a room sounds like while nobody speaks, by bands of pitch. Pure: no clock, no I/O.

A voice that sinks into noise is heard longest where the noise is weakest: an "s" in a hum, a vowel in a hiss. So blocks
of 10 ms are compared with the room band by band. How far a block has to stand out depends on how much the room itself
varies: a fan by a decibel or two, people who talk in the background by five.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

RATE_HZ: Final = 16_000
BLOCK_SAMPLES: Final = 160  # 10 ms

# A hum of the mains lies below all of them.
_BANDS_HZ: Final = ((200, 700), (700, 1_500), (1_500, 3_000), (3_000, 7_000))
# A room is known after 300 ms, and half forgotten after as much.
_KNOWN_BLOCKS: Final = 30
_NEW: Final = 0.02
# What stands out is this many times the usual deviation over the room, but never less or more than so many dB.
_DEVIATIONS: Final = np.float32(3.0)
_LEAST_DB: Final = np.float32(4.0)
_MOST_DB: Final = np.float32(15.0)
_FIRST_DEVIATION_DB: Final = 2.0
# Of values that are spread evenly around a mean, the mean distance from it is a standard deviation less a fifth.
_DISTANCE_TO_DEVIATION: Final = np.float32(1.25)

Levels = npt.NDArray[np.float32]


def _bands() -> Levels:
    pitches = np.fft.rfftfreq(BLOCK_SAMPLES, 1 / RATE_HZ)
    return np.stack([(pitches >= low) & (pitches < high) for low, high in _BANDS_HZ], axis=1).astype(np.float32)


_BAND_OF_PITCH: Final = _bands()
_FADE_IN_AND_OUT: Final = np.hanning(BLOCK_SAMPLES + 2)[1:-1].astype(np.float32)


def levels_db(blocks: Levels) -> Levels:
    """Levels of blocks of 160 samples, (blocks, 160) to (blocks, 5): the whole, then each band, in dB of any reference.

    The whole is the mean square of the samples as they are, -30 where all are 0.
    """
    pitches = np.fft.rfft(blocks * _FADE_IN_AND_OUT, axis=1)
    powers = np.empty((len(blocks), 1 + len(_BANDS_HZ)), np.float32)
    powers[:, 0] = np.einsum("ij,ij->i", blocks, blocks) / BLOCK_SAMPLES
    powers[:, 1:] = (pitches.real**2 + pitches.imag**2) @ _BAND_OF_PITCH
    return np.float32(10) * np.log10(powers + np.float32(1e-3))


class Room:
    """The usual level and deviation of each band. Learns from blocks without speech."""

    def __init__(self) -> None:
        self._mean: Levels = np.zeros(1 + len(_BANDS_HZ), np.float32)
        self._deviation: Levels = np.full(1 + len(_BANDS_HZ), _FIRST_DEVIATION_DB, np.float32)
        self._bar: Levels = self._mean
        self._blocks = 0

    @property
    def known(self) -> bool:
        """Whether enough was heard of it."""
        return self._blocks >= _KNOWN_BLOCKS

    @property
    def bar_db(self) -> float:
        """The level, of all bands together, from which a block stands out."""
        return float(self._bar[0])

    def learn(self, levels: Levels) -> None:
        """Take in the levels of some blocks, (blocks, 5), at least one: nobody spoke."""
        first = not self._blocks
        self._blocks += len(levels)
        share = np.float32(max(len(levels) / self._blocks, min(len(levels) * _NEW, 0.5)))
        away = levels - self._mean
        self._mean = self._mean + share * away.mean(axis=0)
        if not first:
            self._deviation += share * (np.abs(away).mean(axis=0) * _DISTANCE_TO_DEVIATION - self._deviation)
        margin = np.minimum(np.maximum(_DEVIATIONS * self._deviation, _LEAST_DB), _MOST_DB)
        self._bar = self._mean + margin

    def stands_out(self, levels: Levels) -> bool:
        """Whether there is more in a block, in any band, than the room."""
        return bool((levels > self._bar).any())
