"""The rules of Gladia's live recognition (v2): it hears everything and closes utterances by the silence it hears. Pure.

https://docs.gladia.io/chapters/live-stt/features/endpointing
"""

from __future__ import annotations

from typing import Final

from natter_stt.ask import Ask
from natter_stt.exchange import Heard
from natter_stt.provider import StreamSettings
from natter_stt.recognition import MS, Recognition

# vad's end of speech lies behind the end of the last word by so much at most.
TAIL_SAMPLES: Final = 350 * MS
# Nothing came of the sound that vad heard: there were no words in it.
NOTHING_S: Final = 1.0
# What is known counts, just before the conductor gives up.
OPEN_COUNTS_S: Final = 1.3
# Audio is acknowledged when it arrives. Enough is left then of the 1.5 s that the conductor waits to try again.
STALLED_S: Final = 0.7


class GladiaRecognition(Recognition):
    """One session at Gladia."""

    message_samples = 80 * MS  # the SDK takes 0.8 ms for a message and its acknowledgement

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__("Gladia", settings)
        self._utterance_open = False
        self._has = settings.from_sample  # Gladia has said that it has everything before

    def opened(self, now: float) -> None:
        super().opened(now)
        self._utterance_open = False
        self._has = self._cursor

    def _noticed(self, speaking: bool) -> None:
        # Its end is followed by the final.
        self._utterance_open = self._utterance_open or speaking

    def _received(self, through: int) -> None:
        self._has = max(self._has, through)

    def _heard(self, heard: Heard, now: float) -> None:
        self._utterance_open = not heard.final
        super()._heard(heard, now)

    def _over(self, ask: Ask, now: float) -> bool:
        if ask.ready_at is None:
            return False
        waited_s = now - ask.ready_at
        if self._utterance_open or self._open:
            if waited_s < OPEN_COUNTS_S or self._has < ask.until:
                return False
            self._utterance_open = False
            self._accept_open()
            return True
        if self._parts and self._parts_end + TAIL_SAMPLES >= ask.until:
            return True
        return waited_s >= NOTHING_S and self._has >= ask.until

    def _is_overdue(self, ask: Ask, now: float) -> bool:
        if ask.ready_at is None or self._has >= ask.until:
            return False
        return now - max(ask.ready_at, self._opened_at) >= STALLED_S
