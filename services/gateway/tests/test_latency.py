"""Contributions of a turn's latency: never negative, always adding up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.latency import AttemptMarks, LatencyMarks, Mark


def test_each_contribution_is_what_was_waited_for() -> None:
    marks = LatencyMarks(4, 1_000)
    for mark, at_ms in zip(Mark, (1_500, 1_500, 1_650, 1_800, 1_830, 1_850), strict=True):
        marks.mark(mark, at_ms)
    latency = marks.result()
    assert latency is not None
    assert (latency.turn, latency.total_ms) == (4, 850)
    assert list(latency.contributions_ms.values()) == [500, 0, 150, 150, 30, 20]


def test_without_voice_there_is_no_latency() -> None:
    marks = LatencyMarks(1, 0)
    marks.mark(Mark.MODEL, 10)
    assert marks.result() is None


def test_only_the_first_time_counts() -> None:
    marks = LatencyMarks(1, 0)
    marks.mark(Mark.PLAYOUT, 10)
    marks.mark(Mark.PLAYOUT, 99)
    latency = marks.result()
    assert latency is not None
    assert latency.total_ms == 10


def test_what_a_guess_did_before_the_turn_was_over_is_hidden() -> None:
    guess = AttemptMarks()
    guess.began(Mark.MODEL, 1_100)
    for mark, at_ms in ((Mark.MODEL, 1_350), (Mark.TEXT, 1_400), (Mark.VOICE, 1_520)):
        guess.mark(mark, at_ms)
    marks = LatencyMarks(4, 1_000, guess)
    marks.mark(Mark.ENDPOINTING, 1_200)
    marks.began(Mark.TRANSCRIPTION, 1_090)
    marks.mark(Mark.TRANSCRIPTION, 1_210)
    marks.mark(Mark.MODEL, 9_999)
    marks.mark(Mark.PLAYOUT, 1_540)
    latency = marks.result()
    assert latency is not None
    assert list(latency.contributions_ms.values()) == [200, 10, 140, 50, 120, 20]
    assert latency.hidden_ms == {Mark.TRANSCRIPTION: 110, Mark.MODEL: 110, Mark.TEXT: 0, Mark.VOICE: 0}


def test_an_answer_that_was_ready_costs_nothing_but_its_playout() -> None:
    guess = AttemptMarks()
    guess.began(Mark.MODEL, 1_000)
    for mark, at_ms in ((Mark.MODEL, 1_250), (Mark.TEXT, 1_300), (Mark.VOICE, 1_420)):
        guess.mark(mark, at_ms)
    marks = LatencyMarks(4, 1_000, guess)
    marks.mark(Mark.ENDPOINTING, 2_600)
    marks.mark(Mark.TRANSCRIPTION, 2_600)
    marks.mark(Mark.PLAYOUT, 2_610)
    latency = marks.result()
    assert latency is not None
    assert list(latency.contributions_ms.values()) == [1_600, 0, 0, 0, 0, 10]
    assert latency.hidden_ms == {Mark.MODEL: 250, Mark.TEXT: 50, Mark.VOICE: 120}


_TIMES = st.dictionaries(st.sampled_from(Mark), st.floats(0, 10_000))


@given(_TIMES, _TIMES, st.floats(0, 10_000))
def test_contributions_add_up(times: dict[Mark, float], begins: dict[Mark, float], speech_end_ms: float) -> None:
    marks = LatencyMarks(1, speech_end_ms)
    for mark, at_ms in times.items():
        marks.mark(mark, at_ms)
    for mark, at_ms in begins.items():
        marks.began(mark, at_ms)
    latency = marks.result()
    if latency is not None:
        assert min(latency.contributions_ms.values()) >= 0
        assert sum(latency.contributions_ms.values()) == pytest.approx(latency.total_ms)
        assert min(latency.hidden_ms.values(), default=0) >= 0
        for mark, hidden_ms in latency.hidden_ms.items():
            if mark in begins and hidden_ms > 0:
                assert hidden_ms + latency.contributions_ms[mark] == pytest.approx(times[mark] - begins[mark])
