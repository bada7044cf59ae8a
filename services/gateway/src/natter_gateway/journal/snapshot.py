"""Where a session stands: what another gateway needs to go on with it. A JSON value, versioned."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from natter_gateway.context import ContextState, Entry

MAX_BYTES: Final = 768 * 1024
"""NATS takes messages of 1 MiB."""
_VERSION: Final = 1


class BadSnapshotError(ValueError):
    """Bytes that are no snapshot, or one of another version."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it was true at one moment."""

    session: str
    secret: str
    gateway: str
    """Who held the session."""
    term: int
    bot: str
    variables: Mapping[str, str]
    """What the call filled into the bot's texts."""
    started_unix_ms: int
    journal_key: str
    """Opens what is sealed in the session's journal."""
    turn: int = 0
    """The newest."""
    context: ContextState = field(default_factory=ContextState)
    next_segment_id: int = 1
    journal_sequence: int = 0
    """The newest batch that was known to be in the stream: what is behind it has to be read."""
    journal_entry: int = 0
    """Entries of this term's journal up to this number are in the snapshot, wherever they are by now."""
    mic_sample: int = 0
    """The next sample of the microphone."""
    words: str = ""
    """What the caller has said and typed that is in no turn of the context yet."""


class _Fields(BaseModel):
    """The JSON of a snapshot. Fields that are not known are refused: they would be lost."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    secret: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
    gateway: Annotated[str, Field(max_length=64)]
    term: Annotated[int, Field(ge=1, lt=2**31)]
    bot: Annotated[str, Field(min_length=1, max_length=128)]
    variables: Annotated[dict[str, str], Field(max_length=50)]
    started_unix_ms: Annotated[int, Field(ge=0)]
    journal_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    turn: Annotated[int, Field(ge=0, lt=2**31)]
    entries: list[Entry]
    summary: str
    from_turn: Annotated[int, Field(ge=0, lt=2**31)]
    next_segment_id: Annotated[int, Field(ge=1, lt=2**31)]
    journal_sequence: Annotated[int, Field(ge=0)]
    journal_entry: Annotated[int, Field(ge=0)]
    mic_sample: Annotated[int, Field(ge=0)]
    words: str


_CONTEXT_FIELDS: Final = ("entries", "summary", "from_turn")


def encode(snapshot: Snapshot) -> bytes:
    """JSON. Over `MAX_BYTES` the oldest turns of the conversation are left out."""
    context = snapshot.context
    data = _encode(snapshot, context.entries)
    while len(data) > MAX_BYTES and context.entries:
        turns = sorted({entry.turn for entry in context.entries})
        kept = turns[(len(turns) + 1) // 2 :]
        context = ContextState(
            tuple(entry for entry in context.entries if entry.turn in set(kept)), context.summary, context.from_turn
        )
        data = _encode(snapshot, context.entries)
    return data


def _encode(snapshot: Snapshot, entries: tuple[Entry, ...]) -> bytes:
    context = snapshot.context
    plain: dict[str, Any] = {name: getattr(snapshot, name) for name in Snapshot.__slots__ if name != "context"}
    plain |= {"version": _VERSION, "entries": entries, "summary": context.summary, "from_turn": context.from_turn}
    try:
        return orjson.dumps(plain)
    except orjson.JSONEncodeError:
        # Halves of surrogate pairs, which pages can type: UTF-8 has no bytes for them.
        plain["entries"] = [asdict(entry) for entry in entries]
        return json.dumps(plain, ensure_ascii=False).encode(errors="replace")


def decode(data: bytes) -> Snapshot:
    """Raises `BadSnapshotError`."""
    try:
        found = _Fields.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise BadSnapshotError(f"no snapshot of version {_VERSION}: {where}: {first['msg']}") from error
    fields = found.model_dump(exclude={"version", *_CONTEXT_FIELDS})
    context = ContextState(tuple(found.entries), found.summary, found.from_turn)
    return Snapshot(**fields, context=context)
