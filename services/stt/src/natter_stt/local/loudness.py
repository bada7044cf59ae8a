"""Which 20 ms blocks of an open utterance hold sound, by level alone. Pure.

This decides nothing about turns (vad does): it finds the dips at which recognition may start early, the quietest place
for a border, and where in the audio the words lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from natter_stt.local.ring import BLOCK_SAMPLES, AudioRing

NOTHING_DBFS: Final = -55.0  # below it there is nothing to be recognized, however quiet the rest
UNDER_PEAK_DB: Final = 35.0
OVER_FLOOR_DB: Final = 8.0
FLOOR_AT_MOST_UNDER_PEAK_DB: Final = 15.0
FLOOR_BLOCKS: Final = 500  # 10 s: words leave gaps enough in it to hear the room
_FLOOR_PERCENTILE: Final = 10
_BORDER_BLOCKS: Final = 5  # a border lies in the middle of the quietest 100 ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """The loud blocks of a stretch of audio."""

    first_block: int
    loud: npt.NDArray[np.bool_]

    @property
    def loud_blocks(self) -> int:
        """How many blocks are loud."""
        return int(self.loud.sum())

    @property
    def end_sample(self) -> int:
        """The sample after the last loud block, or the stretch's first sample."""
        found = np.flatnonzero(self.loud)
        return (self.first_block + (int(found[-1]) + 1 if len(found) else 0)) * BLOCK_SAMPLES

    @property
    def quiet_at_end(self) -> int:
        """How many blocks at the end are quiet."""
        found = np.flatnonzero(self.loud)
        return len(self.loud) - (int(found[-1]) + 1 if len(found) else 0)


NOTHING: Final = Stretch(0, np.zeros(0, np.bool_))


def loud_between(ring: AudioRing, from_sample: int, to_sample: int) -> Stretch:
    """Judge the blocks that lie in [from, to), against the loudest of them and the room before and in them."""
    first = ring.clamp_block(from_sample // BLOCK_SAMPLES)
    last = ring.clamp_block(-(-to_sample // BLOCK_SAMPLES))
    levels = ring.levels(first, last)
    if not len(levels):
        return Stretch(first, np.zeros(0, np.bool_))
    peak = float(levels.max())
    floor = float(np.percentile(ring.levels(min(first, last - FLOOR_BLOCKS), last), _FLOOR_PERCENTILE))
    threshold = max(NOTHING_DBFS, peak - UNDER_PEAK_DB, min(floor + OVER_FLOOR_DB, peak - FLOOR_AT_MOST_UNDER_PEAK_DB))
    return Stretch(first, levels > threshold)


def quietest_sample(ring: AudioRing, from_sample: int, to_sample: int) -> int:
    """The middle of the quietest 100 ms in [from, to): where a border hurts least. The latest, if several are."""
    first = ring.clamp_block(from_sample // BLOCK_SAMPLES)
    levels = ring.levels(first, to_sample // BLOCK_SAMPLES)
    if len(levels) < _BORDER_BLOCKS:
        return to_sample
    means = np.convolve(np.maximum(levels, NOTHING_DBFS), np.ones(_BORDER_BLOCKS) / _BORDER_BLOCKS, "valid")
    at = len(means) - 1 - int(np.argmin(np.round(means[::-1], 3)))
    return (first + at) * BLOCK_SAMPLES + _BORDER_BLOCKS * BLOCK_SAMPLES // 2
