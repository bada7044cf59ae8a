"""Reception statistics and the loss estimate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.media.reports import LossEstimate, ReceptionStatistics


def test_loss_is_counted_between_reports() -> None:
    statistics = ReceptionStatistics()
    for number in range(100):
        if number % 10 != 3:
            statistics.add((65500 + number) & 0xFFFF, 960 * number, number * 0.02)
    assert statistics.packets_expected == 100
    assert statistics.packets_lost == 10
    assert statistics.max_seq == 65500 + 99, "the extended number counts the wraps"
    assert statistics.fraction_lost == 10 * 256 // 100
    assert statistics.fraction_lost == 0, "nothing since the last report"


def test_jitter_is_nothing_for_an_even_stream_and_follows_an_uneven_one() -> None:
    even, uneven = ReceptionStatistics(), ReceptionStatistics()
    for number in range(200):
        even.add(number, 960 * number, number * 0.02)
        uneven.add(number, 960 * number, number * 0.02 + 0.005 * (number % 2))
    assert even.jitter <= 1
    assert uneven.jitter == pytest.approx(240, rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.floats(0, 1e6)), max_size=60))
def test_every_field_fits_its_width(packets) -> None:
    statistics = ReceptionStatistics()
    for packet in packets:
        statistics.add(*packet)
    assert 0 <= statistics.max_seq < 2**32
    assert 0 <= statistics.jitter < 2**32
    assert -(2**23) <= statistics.packets_lost < 2**23
    assert 0 <= statistics.fraction_lost <= 255


def test_estimate_rises_at_once_and_falls_slowly() -> None:
    estimate = LossEstimate()
    assert estimate.percent == 0
    assert estimate.add(26) == 11
    falling = [estimate.add(0) for _ in range(20)]
    assert falling[0] == 9
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == 0
    assert estimate.add(255) == 100
