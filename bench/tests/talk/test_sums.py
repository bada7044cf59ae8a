"""Sums, their targets, and the table."""

import pytest

from natter_bench.talk.cases import CASES
from natter_bench.talk.judge import Judgement
from natter_bench.talk.sums import Speculation, figures, speculation_of
from natter_bench.talk.table import talk_json, talk_text

METRICS = """# TYPE natter_attempts_total counter
natter_attempts_total{kind="committed"} 40.0
natter_attempts_total{kind="speculative"} 60.0
natter_speculations_total{outcome="used"} 31.0
natter_speculations_total{outcome="wasted"} 29.0
"""


def judged(kind: str, count: int, **fields: object) -> list[Judgement]:
    cases = [case for case in CASES if case.kind == kind][:count]
    return [Judgement(case, ok=True, **fields) for case in cases]  # type: ignore[arg-type]


def row(name: str, all_judged: list[Judgement], speculation: Speculation | None = None) -> tuple[str, bool | None]:
    figure = next(one for one in figures(all_judged, speculation) if one.name == name)
    return figure.value, figure.met


def test_one_cut_off_in_twenty_is_the_most() -> None:
    good = judged("A", 19, cut_off=False)
    assert row("answered mid-sentence", [*good, *judged("A", 1, cut_off=True)]) == ("5% (1 of 20)", True)
    into = [*judged("D", 1, cut_off=True), *judged("D", 1, cut_off=False)]
    assert row("answered mid-sentence", [*good, *into]) == ("0% (0 of 19); of interruptions 1 of 2", True)
    assert row("answered mid-sentence", [*good[:18], *judged("A", 2, cut_off=True)])[1] is False


def test_a_missed_turn_counts_as_slow() -> None:
    all_judged = [*judged("A", 10, voice_to_voice_ms=600.0), *judged("B", 2, missed=True)]
    assert row("over 2 s, or never", all_judged) == ("17% (2 of 12)", False)
    assert row("voice to voice", all_judged)[1] is True


def test_false_alarms() -> None:
    good = judged("C", 19, resumed=True)
    assert row("went on after a false alarm", [*good, *judged("C", 1, resumed=False)]) == ("19 of 20", True)


def test_a_reply_that_was_never_silenced_misses_the_target() -> None:
    quick = judged("D", 9, time_to_silence_ms=150.0)
    assert row("time to silence", quick)[1] is True
    value, met = row("time to silence", [*quick, *judged("D", 1)])
    assert "1 never" in value
    assert met is False


def test_heard_text() -> None:
    right = judged("D", 38, heard_words=7, told_words=6, kept_words=7)
    wrong = judged("D", 2, heard_words=7, told_words=3, kept_words=7)
    assert row("heard text as the page was told", right + wrong) == ("38 of 40 within a word", True)
    assert row("heard text as the model was told", right + wrong) == ("40 of 40 within a word", True)


def test_one_hold_in_ten_echoes() -> None:
    quiet = judged("E", 9, resumed=True)
    assert row("its own voice as echo", [*quiet, *judged("E", 1, resumed=True, holds=1)])[1] is True
    assert row("its own voice as echo", [*quiet, *judged("E", 1, resumed=True, holds=2)])[1] is False
    assert row("its own voice as echo", [*quiet, *judged("E", 1, resumed=False)])[1] is False


def test_waste_is_a_share_of_all_generations() -> None:
    counted = speculation_of(METRICS)
    assert counted == Speculation(100, 31, 29)
    assert row("speculation wasted", judged("A", 1), counted)[1] is True
    assert row("speculation wasted", judged("A", 1), Speculation(100, 20, 40))[1] is False


def test_a_gateway_that_counts_no_speculation() -> None:
    assert speculation_of("natter_sessions 3\n") is None
    assert row("speculation wasted", judged("A", 1)) == ("-", None)


def test_agreement_of_the_clocks() -> None:
    near = judged("A", 19, voice_to_voice_ms=600.0, gateway_ms=570.0)
    far = judged("A", 1, voice_to_voice_ms=600.0, gateway_ms=500.0)
    assert row("gateway's own latency", near + far)[1] is True
    assert row("gateway's own latency", near + far + far)[1] is False


@pytest.mark.parametrize("kind", "ABCDE")
def test_every_kind_has_its_lines(kind: str) -> None:
    all_judged = judged(kind, 3, understood="a word")
    text = talk_text(all_judged, figures(all_judged, None), ["2 cases left out"])
    assert all(one.case.name in text for one in all_judged)
    assert "2 cases left out" in text
    assert len(talk_json(all_judged, figures(all_judged, None), [])["cases"]) == 3
