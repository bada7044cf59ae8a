"""Entries of the journal as JSON bytes and back, by the name of their class. Pure.

Strict on the way back: what does not fit its class in every field raises `BadEntryError`.
"""

import math
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import orjson

from natter_gateway.journal import notes
from natter_gateway.journal.notes import Note
from natter_gateway.journal.seal import Seal
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.settings import TurnSettings

Content = ev.Event | act.Action | Note

MAX_ENTRY_BYTES: Final = 256 * 1024
"""What a page may type, and a tool may answer, is far below."""
_MAX_INT: Final = 2**63 - 1
_TEXTS: Final[dict[type, tuple[str, ...]]] = {
    ev.Recognised: ("text",),
    ev.Typed: ("text",),
    ev.Say: ("text",),
    act.ShowUserText: ("text",),
    act.CommitUser: ("text",),
    act.CorrectUser: ("text",),
    act.StartAttempt: ("text",),
    act.StartVerbatim: ("text",),
    act.StartGuess: ("text",),
    notes.SegmentBegun: ("text",),
    notes.HeardSoFar: ("text",),
    notes.ContextAdded: ("text",),
    notes.WordsSoFar: ("text",),
    notes.ToolCalled: ("arguments",),
    notes.ToolSettled: ("arguments", "result"),
}
"""What people said, or may have said: readable only where the bot records text."""

_Read = Callable[[Any], Any]
_T = TypeVar("_T")


class BadEntryError(ValueError):
    """Bytes that are no entry of a journal, or none that this version knows."""


class Omitted(str):
    """Stands for a text that can't be read here: how long it was is all that is known."""

    __slots__ = ("characters", "sealed")
    characters: int
    sealed: str | None
    """It, for whoever has the session's key."""

    def __new__(cls, characters: int, sealed: str | None = None) -> "Omitted":
        text = super().__new__(cls, f"({characters} characters)")
        text.characters = characters
        text.sealed = sealed
        return text


def kind_of(content: Content) -> str:
    """The name that tells what an entry is."""
    return type(content).__name__


def encode(content: Content, seal: Seal | None = None) -> bytes:
    """JSON of an event, an action or a note; with a `seal` its texts are in it for those who have the key."""
    try:
        return orjson.dumps(_plain(content, seal))
    except orjson.JSONEncodeError:
        # A page can type halves of surrogate pairs, which UTF-8 has no bytes for.
        return orjson.dumps(_without_surrogates(_plain(content, seal)))


def without_texts(content: Content) -> Content:
    """The same, with the lengths of its texts only."""
    texts = _TEXTS.get(type(content), ())
    return replace(content, **{name: Omitted(len(getattr(content, name))) for name in texts})


def unsealed(content: Content, seal: Seal) -> Content:
    """The same, with its texts. Raises `SealError`."""
    found: dict[str, str] = {}
    for name in _TEXTS.get(type(content), ()):
        text = getattr(content, name)
        if isinstance(text, Omitted) and text.sealed is not None:
            found[name] = seal.open(text.sealed)
    return replace(content, **found) if found else content


def decode(kind: str, data: bytes) -> Content:
    """The entry of that name. Raises `BadEntryError`."""
    found = KINDS.get(kind)
    if found is None:
        raise BadEntryError(f"{kind[:80]!r} is no kind of entry")
    if len(data) > MAX_ENTRY_BYTES:
        raise BadEntryError(f"{kind} of {len(data)} bytes, {MAX_ENTRY_BYTES} are the most")
    return cast("Content", _read_object(found, _parse(data, kind)))


def encode_settings(settings: TurnSettings) -> bytes:
    """JSON of a bot's turn-taking."""
    return orjson.dumps(settings)


def decode_settings(data: bytes) -> TurnSettings:
    """Raises `BadEntryError`."""
    return _read_object(TurnSettings, _parse(data, "TurnSettings"))


def has_texts(content: Content) -> bool:
    """False where a text of it can't be read."""
    return not any(isinstance(getattr(content, name), Omitted) for name in _TEXTS.get(type(content), ()))


def text_fields() -> dict[type, tuple[str, ...]]:
    """Fields that hold what people said, by class."""
    return dict(_TEXTS)


# --- There


def _plain(content: Content, seal: Seal | None) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    texts = () if seal is None else _TEXTS.get(type(content), ())
    for field in _FIELDS[type(content)]:
        value = getattr(content, field.name)
        if isinstance(value, Omitted):
            value = value.characters
        elif seal is not None and field.name in texts:
            value = [len(value), seal.close(value)]
        plain[field.name] = value
    return plain


def _without_surrogates(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in plain.items()
    }


# --- And back


def _parse(data: bytes, kind: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadEntryError(f"{kind} is no JSON: {error}") from error


def _read_object(wanted: type[_T], value: Any) -> _T:
    if not isinstance(value, dict):
        raise BadEntryError(f"{wanted.__name__} has to be an object")
    given = cast("dict[str, Any]", value)
    known = {field.name: field for field in _FIELDS[wanted]}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise BadEntryError(f"{wanted.__name__} has no field {unknown[0][:80]!r}")
    found: dict[str, Any] = {}
    for name, field in known.items():
        if name in given:
            try:
                found[name] = _READERS[wanted][name](given[name])
            except BadEntryError as error:
                raise BadEntryError(f"{wanted.__name__}.{name}: {error}") from None
        elif field.default is MISSING:
            raise BadEntryError(f"{wanted.__name__} lacks {name}")
    return wanted(**found)


def _read_int(value: Any) -> int:
    if type(value) is not int or abs(value) > _MAX_INT:
        raise BadEntryError(f"{_shown(value)} is no whole number")
    return value


def _read_float(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise BadEntryError(f"{_shown(value)} is no number")
    return float(value)


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise BadEntryError(f"{_shown(value)} is neither true nor false")
    return value


def _read_str(value: Any) -> str:
    if type(value) is not str:
        raise BadEntryError(f"{_shown(value)} is no text")
    return value


def _read_text(value: Any) -> str:
    """A text, or how long it was, or that and it, sealed."""
    match value:
        case [int(characters), str(sealed)] if 0 <= characters <= MAX_ENTRY_BYTES:
            return Omitted(characters, sealed)
        case int() if type(value) is int and 0 <= value <= MAX_ENTRY_BYTES:
            return Omitted(value)
        case _:
            return _read_str(value)


def _read_enum(wanted: type[Enum]) -> _Read:
    by_value = {member.value: member for member in wanted}

    def read(value: Any) -> Enum:
        member = by_value.get(value) if isinstance(value, str) else None
        if member is None:
            raise BadEntryError(f"{_shown(value)} is no {wanted.__name__}")
        return member

    return read


def _read_tuple(items: tuple[Any, ...]) -> _Read:
    if len(items) == 2 and items[1] is Ellipsis:
        one = _reader(items[0])
        return lambda value: tuple(one(item) for item in _list(value))
    readers = [_reader(item) for item in items]

    def read(value: Any) -> tuple[Any, ...]:
        given = _list(value)
        if len(given) != len(readers):
            raise BadEntryError(f"{len(readers)} items are expected, not {len(given)}")
        return tuple(reader(item) for reader, item in zip(readers, given, strict=True))

    return read


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadEntryError(f"{_shown(value)} is no list")
    return cast("list[Any]", value)


def _reader(wanted: Any) -> _Read:
    """What turns JSON into a value of a type; types that no entry has are refused when this module is imported."""
    simple: dict[Any, _Read] = {int: _read_int, float: _read_float, bool: _read_bool, str: _read_str}
    if wanted in simple:
        return simple[wanted]
    if get_origin(wanted) is tuple:
        return _read_tuple(get_args(wanted))
    if get_origin(wanted) in (Union, types.UnionType):
        (one,) = (item for item in get_args(wanted) if item is not type(None))
        reader = _reader(one)
        return lambda value: None if value is None else reader(value)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _read_enum(wanted)
    if isinstance(wanted, type) and is_dataclass(wanted):
        _learn(wanted)
        return lambda value: _read_object(wanted, value)
    raise TypeError(f"the journal can't hold {wanted}")


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _learn(wanted: type[Any]) -> None:
    _FIELDS[wanted] = fields(wanted)
    texts = _TEXTS.get(wanted, ())
    hints = get_type_hints(wanted)
    _READERS[wanted] = {name: _read_text if name in texts else _reader(hints[name]) for name in hints}


def _members(union: Any) -> list[type[Any]]:
    return [member for item in get_args(union) for member in (_members(item) if get_args(item) else [item])]


_FIELDS: Final[dict[type, tuple[Field[Any], ...]]] = {}
_READERS: Final[dict[type, dict[str, _Read]]] = {}
_CLASSES: Final = [*_members(ev.Event), *_members(act.Action), *_members(Note)]
KINDS: Final[dict[str, type[Any]]] = {one.__name__: one for one in _CLASSES}
"""Every class that an entry may be of, by its name."""
if len(KINDS) != len(_CLASSES):
    raise TypeError("two kinds of journal entries have one name")
for _class in (*_CLASSES, TurnSettings):
    _learn(_class)
