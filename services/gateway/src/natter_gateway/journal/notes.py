"""What a journal has beside the inputs and decisions of the turn machine: how it begins and ends, what was heard."""

from dataclasses import dataclass

from natter_gateway.turns.events import AttemptKey
from natter_gateway.turns.settings import TurnSettings


@dataclass(frozen=True, slots=True)
class Opened:
    """A conductor begins: the first entry of each term."""

    bot: str
    gateway: str
    term: int
    turn: int
    """The newest turn before; 0 for a new session."""
    record: str
    """`text`, or `none`: then texts are only counted."""
    started_unix_ms: int
    """When the session was opened, by the clock on the wall."""
    machine_version: str
    settings: TurnSettings


@dataclass(frozen=True, slots=True)
class SegmentBegun:
    """A segment of the committed reply begins to be heard; of a reply in text: it is shown."""

    key: AttemptKey
    segment_id: int
    text: str


@dataclass(frozen=True, slots=True)
class HeardSoFar:
    """So much of a segment was heard: a beginning of its text."""

    key: AttemptKey
    segment_id: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool of a committed turn is ordered; `id` is turn.step.index."""

    key: AttemptKey
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolSettled:
    """What became of a call: `result`, `error`, `timeout`, `cancelled` or `unknown`."""

    id: str
    name: str
    arguments: str
    outcome: str
    result: str


@dataclass(frozen=True, slots=True)
class ContextAdded:
    """The page put words into the bot's mouth: they are in the context as if they had been heard."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class WordsSoFar:
    """What the caller has said and typed that is in no turn of the context yet; empty: it is now, or was nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnAnswered:
    """A spoken turn's latency, from the end of speech to the first audible frame."""

    turn: int
    total_ms: float
    contributions_ms: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class EntriesLost:
    """Entries with these numbers could not be kept until JetStream took them."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SessionOver:
    """The last entry of a session, with what a list of sessions says of it."""

    reason: str
    bot: str
    turns: int
    started_unix_ms: int


Note = (
    Opened
    | SegmentBegun
    | HeardSoFar
    | ToolCalled
    | ToolSettled
    | ContextAdded
    | WordsSoFar
    | TurnAnswered
    | EntriesLost
    | SessionOver
)
