"""What the turn machine is told."""

from dataclasses import dataclass
from enum import Enum

AttemptKey = tuple[int, int]
"""Turn and attempt."""


class Modality(Enum):
    VOICE = "voice"
    TEXT = "text"


# --- What the detector finds. `through_sample` is how far it had read.


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech may have begun (or resumed): two windows over threshold."""

    sample: int
    through_sample: int = 0


@dataclass(frozen=True, slots=True)
class OnsetFaded:
    """The onset came to nothing, or to a sound too short to be sure of."""

    sample: int
    """End of its last speech window."""
    through_sample: int


@dataclass(frozen=True, slots=True)
class SpeechConfirmed:
    """The speech since the onset is long enough to be meant."""

    sample: int
    through_sample: int = 0


@dataclass(frozen=True, slots=True)
class Dipped:
    """Quiet since `sample`, too short to be a pause yet."""

    sample: int
    through_sample: int


@dataclass(frozen=True, slots=True)
class WentOn:
    """The dip was none: speech goes on."""

    sample: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Quiet for the detector's `min_silence_duration_ms`."""

    sample: int
    """End of the last speech window."""
    through_sample: int
    probability: float
    """That the turn is complete; 0 while nobody knows."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """The model for the end of turns has judged the quiet since `sample`."""

    sample: int
    probability: float


@dataclass(frozen=True, slots=True)
class Muted:
    """The caller switched the microphone off: what was being said ends here."""

    sample: int


# --- What recognition says


class Sign(Enum):
    """What a recognizer that decides about turns says with a transcript."""

    NONE = "none"
    EAGER_END = "eager_end"
    RESUMED = "resumed"
    END = "end"


@dataclass(frozen=True, slots=True)
class Recognised:
    """A transcript. An interim holds what came since the last final."""

    text: str
    final: bool
    finalize_id: int
    """The request that this final answers; 0 for none."""
    sign: Sign = Sign.NONE
    through_sample: int = 0
    """How far recognition has listened."""
    trusted: bool = True
    """It is sure of each word; else single words may be made of other sounds."""


@dataclass(frozen=True, slots=True)
class RecognizerChanged:
    """Another recognizer serves now."""

    decides_turns: bool
    """It says itself when a turn is over; silence is only a backstop."""
    final_grace_ms: float
    """It may take this long for a final once the silence is long enough."""
    early_final: bool = False
    """Closing early costs it nothing."""
    stable_interims: bool = False
    """A reply may be prepared on an interim."""


# --- What the page and the session say


@dataclass(frozen=True, slots=True)
class Typed:
    """The caller typed instead of speaking."""

    text: str
    modality: Modality
    run_immediately: bool


@dataclass(frozen=True, slots=True)
class Say:
    """The bot is to say this, unasked and as it is."""

    text: str
    over: bool = False
    """Whatever is being said or answered ends there; else it is said only if nothing is."""


@dataclass(frozen=True, slots=True)
class RoomForGuesses:
    """Whether the workers have room for replies that may be in vain."""

    enough: bool


# --- What becomes of the reply


@dataclass(frozen=True, slots=True)
class ReplyProgress:
    """A piece of an attempt came: text or voice."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyAudible:
    """The first frame of voice (or the first after the queue ran dry) was handed to the network."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyEstablished:
    """So much of it was heard that the turn can't be taken back any more."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyDry:
    """All voice that has come so far was played, and more is due."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyComplete:
    """All of the reply was played, or, in text, shown."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """A stage says that it can't go on with an attempt."""

    key: AttemptKey
    words: str


@dataclass(frozen=True, slots=True)
class GuessFailed:
    """What was prepared can't be had: the turn's end finds none."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ToolsBegan:
    """The attempt waits for tools, which have deadlines of their own."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ToolsActed:
    """A tool that does more than read was started: the turn can't be taken back any more."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ToolsOver:
    """All of them are through: the model goes on."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline of the machine's may have passed."""


ReplyEvent = (
    ReplyProgress
    | ReplyAudible
    | ReplyEstablished
    | ReplyDry
    | ReplyComplete
    | ReplyFailed
    | ToolsBegan
    | ToolsActed
    | ToolsOver
)

DetectorEvent = Onset | OnsetFaded | SpeechConfirmed | Dipped | WentOn | Paused | Estimated | Muted

Event = DetectorEvent | Recognised | RecognizerChanged | Typed | Say | RoomForGuesses | GuessFailed | ReplyEvent | Tick
