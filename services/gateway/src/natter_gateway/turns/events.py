"""What the turn machine is told."""

from dataclasses import dataclass
from enum import Enum

AttemptKey = tuple[int, int]
"""Turn and attempt."""


class Modality(Enum):
    VOICE = "voice"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech may have begun (or resumed): two windows over threshold."""

    sample: int


@dataclass(frozen=True, slots=True)
class OnsetFaded:
    """The onset came to nothing, or to a sound too short to be sure of."""

    sample: int
    """End of its last speech window."""
    through_sample: int
    """How far the detector had read."""


@dataclass(frozen=True, slots=True)
class SpeechConfirmed:
    """The speech since the onset is long enough to be meant."""

    sample: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Quiet for the detector's `min_silence_duration_ms`."""

    sample: int
    """End of the last speech window."""
    through_sample: int
    """How far the detector had read."""
    probability: float
    """That the turn is complete."""


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


@dataclass(frozen=True, slots=True)
class RecognizerChanged:
    """Another recognizer serves now."""

    decides_turns: bool
    """It says itself when a turn is over; silence is only a backstop."""
    final_within_ms: float
    """It may take this long for a final."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The caller typed instead of speaking."""

    text: str
    modality: Modality
    run_immediately: bool


@dataclass(frozen=True, slots=True)
class Greet:
    """The bot is to say this, unasked and as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyProgress:
    """A piece of an attempt came: text or voice."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class ReplyAudible:
    """The first frame of voice (or the first after the queue ran dry) was handed to the network."""

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
class ToolsOver:
    """All of them are through: the model goes on."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class Muted:
    """The caller switched the microphone off: what was being said ends here."""

    sample: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline of the machine's may have passed."""


ReplyEvent = ReplyProgress | ReplyAudible | ReplyDry | ReplyComplete | ReplyFailed | ToolsBegan | ToolsOver

Event = (
    Onset
    | OnsetFaded
    | SpeechConfirmed
    | Paused
    | Recognised
    | RecognizerChanged
    | Typed
    | Greet
    | GuessFailed
    | ReplyEvent
    | Muted
    | Tick
)
