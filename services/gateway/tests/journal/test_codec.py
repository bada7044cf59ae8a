"""Every entry of the journal survives the way to bytes and back, and nothing else does."""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.journal.codec import (
    KINDS,
    BadEntryError,
    Omitted,
    decode,
    decode_settings,
    encode,
    encode_settings,
    has_texts,
    kind_of,
    text_fields,
    unsealed,
    without_texts,
)
from natter_gateway.journal.seal import Seal, SealError, new_key
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.settings import TurnSettings

NO_TEXTS = {
    "ReplyFailed.words",
    "Complain.words",
    "Opened.bot",
    "Opened.gateway",
    "Opened.record",
    "Opened.machine_version",
    "TurnSettings.not_understood",
    "TurnSettings.language",
    "ToolCalled.id",
    "ToolCalled.name",
    "ToolSettled.id",
    "ToolSettled.name",
    "ToolSettled.outcome",
    "SessionOver.reason",
    "SessionOver.bot",
}
"""Fields of type str that nobody said: what is wrong, names, ids."""


def values(wanted: Any) -> st.SearchStrategy[Any]:
    simple = {
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        str: st.text(max_size=40),
    }
    if wanted in simple:
        return simple[wanted]
    if get_origin(wanted) is tuple:
        items = get_args(wanted)
        if items[-1] is Ellipsis:
            return st.lists(values(items[0]), max_size=4).map(tuple)
        return st.tuples(*(values(item) for item in items))
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    if is_dataclass(wanted):
        return objects(wanted)
    return st.one_of(values(item) if item is not type(None) else st.none() for item in get_args(wanted))


def objects(wanted: Any) -> st.SearchStrategy[Any]:
    return st.builds(wanted, **{name: values(hint) for name, hint in get_type_hints(wanted).items()})


contents = st.one_of(objects(kind) for kind in KINDS.values())


@settings(max_examples=500, deadline=None)
@given(contents)
def test_what_is_written_is_read(content: Any) -> None:
    assert decode(kind_of(content), encode(content)) == content


@settings(max_examples=300, deadline=None)
@given(contents)
def test_without_texts_only_their_lengths_are_written(content: Any) -> None:
    data = encode(without_texts(content))
    names = text_fields().get(type(content), ())
    assert all(orjson.loads(data)[name] == len(getattr(content, name)) for name in names)
    again = decode(kind_of(content), data)
    assert has_texts(again) == (not names)
    assert encode(again) == data
    others = [field.name for field in fields(content) if field.name not in names]
    assert all(getattr(again, name) == getattr(content, name) for name in others)


@settings(max_examples=300, deadline=None)
@given(contents)
def test_sealed_texts_are_for_those_who_have_the_key(content: Any) -> None:
    seal = Seal(new_key())
    names = text_fields().get(type(content), ())
    sealed = decode(kind_of(content), encode(content, seal))
    assert has_texts(sealed) == (not names)
    assert encode(sealed) == encode(without_texts(content)), "without the key only lengths are told"
    assert unsealed(sealed, seal) == content
    if names:
        with pytest.raises(SealError):
            unsealed(sealed, Seal(new_key()))


@pytest.mark.parametrize("sealed", ["", "no base64!", "AAAA", "A" * 64])
def test_what_is_not_sealed_is_not_opened(sealed: str) -> None:
    with pytest.raises(SealError):
        Seal(new_key()).open(sealed)


@given(objects(TurnSettings))
def test_settings_come_back(turn_settings: TurnSettings) -> None:
    assert decode_settings(encode_settings(turn_settings)) == turn_settings


def test_of_every_string_it_is_known_whether_somebody_said_it() -> None:
    found = {
        f"{kind.__name__}.{name}"
        for kind in (*KINDS.values(), TurnSettings)
        for name, hint in get_type_hints(kind).items()
        if hint is str
    }
    said = {f"{kind.__name__}.{name}" for kind, names in text_fields().items() for name in names}
    assert found == said | NO_TEXTS
    assert not said & NO_TEXTS


def test_a_text_that_was_not_recorded_tells_its_length() -> None:
    text = Omitted(12)
    assert (text, text.characters) == ("(12 characters)", 12)


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    typed = ev.Typed("a\ud800b", ev.Modality.VOICE, run_immediately=True)
    assert decode("Typed", encode(typed)) == ev.Typed("a?b", ev.Modality.VOICE, run_immediately=True)


def test_a_field_that_has_a_default_may_be_missing() -> None:
    assert decode("Onset", b'{"sample": 3}') == ev.Onset(3)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Nothing", b"{}"),
        ("Onset", b"{"),
        ("Onset", b"[]"),
        ("Onset", b"\xff"),
        ("Onset", b"{}"),
        ("Onset", b'{"sample": 1.5}'),
        ("Onset", b'{"sample": true}'),
        ("Onset", b'{"sample": 1, "more": 2}'),
        ("Onset", b'{"sample": 99999999999999999999}'),
        ("Estimated", b'{"sample": 1, "probability": "0.5"}'),
        ("Estimated", b'{"sample": 1, "probability": 1e999}'),
        ("Recognised", b'{"text": null, "final": true, "finalize_id": 0}'),
        ("Recognised", b'{"text": -1, "final": true, "finalize_id": 0}'),
        ("Recognised", b'{"text": "a", "final": 1, "finalize_id": 0}'),
        ("Recognised", b'{"text": "a", "final": true, "finalize_id": 0, "sign": "loud"}'),
        ("Recognised", b'{"text": "a", "final": true, "finalize_id": 0, "sign": []}'),
        ("ReplyProgress", b'{"key": [1]}'),
        ("ReplyProgress", b'{"key": {"a": 1}}'),
        ("ReplyProgress", b'{"key": [1, "2"]}'),
        ("CommitUser", b'{"turn": 1, "text": "a", "ended": 3}'),
        ("CommitUser", b'{"turn": 1, "text": "a", "ended": {"sample": 1}}'),
        ("ReplyFailed", b'{"key": [1, 1], "words": 3}'),
        ("Typed", b'{"text": "' + 300_000 * b"a" + b'", "modality": "voice", "run_immediately": true}'),
    ],
)
def test_what_is_no_entry_is_refused(kind: str, data: bytes) -> None:
    with pytest.raises(BadEntryError):
        decode(kind, data)


def test_an_end_of_speech_may_be_unknown() -> None:
    known = act.CommitUser(1, "a", act.SpeechEnd(5, 7.25))
    unknown = act.CommitUser(1, "a", None)
    assert [decode("CommitUser", encode(one)) for one in (known, unknown)] == [known, unknown]
