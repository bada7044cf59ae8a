"""Snapshots survive the way to bytes and back; what a gateway left behind is put together from one and the journal."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from natter_gateway.context import Context, ContextState, Speaker, ToolRecord, ToolRound, Utterance
from natter_gateway.journal.codec import decode as decode_entry
from natter_gateway.journal.codec import encode as encode_entry
from natter_gateway.journal.codec import kind_of, without_texts
from natter_gateway.journal.notes import (
    HeardSoFar,
    Opened,
    SegmentBegun,
    SessionOver,
    ToolCalled,
    ToolSettled,
    WordsSoFar,
)
from natter_gateway.journal.recording import Entry, Recording, with_texts
from natter_gateway.journal.recovery import AnswerAgain, Apologize, Recovered, SayAgain, recovered
from natter_gateway.journal.seal import Seal, new_key
from natter_gateway.journal.snapshot import MAX_BYTES, BadSnapshotError, Snapshot, decode, encode
from natter_gateway.turns import actions as act
from natter_gateway.turns.events import Modality
from natter_gateway.turns.settings import TurnSettings

SAID = (
    Utterance(1, Speaker.USER, "Is it cold?"),
    ToolRound(1, (ToolRecord("1.0.0", "weather", "{}", "result", "2 °C"),)),
    Utterance(1, Speaker.ASSISTANT, "Two degrees."),
)
SNAPSHOT = Snapshot(
    session="abc",
    secret="0123456789abcdef",
    gateway="gateway-a",
    term=1,
    bot="friend",
    variables={"guest": "Ann"},
    started_unix_ms=1_700_000_000_000,
    journal_key="5f" * 32,
    turn=1,
    context=ContextState(SAID, "It was about tea.", 1),
    next_segment_id=4,
    journal_sequence=12,
    journal_entry=40,
    mic_sample=320_000,
    words="and tomorrow",
)
OPENED = Opened("friend", "gateway-a", 1, 0, "text", 1, "3", TurnSettings())


def test_a_snapshot_comes_back() -> None:
    assert decode(encode(SNAPSHOT)) == SNAPSHOT


def test_a_context_goes_on_where_it_was() -> None:
    context = Context(SNAPSHOT.context)
    assert context.state == SNAPSHOT.context
    context.add_user(2, "And tomorrow?")
    assert [entry.turn for entry in context.before(3, "", 1_000)] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"term": 0},
        {"session": "a.b"},
        {"secret": "?"},
        {"more": 1},
        {"entries": [{"turn": 1}]},
        {"entries": [{"turn": 1, "speaker": "nobody", "text": "a"}]},
        {"turn": "1"},
        {"journal_entry": -1},
    ],
)
def test_what_is_no_snapshot_is_refused(change: dict[str, Any]) -> None:
    plain = orjson.loads(encode(SNAPSHOT))
    with pytest.raises(BadSnapshotError, match="no snapshot of version 1"):
        decode(orjson.dumps({**plain, **change}))


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(BadSnapshotError):
        decode(b"\xff")


def test_halves_of_surrogate_pairs_do_not_keep_it_from_being_written() -> None:
    odd = replace(SNAPSHOT, context=ContextState((Utterance(1, Speaker.USER, "a\ud800"),)))
    assert decode(encode(odd)).context.entries == (Utterance(1, Speaker.USER, "a?"),)


def test_of_a_conversation_that_is_too_long_the_oldest_turns_are_left_out() -> None:
    entries = tuple(Utterance(turn, Speaker.USER, "x" * 8_000) for turn in range(1, 201))
    data = encode(replace(SNAPSHOT, context=ContextState(entries, "before", 150)))
    kept = decode(data).context
    assert len(data) <= MAX_BYTES
    assert kept.entries == entries[-len(kept.entries) :]
    assert len(kept.entries) > 40
    assert (kept.summary, kept.from_turn) == ("before", 150)


# --- With the journal


def after(*contents: Any, first: int = 41, snapshot: Snapshot = SNAPSHOT) -> Recovered:
    entries = [Entry(number, 0, 0, one) for number, one in enumerate(contents, first)]
    return recovered(snapshot, Recording("abc", tuple(entries)))


def texts(found: Recovered) -> list[str]:
    return [entry.text for entry in found.snapshot.context.entries[3:] if isinstance(entry, Utterance)]


def test_without_a_journal_the_snapshot_counts() -> None:
    assert recovered(SNAPSHOT, Recording("abc", ())) == Recovered(SNAPSHOT)


def test_turns_behind_the_snapshot_are_added() -> None:
    found = after(
        act.UserStarted(2),
        act.CommitUser(2, "And tomorow?", None),
        act.StartAttempt((2, 1), "And tomorow?", Modality.VOICE),
        act.CorrectUser(2, "And tomorrow?"),
        SegmentBegun((2, 1), 4, "Warmer."),
        HeardSoFar((2, 1), 4, "Warmer."),
        act.EndAttempt((2, 1), act.Outcome.COMPLETE),
    )
    assert texts(found) == ["And tomorrow?", "Warmer."]
    assert (found.snapshot.turn, found.snapshot.next_segment_id, found.snapshot.journal_entry) == (2, 5, 47)
    assert not found.cut_off


def test_of_a_reply_that_was_being_heard_the_heard_part_counts() -> None:
    found = after(
        act.CommitUser(2, "Tell me a story.", None),
        act.AdoptGuess((2, 1)),
        SegmentBegun((2, 1), 4, "Once there was a dog."),
        HeardSoFar((2, 1), 4, "Once"),
        HeardSoFar((2, 1), 4, "Once there"),
    )
    assert texts(found) == ["Tell me a story.", "Once there"]
    assert found.cut_off
    assert found.owed is None


def test_a_reply_that_began_before_the_snapshot_is_known() -> None:
    found = after(
        OPENED,
        act.CommitUser(1, "Is it cold?", None),
        act.StartAttempt((1, 1), "Is it cold?", Modality.VOICE),
        SegmentBegun((1, 1), 4, "Yes, it is."),
        HeardSoFar((1, 1), 4, "Yes,"),
        first=38,
        snapshot=replace(SNAPSHOT, context=ContextState(SAID[:1])),
    )
    assert list(found.snapshot.context.entries) == [SAID[0], Utterance(1, Speaker.ASSISTANT, "Yes,")]


def test_a_question_that_nobody_began_to_answer_is_still_to_be_answered() -> None:
    found = after(act.CommitUser(2, "And tomorrow?", None), act.StartAttempt((2, 1), "And tomorrow?", Modality.VOICE))
    assert found.owed == AnswerAgain("And tomorrow?")
    assert texts(found) == ["And tomorrow?"]


def test_a_turn_that_was_taken_back_leaves_no_trace() -> None:
    found = after(
        act.CommitUser(2, "I would", None),
        act.StartAttempt((2, 1), "I would", Modality.VOICE),
        HeardSoFar((2, 1), 4, "Yes?"),
        act.EndAttempt((2, 1), act.Outcome.REOPENED),
        act.ReopenUser(2),
    )
    assert texts(found) == []
    assert found.snapshot.turn == 2


def test_what_tools_did_is_known_and_else_unknown() -> None:
    found = after(
        act.CommitUser(2, "Book it.", None),
        act.StartAttempt((2, 1), "Book it.", Modality.VOICE),
        ToolCalled((2, 1), "2.0.0", "book", "{}"),
        ToolCalled((2, 1), "2.0.1", "mail", "{}"),
        ToolSettled("2.0.0", "book", "{}", "result", "done"),
    )
    (tools,) = (entry for entry in found.snapshot.context.entries[3:] if isinstance(entry, ToolRound))
    assert [(call.name, call.outcome) for call in tools.calls] == [("book", "result"), ("mail", "unknown")]
    assert found.owed == Apologize()


def test_a_greeting_that_nobody_heard_is_said_again() -> None:
    greeting = act.StartVerbatim((2, 1), "Hello.")
    assert after(greeting).owed == SayAgain("Hello.")
    assert after(greeting, SegmentBegun((2, 1), 4, "Hello."), HeardSoFar((2, 1), 4, "Hello.")).owed is None


def test_words_of_a_turn_that_is_open_are_known() -> None:
    assert after().snapshot.words == "and tomorrow"
    said = (act.UserStarted(2), WordsSoFar("what is"), WordsSoFar("what is the time"))
    assert after(*said).snapshot.words == "what is the time"
    assert after(*said, act.CommitUser(2, "What is the time?", None)).snapshot.words == ""
    assert after(*said, WordsSoFar("")).snapshot.words == ""


def test_sealed_words_are_read_by_who_has_the_key() -> None:
    seal = Seal(SNAPSHOT.journal_key)
    said = (act.CommitUser(2, "And tomorrow?", None), WordsSoFar("and"), HeardSoFar((2, 1), 4, "Warm\ud800er"))
    entries = tuple(
        Entry(41 + at, 0, 0, decode_entry(kind_of(one), encode_entry(one, seal))) for at, one in enumerate(said)
    )
    recording = Recording("abc", entries)
    read = [entry.content for entry in with_texts(recording, seal).entries]
    assert read == [*said[:2], HeardSoFar((2, 1), 4, "Warm?er")]
    assert recovered(SNAPSHOT, with_texts(recording, Seal(new_key()))).snapshot == replace(SNAPSHOT, journal_entry=43)
    gone = Recording("abc", (Entry(41, 0, 0, without_texts(said[0])),))
    assert texts(recovered(SNAPSHOT, with_texts(gone, seal))) == []


def test_only_the_newest_term_counts_and_holes_are_told() -> None:
    found = recovered(
        replace(SNAPSHOT, journal_entry=1),
        Recording(
            "abc",
            (
                Entry(1, 0, 0, OPENED),
                Entry(2, 0, 0, act.CommitUser(9, "of the term before", None)),
                Entry(1, 0, 0, replace(OPENED, term=2)),
                Entry(3, 0, 0, act.CommitUser(2, "hello", None)),
                Entry(4, 0, 0, SessionOver("client_left", "friend", 2, 1)),
            ),
        ),
    )
    assert texts(found) == ["hello"]
    assert found.over
    assert not found.complete
