"""Asks a caller who says nothing whether they are there, and ends calls that are idle or too long.

Pure: time comes in with each call, `deadline_ms` says when `tick` is wanted. What is said is said word for word by the
bot, through whoever speaks for it; that it is speaking comes back in as `busy`, and its end as `quiet`.

    Engaged --quiet--> Waiting --idle_after_ms--> Asking --said--> Asked --idle_close_ms--> Leaving --said--> Left
       ^                  |                          |               |                         |
       +-- the caller speaks or types (also a Waiting anew, in quiet) -------------------------+ (idle only)
    any but Left --the line is broken--> Away --it is back: Engaged or Waiting
    Engaged, Waiting, Asking, Asked, Away --max_length_ms, in quiet or 20 s later--> Leaving --said--> Left
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

from natter_gateway.attendance.states import Asked, Asking, Away, Engaged, Leaving, Left, Reason, State, Waiting
from natter_gateway.bots import Bot

LENGTH_GRACE_MS: Final = 20_000
"""A call that is too long may finish what is being said for so long."""
SAID_WITHIN_MS: Final = 15_000
"""Words that were not heard to their end by then are not waited for: the voice may be broken."""
_WORDS: Final = {
    Reason.IDLE: "The call was ended because nobody spoke.",
    Reason.LENGTH: "The call was ended because it reached its longest time.",
}


@dataclass(frozen=True, slots=True)
class AttendanceSettings:
    """A bot's. Texts that are empty are not said; their times hold all the same."""

    idle_after_ms: float = 30_000
    """0: never asked, never ended for being idle."""
    idle_close_ms: float = 15_000
    max_length_ms: float = 3_600_000
    """0: no limit."""
    idle_question: str = ""
    idle_goodbye: str = ""
    length_goodbye: str = ""

    @classmethod
    def of(cls, bot: Bot) -> Self:
        """As the bot's file says."""
        call, words = bot.call, bot.call_words
        return cls(
            idle_after_ms=call.idle_after_ms,
            idle_close_ms=call.idle_close_ms,
            max_length_ms=call.max_length_s * 1_000,
            idle_question=words.idle_question,
            idle_goodbye=words.idle_goodbye,
            length_goodbye=words.length_goodbye,
        )


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text` as it is. `over`: also over what is being said or answered, which ends there."""

    text: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """End the session. `words` are for the page to show."""

    reason: Reason
    words: str


Output = Say | Close


class Attendance:
    """One call's. It begins with `start`; before it nothing is due.

    `busy` and `quiet` may be said again, after what came out was done: words that were handed over are busy.
    """

    def __init__(self, settings: AttendanceSettings) -> None:
        self._settings: Final = settings
        self._state: State = Engaged()
        self._too_long_at_ms = math.inf
        self._quiet = False

    @property
    def state(self) -> State:
        return self._state

    @property
    def deadline_ms(self) -> float | None:
        """When `tick` is wanted, if nothing comes before."""
        settings = self._settings
        too_long_at_ms = self._too_long_at_ms if self._quiet else self._too_long_at_ms + LENGTH_GRACE_MS
        match self._state:
            case Left():
                due_ms = math.inf
            case Leaving(since_ms=since_ms):
                due_ms = since_ms + SAID_WITHIN_MS
            case Asking(since_ms=since_ms):
                due_ms = min(since_ms + SAID_WITHIN_MS, too_long_at_ms)
            case Asked(since_ms=since_ms):
                due_ms = min(since_ms + settings.idle_close_ms, too_long_at_ms)
            case Waiting(since_ms=since_ms) if settings.idle_after_ms > 0:
                due_ms = min(since_ms + settings.idle_after_ms, too_long_at_ms)
            case _:
                due_ms = too_long_at_ms
        return None if due_ms == math.inf else due_ms

    def start(self, now_ms: float) -> list[Output]:
        """The caller is connected and hears the bot; again after a lost connection. A sign of life."""
        if self._too_long_at_ms == math.inf and self._settings.max_length_ms > 0:
            self._too_long_at_ms = now_ms + self._settings.max_length_ms
        return self.caller_active(now_ms)

    def line_lost(self) -> None:
        """Nothing comes from the caller any more; `start` says that it does again. How long that may be others know."""
        if not isinstance(self._state, Left):
            self._state = Away()

    def caller_active(self, now_ms: float) -> list[Output]:
        """The caller spoke (words, no mere noise), typed, pressed a key or unmuted."""
        match self._state:
            case Left() | Leaving(reason=Reason.LENGTH):
                pass
            case _:
                # Also out of a goodbye: they are there after all, and it is theirs to interrupt.
                self._state = self._nothing_asked(now_ms)
        return self.tick(now_ms)

    def busy(self, now_ms: float) -> list[Output]:
        """Somebody speaks, or something is being answered."""
        self._quiet = False
        match self._state:
            case Waiting():
                self._state = Engaged()
            case Asked():
                self._state = Engaged(asked=True)
            case Asking() | Leaving():
                self._state = replace(self._state, began=True)
            case _:
                pass
        return self.tick(now_ms)

    def quiet(self, now_ms: float) -> list[Output]:
        """Nobody speaks, nothing is being answered."""
        self._quiet = True
        match self._state:
            case Engaged(asked=False):
                self._state = Waiting(now_ms)
            case Engaged(asked=True) | Asking(began=True):
                self._state = Asked(now_ms)
            case Leaving(reason, began=True):
                return self._close(reason)
            case _:
                pass
        return self.tick(now_ms)

    def tick(self, now_ms: float) -> list[Output]:
        """Time has passed."""
        due_ms = self.deadline_ms
        if due_ms is None or now_ms < due_ms:
            return []
        settings = self._settings
        match self._state:
            case Leaving(reason):
                return self._close(reason)
            case _ if now_ms >= self._too_long_at_ms + (0 if self._quiet else LENGTH_GRACE_MS):
                return self._leave(Reason.LENGTH, settings.length_goodbye, now_ms)
            case Waiting() if settings.idle_question.strip():
                self._state = Asking(now_ms)
                return [Say(settings.idle_question)]
            case Waiting() | Asking():
                self._state = Asked(now_ms) if self._quiet else Engaged(asked=True)
                return []
            case _:
                return self._leave(Reason.IDLE, settings.idle_goodbye, now_ms)

    def _nothing_asked(self, now_ms: float) -> State:
        return Waiting(now_ms) if self._quiet else Engaged()

    def _leave(self, reason: Reason, goodbye: str, now_ms: float) -> list[Output]:
        if not goodbye.strip():
            return self._close(reason)
        self._state = Leaving(reason, now_ms, began=not self._quiet)
        return [Say(goodbye, over=not self._quiet)]

    def _close(self, reason: Reason) -> list[Output]:
        self._state = Left(reason)
        return [Close(reason, _WORDS[reason])]
