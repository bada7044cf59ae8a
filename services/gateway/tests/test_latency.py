"""Contributions of a turn's latency: never negative, always adding up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.latency import LatencyMarks, Mark


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


@given(st.dictionaries(st.sampled_from(Mark), st.floats(0, 10_000)), st.floats(0, 10_000))
def test_contributions_add_up(times: dict[Mark, float], speech_end_ms: float) -> None:
    marks = LatencyMarks(1, speech_end_ms)
    for mark, at_ms in times.items():
        marks.mark(mark, at_ms)
    latency = marks.result()
    if latency is not None:
        assert min(latency.contributions_ms.values()) >= 0
        assert sum(latency.contributions_ms.values()) == pytest.approx(latency.total_ms)
