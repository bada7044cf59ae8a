"""What the set has to hold, whatever its cases say."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from natter_bench.talk.bots import bot_of, write_bots
from natter_bench.talk.cases import CASES, GREETINGS, Case, calls, chosen


def test_there_are_enough_of_each_kind() -> None:
    kinds = Counter(case.kind for case in CASES)
    assert kinds["A"] >= 20
    assert kinds["B"] >= 15
    assert kinds["C"] == 20
    assert kinds["D"] == 40
    assert Counter(case.interrupts for case in CASES if case.kind == "E") == {False: 10, True: 5}


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_pauses_are_those_of_people_who_think() -> None:
    pauses = [ms for case in CASES for ms in case.pauses_ms]
    assert min(pauses) == 400
    assert max(pauses) == 1200
    assert len([case for case in CASES if case.pauses_ms]) >= 15


def test_cuts_are_spread_over_the_reply() -> None:
    moments = {case.into_reply_s for case in CASES if case.kind == "D"}
    assert min(moments) <= 0.5
    assert max(moments) >= 3.5
    assert len(moments) >= 20


def test_most_of_it_can_be_played_without_espeak() -> None:
    assert sum(not case.needs_espeak for case in CASES) >= 60


def test_parts_need_their_pauses() -> None:
    with pytest.raises(ValueError, match="2 parts have 1 pauses"):
        Case("wrong", "B", ("one", "two"))


def test_choosing() -> None:
    assert chosen(None, None) == CASES
    assert {case.kind for case in chosen(frozenset({"A", "C"}), None)} == {"A", "C"}
    assert [case.name for case in chosen(None, "cut-07")] == ["cut-07"]
    assert len(chosen(None, "echo-cut")) == 5


def test_every_case_has_its_bot(tmp_path: Path) -> None:
    write_bots(tmp_path)
    bots = {path.stem: yaml.safe_load(path.read_text()) for path in tmp_path.glob("*.yaml")}
    assert {bot_of(case) for case in CASES} == set(bots)
    assert {bot.get("greeting") for bot in bots.values()} == {None, *GREETINGS}
    assert all(bot["stt"] == {"provider": "local"} for bot in bots.values())


def test_echo_is_ten_replies_in_one_call_and_five_interruptions_in_another() -> None:
    of_kind = [case for case in CASES if case.kind == "E"]
    assert [len(call) for call in calls(of_kind)] == [10, 5]
    assert all(len(call) == 1 for call in calls([case for case in CASES if case.kind != "E"]))
    assert [len(call) for call in calls(chosen(None, "echo-05"))] == [1]
