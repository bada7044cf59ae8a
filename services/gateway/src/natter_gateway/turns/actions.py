"""What the turn machine wants done, in order."""

from dataclasses import dataclass
from enum import Enum

from natter_gateway.turns.events import AttemptKey, Modality


class Outcome(Enum):
    """How an attempt ended."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    REOPENED = "reopened"
    """The caller had not finished, or said something else: the reply leaves no trace."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PublishState:
    """Tell the stages what is current now."""


@dataclass(frozen=True, slots=True)
class AskFinal:
    """Ask recognition to close everything through a sample."""

    finalize_id: int
    through_sample: int


@dataclass(frozen=True, slots=True)
class HoldVoice:
    """Fade out and hold: nothing plays, nothing is lost."""


@dataclass(frozen=True, slots=True)
class ResumeVoice:
    """Go on where it was held, from the beginning of the word that was cut."""


@dataclass(frozen=True, slots=True)
class UserStarted:
    """The caller is speaking: said to the page."""

    turn: int


@dataclass(frozen=True, slots=True)
class UserStopped:
    """The caller's turn is over (or came to nothing): said to the page."""

    turn: int


@dataclass(frozen=True, slots=True)
class ShowUserText:
    """Recognised words to show: an interim replaces the one before."""

    turn: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """Where a spoken turn ended, and when that was known."""

    sample: int
    silence_met_at_ms: float


@dataclass(frozen=True, slots=True)
class CommitUser:
    """A user message enters the context."""

    turn: int
    text: str
    ended: SpeechEnd | None
    """None where that is not known: of typed text, and where the recognizer said it first."""


@dataclass(frozen=True, slots=True)
class ReopenUser:
    """The turn was not over: its message leaves the context, and the caller goes on with it."""

    turn: int


@dataclass(frozen=True, slots=True)
class CorrectUser:
    """A final came after the turn was taken from its interim."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Generate a reply."""

    key: AttemptKey
    text: str
    modality: Modality


@dataclass(frozen=True, slots=True)
class StartVerbatim:
    """Say a text as it is."""

    key: AttemptKey
    text: str


@dataclass(frozen=True, slots=True)
class StartGuess:
    """Prepare a reply for a turn that is probably over: nothing of it is heard, shown, stored or acted on."""

    key: AttemptKey
    text: str


@dataclass(frozen=True, slots=True)
class AdoptGuess:
    """The turn ended with the words of the guess: it is the reply."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class DropGuess:
    """The guess was wrong."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class EndAttempt:
    """The attempt is over: the context gets what was heard; its voice is cut unless it is complete."""

    key: AttemptKey
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Complain:
    """Tell the caller that something went wrong."""

    words: str


Action = (
    PublishState
    | AskFinal
    | HoldVoice
    | ResumeVoice
    | UserStarted
    | UserStopped
    | ShowUserText
    | CommitUser
    | ReopenUser
    | CorrectUser
    | StartAttempt
    | StartVerbatim
    | StartGuess
    | AdoptGuess
    | DropGuess
    | EndAttempt
    | Complain
)
