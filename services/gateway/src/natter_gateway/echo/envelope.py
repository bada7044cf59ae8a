"""Levels of what was played and heard on one grid of 20 ms slots: what came when."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from natter_gateway.echo.level import SILENCE_DBFS

SLOT_MS: Final = 20
LAGS: Final = 46
"""An echo comes fewer slots than this after its frame was handed to RTP: half a second of round trip, the caller's
jitter buffer, loudspeaker and microphone."""

Levels = NDArray[np.float32]

_RING: Final = 128
_MIC_SAMPLES_PER_MS: Final = 16
_CREEP_MS: Final = 2e-4
"""So much may the offset between the caller's clock and ours grow in a millisecond: clocks differ by less than that."""
_SLACK_SLOTS: Final = 2
"""A frame that is handed out this much early or late follows the one before: the caller plays them without a gap."""


class PlayoutEnvelope:
    """Levels of the bot's voice as it was handed out, for the last seconds; slots without voice are silence."""

    def __init__(self) -> None:
        # Each level is there twice, a round apart: any `LAGS` slots in a row are one piece of it.
        self._rounds: Final[Levels] = np.full(2 * _RING, SILENCE_DBFS, np.float32)
        self._last = -_RING
        self._known = -1
        """Up to here slots are in the ring: those behind the last that was played are silence."""

    def played(self, dbfs: float, at_ms: float) -> None:
        """A frame was handed to RTP."""
        slot = round(at_ms / SLOT_MS)
        following = self._last + 1
        if slot < following or slot - following <= _SLACK_SLOTS:
            slot = following
        self._be_silent_through(slot)
        self._put(slot, dbfs)
        self._last = slot

    def before(self, slot: int) -> Levels:
        """Levels of `slot`, of the slot before it, and so on: `LAGS` of them. What is not played yet is silence."""
        self._be_silent_through(slot)
        if slot - LAGS < self._known - _RING:
            return np.full(LAGS, SILENCE_DBFS, np.float32)
        end = slot % _RING + _RING + 1
        return self._rounds[end - LAGS : end][::-1].copy()

    def _be_silent_through(self, slot: int) -> None:
        for silent in range(max(self._known + 1, slot - _RING + 1), slot + 1):
            self._put(silent, SILENCE_DBFS)
        self._known = max(self._known, slot)

    def _put(self, slot: int, dbfs: float) -> None:
        place = slot % _RING
        self._rounds[place] = self._rounds[place + _RING] = dbfs


class MicSlots:
    """Maps mic samples to slots by the least delay: jitter only ever adds."""

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._sample = 0

    def slot(self, end_sample: int, at_ms: float) -> int:
        """The slot of the frame that ends at `end_sample` and came at `at_ms`."""
        offset_ms = at_ms - end_sample / _MIC_SAMPLES_PER_MS
        if self._offset_ms is not None:
            elapsed_ms = max(0, end_sample - self._sample) / _MIC_SAMPLES_PER_MS
            offset_ms = min(offset_ms, self._offset_ms + elapsed_ms * _CREEP_MS)
        self._offset_ms = offset_ms
        self._sample = end_sample
        return round((end_sample / _MIC_SAMPLES_PER_MS + offset_ms) / SLOT_MS)
