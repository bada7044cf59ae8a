"""Recorded calls decide as they did: what changes a decision of the turn machine shows here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from natter_gateway.cli.main import main
from natter_gateway.journal.codec import Omitted
from natter_gateway.journal.notes import EntriesLost, HeardSoFar, Opened
from natter_gateway.journal.recording import BadRecordingError, Entry, Recording, Unknown, load, of_batches, save
from natter_gateway.journal.replay import NotReplayableError, decided_anew, replay
from natter_gateway.journal.timeline import timeline
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import VERSION, TurnMachine
from natter_gateway.turns.settings import TurnSettings
from natter_proto import Header, LogBatch

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.jsonl"))
OPENED = Opened("friend", "gateway-a", 1, 0, "text", 1_700_000_000_000, VERSION, TurnSettings())


def recorded(*contents: Any) -> Recording:
    return Recording("abc", tuple(Entry(number, 1_000 * number, 0, one) for number, one in enumerate(contents, 1)))


def typed_call(opened: Opened = OPENED) -> Recording:
    """One typed turn, with what the machine really decides."""
    typed = ev.Typed("hello", Modality.TEXT, run_immediately=True)
    actions = TurnMachine(opened.settings, opened.turn).step(typed, 2.0)
    return recorded(opened, typed, *actions)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_calls_decide_the_same(path: Path) -> None:
    recording = load(path)
    accept = (
        f"\nIf that is meant: raise VERSION in turns/machine.py, then `natter sessions replay {path} --update` "
        "for each recorded file."
    )
    versions = {opened.machine_version for opened, _ in recording.terms if opened is not None}
    done = replay(recording, any_version=True)
    assert done.difference is None, "\n".join(done.difference.lines()) + accept
    assert versions == {VERSION}, f"recorded by version {versions}, and the machine's is {VERSION}{accept}"
    assert done.decisions > 0


def test_the_recorded_calls_know_every_kind_of_decision() -> None:
    kinds = {type(entry.content) for path in RECORDED for entry in load(path).entries}
    missing = {kind for kind in (*act.Action.__args__, *ev.DetectorEvent.__args__, ev.Recognised) if kind not in kinds}
    assert not missing


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    recording = Recording("abc", (*typed_call().entries, Entry(99, 5, 7, HeardSoFar((1, 1), 3, "Ünï\u2028code"))))
    save(recording, tmp_path / "call.jsonl")
    assert load(tmp_path / "call.jsonl") == recording


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        '{"natter_journal": 9, "session": "a"}\n',
        '{"natter_journal": 1}\n',
        '{"natter_journal": 1, "session": "a"}\nx\n',
        '{"natter_journal": 1, "session": "a"}\n{"number": -1, "at_us": 0, "mic_sample": 0, "kind": "Tick"}\n',
        '{"natter_journal": 1, "session": "a"}\n'
        '{"number": 1, "at_us": 0, "mic_sample": 0, "kind": "Tick", "content": {"a": 1}}\n',
    ],
)
def test_a_file_that_is_no_journal_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text(text)
    with pytest.raises(BadRecordingError, match=r"call\.jsonl"):
        load(path)


def test_another_decision_is_found_and_shown() -> None:
    right = typed_call()
    entries = list(right.entries)
    at = next(index for index, entry in enumerate(entries) if isinstance(entry.content, act.CommitUser))
    entries[at] = replace(entries[at], content=act.CommitUser(1, "good bye", None))
    difference = replay(Recording("abc", tuple(entries))).difference
    assert difference is not None
    text = "\n".join(difference.lines())
    assert difference.number == 2
    assert '- CommitUser {"turn":1,"text":"good bye","ended":null}' in text
    assert '+ CommitUser {"turn":1,"text":"hello","ended":null}' in text


def test_a_decision_too_few_is_found() -> None:
    right = typed_call()
    difference = replay(Recording("abc", right.entries[:-1])).difference
    assert difference is not None
    assert len(difference.decided) == len(difference.recorded) + 1


def test_a_later_term_goes_on_with_its_turn() -> None:
    again = typed_call(replace(OPENED, term=2, turn=7))
    assert replay(Recording("abc", (*typed_call().entries, *again.entries))).difference is None
    assert any(entry.content == act.CommitUser(8, "hello", None) for entry in again.entries)


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (recorded(), "nothing"),
        (recorded(ev.Tick()), "beginning"),
        (recorded(replace(OPENED, record="none"), ev.Tick()), "without text"),
        (recorded(OPENED, ev.Typed(Omitted(5), Modality.VOICE, run_immediately=True)), "without its text"),
        (recorded(replace(OPENED, machine_version="0"), ev.Tick()), "version 0 .* version " + VERSION),
        (recorded(OPENED, act.PublishState()), "decision on nothing"),
        (recorded(OPENED, Unknown("Later", "unknown")), "can't be read"),
        (Recording("abc", (Entry(1, 0, 0, OPENED), Entry(4, 0, 0, EntriesLost(2, 3)))), "entries 2 to 3 are missing"),
    ],
)
def test_what_can_t_be_replayed_says_why(recording: Recording, why: str) -> None:
    with pytest.raises(NotReplayableError, match=why):
        replay(recording)


def test_inputs_can_be_decided_anew() -> None:
    old = recorded(replace(OPENED, machine_version="0"), ev.Typed("hello", Modality.TEXT, True), act.PublishState())
    new = decided_anew(old)
    assert replay(new) == replay(Recording("abc", new.entries))
    assert [entry.number for entry in new.entries] == list(range(1, len(new.entries) + 1))
    assert [entry.content for entry in new.entries] == [entry.content for entry in typed_call().entries]


def test_what_an_old_gateway_wrote_after_the_new_one_is_left_out() -> None:
    def batch(term: int, kind: str) -> LogBatch:
        made = LogBatch(header=Header(session="abc", term=term))
        made.entries.add(number=1, kind=kind, content=b"{}")
        return made

    recording = of_batches("abc", [batch(1, "Tick"), batch(2, "HoldVoice"), batch(1, "Tick"), batch(2, "Later")])
    kinds = [type(entry.content) for entry in recording.entries]
    assert kinds == [ev.Tick, act.HoldVoice, Unknown]


# --- The command


def test_the_command_tells_the_same_and_another_decision_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "call.jsonl"
    save(typed_call(), path)
    assert main(["sessions", "replay", str(path)]) == 0
    assert capsys.readouterr().out.startswith("the same: 1 inputs")
    save(Recording("abc", typed_call().entries[:-1]), path)
    assert main(["sessions", "replay", str(path)]) == 1
    assert "  + StartAttempt" in capsys.readouterr().out
    assert main(["sessions", "replay", str(path), "--update"]) == 0
    assert main(["sessions", "replay", str(path)]) == 0


def test_the_command_shows_a_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "call.jsonl"
    save(typed_call(), path)
    assert main(["sessions", "show", str(path)]) == 0
    assert 'caller: "hello"' in capsys.readouterr().out
    assert main(["sessions", "show", str(path), "--json"]) == 0
    assert '"kind": "CommitUser"' in capsys.readouterr().out


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "call.jsonl"
    save(recorded(replace(OPENED, record="none"), ev.Tick()), path)
    assert main(["sessions", "replay", str(path)]) == 2
    assert "recorded without text" in capsys.readouterr().err
    assert main(["sessions", "show", "a.b", "--realm", "no realm"]) == 2
    assert "is no token" in capsys.readouterr().err


def test_without_a_broker_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "list", "--nats-url", "nats://127.0.0.1:1"]) == 2
    assert "no broker at nats://127.0.0.1:1" in capsys.readouterr().err


def test_a_timeline_says_how_much_was_heard_before_an_interruption() -> None:
    call = load(Path(__file__).parent / "recorded" / "interrupted_call.jsonl")
    (line,) = (one for one in timeline(call) if "interrupted" in one.text)
    assert line.text.startswith('reply 4.1 is over: interrupted behind "Tell me')
    assert not line.text.endswith('together."')


def test_a_timeline_has_no_characters_that_steer_a_terminal() -> None:
    said = act.CommitUser(1, "a\x1b[2Jb\x9bc" + "d" * 1_000, None)
    (line,) = (one for one in timeline(recorded(OPENED, said)) if one.turn == 1)
    assert line.text.isprintable()
    assert len(line.text) < 400
