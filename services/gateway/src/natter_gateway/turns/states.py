"""The states of the turn machine: the caller's side and the bot's side, each in exactly one."""

from dataclasses import dataclass

from natter_gateway.turns.events import AttemptKey, Modality

# --- The caller


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing is being said, and no turn is open."""


@dataclass(frozen=True, slots=True)
class Stirring:
    """An onset that is not confirmed yet, while no reply lives."""

    sample: int
    since_ms: float
    before: "Quiet | Pausing"
    """Where to go back to when it fades."""
    dip: "Dip | None" = None
    """A short quiet in it, which may be its end."""


@dataclass(frozen=True, slots=True)
class Talking:
    """Speech goes on, in an open turn."""

    sample: int
    """Where it began."""
    since_ms: float


@dataclass(frozen=True, slots=True)
class Pausing:
    """Quiet after speech: the turn ends when the silence is long enough and recognition has closed it."""

    sample: int
    """End of the speech."""
    speech_sample: int
    """Where the speech began."""
    speech_since_ms: float
    quiet_since_ms: float
    firm_at_ms: float | None
    """When the detector called it a pause; None: it is a dip still."""
    probability: float = 0.0
    """That the turn is complete."""
    finalize_id: int = 0
    """Of the request to close what was before; 0: not made yet."""
    early: bool = False
    """It was made in the dip."""
    closed: bool = False
    """Recognition has answered it."""
    opened: bool = True
    """False: a sound too short to be sure of. It opens a turn if recognition finds a word in it."""
    before_sound: "Pausing | None" = None
    """The pause that a short sound interrupted. If recognition finds no word in it, it was none."""
    asked_anew_at_ms: float = 0.0
    """When another recognizer was asked, which needs the time that its predecessor had."""
    asked_anew: int = 0
    """How often that was."""

    @property
    def firm(self) -> bool:
        """It is a pause, and no dip any more."""
        return self.firm_at_ms is not None


@dataclass(frozen=True, slots=True)
class Interjecting:
    """Sound from the caller while a reply lives: the voice is held until it is known what it means."""

    sample: int
    """Where it began."""
    since_ms: float
    """When; speech before a short quiet in it counts."""
    confirmed: bool = False
    """It is long enough to be speech."""
    dip: "Dip | None" = None


@dataclass(frozen=True, slots=True)
class Dip:
    """A short quiet in a sound."""

    sample: int
    since_ms: float


@dataclass(frozen=True, slots=True)
class Weighing:
    """It is quiet again: recognition says whether it was a word. The voice is still held."""

    sample: int
    """Where the sound began."""
    end_sample: int
    since_ms: float
    quiet_since_ms: float
    due_ms: float
    """When it was nothing, unless a word is found."""
    finalize_id: int
    confirmed: bool


CallerState = Quiet | Stirring | Talking | Pausing | Interjecting | Weighing

# --- The bot


@dataclass(frozen=True, slots=True)
class Silent:
    """No attempt lives."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """An attempt lives and nothing of it is audible (yet, or the queue ran dry): progress is due."""

    key: AttemptKey
    modality: Modality
    progress_at_ms: float
    acting: bool = False
    """Tools run for it: they have their own deadlines."""
    settled: bool = False
    """The turn can't be taken back any more: too much was heard of the reply, or one of its tools has acted."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """Voice of an attempt is being played, or held while the caller may be interrupting."""

    key: AttemptKey
    acting: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt for a turn that is not over yet, beside the bot's state."""

    key: AttemptKey
    text: str


BotState = Silent | Thinking | Speaking
