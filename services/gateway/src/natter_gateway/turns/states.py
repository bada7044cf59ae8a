"""The states of the turn machine: the caller's side and the bot's side, each in exactly one."""

from dataclasses import dataclass

from natter_gateway.turns.events import AttemptKey, Modality

# --- The caller


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing is being said, and no turn is open."""


@dataclass(frozen=True, slots=True)
class Stirring:
    """An onset that is not confirmed yet. `before` is where to go back to when it fades."""

    sample: int
    before: "Quiet | Pausing"


@dataclass(frozen=True, slots=True)
class Talking:
    """Speech goes on, in an open turn."""

    sample: int


@dataclass(frozen=True, slots=True)
class Pausing:
    """Quiet after speech: the turn ends when the silence is long enough and recognition has closed it."""

    sample: int
    finalize_id: int
    silence_met_at_ms: float
    closed: bool
    """Recognition has answered the finalize request."""
    opened: bool = True
    """False: a sound too short to be sure of. It opens a turn if recognition finds a word in it."""
    met_before_sound_ms: float | None = None
    """After a short sound in the pause: when the silence would have been long enough without it. If recognition finds
    no word in it, it was none."""
    asked_anew_at_ms: float = 0.0
    """When another recognizer was asked, which needs the time that its predecessor had."""
    asked_anew: int = 0
    """How often that was."""


CallerState = Quiet | Stirring | Talking | Pausing

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


@dataclass(frozen=True, slots=True)
class Speaking:
    """Voice of an attempt is being played, or held while the caller may be interrupting."""

    key: AttemptKey
    acting: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt for a turn that is not over yet, beside the bot's state."""

    key: AttemptKey
    text: str


BotState = Silent | Thinking | Speaking
