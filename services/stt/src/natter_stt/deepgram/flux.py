"""The rules of Deepgram's Flux (`/v2/listen`), which decides about turns itself. It hears everything. Pure.

https://developers.deepgram.com/docs/flux/state, https://developers.deepgram.com/docs/flux/force-end-turn
"""

from __future__ import annotations

from typing import Final

from natter_stt.ask import Ask
from natter_stt.exchange import Heard, Signal, Step
from natter_stt.provider import StreamSettings, TurnSign
from natter_stt.recognition import FLOWING_S, MS, Recognition

# Flux speaks about every 250 ms of audio, and only behind the first word of it.
SURE_SAMPLES: Final = 250 * MS
# Without more audio it has nothing to speak about.
SILENT_OVER_S: Final = 0.6
# A request to finalize is answered by the end of the turn. Until then Flux may decide itself; it is told after that.
END_TURN_AFTER_S: Final = 1.6
STALLED_S: Final = 2.4
# It speaks four times a second while audio flows, in silence too.
MUTE_S: Final = 0.8


class FluxRecognition(Recognition):
    """One session at Deepgram's `/v2/listen`. `Heard.words` are all words of the turn."""

    message_samples = 80 * MS  # what the vendor recommends

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__("Deepgram Flux", settings)

    def _heard(self, heard: Heard, now: float) -> None:
        self._language = heard.language or self._language
        self._covered = max(self._covered, self._timeline.end(heard.to_s))
        self._open = self._new(self._place(heard.words))
        if heard.sign is not TurnSign.END:
            self._interim(heard.sign)
            return
        self._accept_open()
        ask = self._asked[0] if self._asked else None
        if ask is not None and ask.ready_at is not None and ask.until <= self._covered:
            self._answer(ask, now, TurnSign.END)
        else:
            self._give_out(0, self._covered, now, sign=TurnSign.END)
            if not self._asked:
                self._closed = max(self._closed, self._border)
                self._stretch = self._closed if self._speaking else None

    def _over(self, ask: Ask, now: float) -> bool:
        if self._open or ask.ready_at is None:
            return False
        if self._covered >= ask.until + SURE_SAMPLES:
            return True
        return now - ask.ready_at >= SILENT_OVER_S and now - self._fed_at > FLOWING_S

    def _is_overdue(self, ask: Ask, now: float) -> bool:
        if ask.ready_at is None:
            return False
        mute = now - self._fed_at <= FLOWING_S and now - max(ask.ready_at, self._heard_at) >= MUTE_S
        return mute or self._quiet_s(ask, now) >= STALLED_S

    def _signal(self, now: float) -> Step | None:
        if self._open and any(self._is_to_be_ended(ask, now) for ask in self._asked):
            return Signal.END_TURN
        return None

    def _is_to_be_ended(self, ask: Ask, now: float) -> bool:
        return not ask.signalled and self._quiet_s(ask, now) >= END_TURN_AFTER_S

    def _quiet_s(self, ask: Ask, now: float) -> float:
        """How long the end of the turn is owed: who goes on after a pause has not ended it."""
        if ask.ready_at is None or self._speaking:
            return 0.0
        return now - max(ask.ready_at, self._spoke_at)

    def _signalled(self, signal: Signal, now: float) -> None:
        for ask in self._asked:
            ask.signalled = ask.signalled or self._is_to_be_ended(ask, now)

    def _close_unasked(self, now: float) -> None:
        if not self._open:  # the end of a turn is its own to tell
            super()._close_unasked(now)
