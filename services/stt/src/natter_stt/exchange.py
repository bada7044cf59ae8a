"""What passes between a session's recognition and the connection to a vendor, in nobody's wire format. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from natter_stt.provider import BYTES_PER_SAMPLE, TurnSign


class Signal(enum.Enum):
    """What a vendor is told beside audio."""

    FINALIZE = "finalize"
    KEEP_ALIVE = "keep_alive"
    END_TURN = "end_turn"


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples of the session to be sent."""

    first_sample: int
    pcm: bytes

    @property
    def samples(self) -> int:
        """How many."""
        return len(self.pcm) // BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class Silence:
    """Samples to be sent that are not the session's."""

    samples: int


Step = Audio | Silence | Signal


@dataclass(frozen=True, slots=True)
class VendorWord:
    """A word with its times in seconds of the vendor's stream."""

    text: str
    from_s: float
    to_s: float
    confidence: float = 0.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """Words that a vendor heard between two times of its stream, in seconds.

    Attributes:
        words: what it makes of the stretch now.
        final: it does not change any more.
        from_finalize: the vendor says that it answers a request.
        sign: about the turn, of vendors that decide about turns: then `words` are all of the turn.
        language: two-letter code; empty where the vendor tells none.
    """

    words: tuple[VendorWord, ...]
    from_s: float
    to_s: float
    final: bool
    from_finalize: bool = False
    sign: TurnSign = TurnSign.NONE
    language: str = ""


@dataclass(frozen=True, slots=True)
class SpeechNoticed:
    """The vendor's own speech detection: somebody began or ceased to speak."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class Received:
    """The vendor has this much of the stream, in seconds."""

    through_s: float


@dataclass(frozen=True, slots=True)
class UtteranceOver:
    """The vendor thinks that an utterance is over since its last word."""


@dataclass(frozen=True, slots=True)
class Alive:
    """Anything else that shows that somebody is there."""


Message = Heard | SpeechNoticed | Received | UtteranceOver | Alive
