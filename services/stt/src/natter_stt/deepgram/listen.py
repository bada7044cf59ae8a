"""The rules of Deepgram's streaming recognition (`/v1/listen`): audio around speech only, Finalize, KeepAlive. Pure.

https://developers.deepgram.com/docs/finalize, https://developers.deepgram.com/docs/audio-keep-alive
"""

from __future__ import annotations

from collections import deque
from typing import Final

from natter_stt.ask import Ask
from natter_stt.exchange import Heard, Signal, Silence, Step
from natter_stt.provider import StreamSettings
from natter_stt.recognition import MS, Recognition

# The vendor closes after 10 s without a message.
KEEP_ALIVE_S: Final = 4.0
# Only a connection that has had audio is kept open by KeepAlive.
GREETING_SAMPLES: Final = 100 * MS
# The answer to a Finalize may be left out when there is next to nothing to say.
FINALIZE_OVER_S: Final = 0.3
# With words still owed it is waited for a little longer. Of the 800 ms that the conductor waits enough is left to ask
# again over a new connection.
FINALIZE_STALLED_S: Final = 0.5
# An interim that ends so close before the pause has heard everything: interims trail the audio.
TRAILING_SAMPLES: Final = 300 * MS
# The answer to a Finalize may end before the sample that was asked for: in a word, which is left to the next. vad's end
# of speech lies behind the end of the last word by less than this.
TAIL_SAMPLES: Final = 250 * MS
LITTLE_SAMPLES: Final = 1_000 * MS
ROUNDING_SAMPLES: Final = 20 * MS


class ListenRecognition(Recognition):
    """One session at Deepgram's `/v1/listen`."""

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__("Deepgram", settings)
        self._signals: deque[Ask] = deque(maxlen=16)  # those whose from_finalize has not come
        self._asked_to = settings.from_sample  # through which requests were answered, in full or not

    def opened(self, now: float) -> None:
        super().opened(now)
        self._signals.clear()

    def _wants_audio(self) -> bool:
        return self._stretch is not None

    def _begin_stretch(self, from_sample: int) -> None:
        super()._begin_stretch(from_sample)
        # What lies between was heard by nobody and holds nothing.
        self._cursor = max(self._cursor, self._stretch or 0)
        self._sent_to = max(self._sent_to, self._cursor)

    def _signal(self, now: float) -> Step | None:
        if any(self._is_to_be_finalized(ask) for ask in self._asked):
            return Signal.FINALIZE
        if self._wants_audio() and self._cursor < self.recent.next_sample:
            return None
        if not self._timeline.sent_samples:
            return Silence(GREETING_SAMPLES)
        return Signal.KEEP_ALIVE if now - self._sent_at >= KEEP_ALIVE_S else None

    @staticmethod
    def _is_to_be_finalized(ask: Ask) -> bool:
        return ask.ready_at is not None and not ask.signalled

    def _signalled(self, signal: Signal, now: float) -> None:
        if signal is not Signal.FINALIZE:
            return
        for ask in self._asked:
            if self._is_to_be_finalized(ask):
                ask.signalled = True
                ask.ready_at = now
                self._signals.append(ask)
                return

    def _heard(self, heard: Heard, now: float) -> None:
        if heard.from_finalize and self._signals:
            end = self._timeline.end(heard.to_s)
            self._signals.popleft().answered = True
            # The vendor leaves an answer out when it has nothing to add: this one is another's too.
            while self._signals and end + ROUNDING_SAMPLES >= self._signals[0].until:
                self._signals.popleft().answered = True
        super()._heard(heard, now)
        if self._parts and not self._asked and self._parts[0].from_sample < self._asked_to:
            # It was left out of an answer, and may not be asked for again.
            self._give_out(0, self._parts_end, now)

    def _closes(self, ask: Ask) -> int:
        self._asked_to = max(self._asked_to, ask.until)
        if ask.answered and self._parts_end + TAIL_SAMPLES < ask.until:
            return max(self._parts_end, self._closed)
        return ask.until

    def _over(self, ask: Ask, now: float) -> bool:
        if ask.answered or self._parts_end + ROUNDING_SAMPLES >= ask.until:
            return True
        if not ask.signalled or ask.ready_at is None:
            return False
        waited_s = now - ask.ready_at
        if waited_s < FINALIZE_OVER_S:
            return False
        heard_of_it = max(self._covered, self._parts_end) + TRAILING_SAMPLES >= ask.until
        little = self._stretch is None or ask.until - max(self._stretch, self._border) < LITTLE_SAMPLES
        if heard_of_it or (little and not self._open):
            self._accept_open()
            return True
        return False

    def _is_overdue(self, ask: Ask, now: float) -> bool:
        return ask.signalled and ask.ready_at is not None and now - ask.ready_at >= FINALIZE_STALLED_S
