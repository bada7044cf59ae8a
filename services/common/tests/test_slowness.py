"""A worker is slow when its work takes long, and only for as long as it does."""

import pytest

from natter_common.worker.slowness import Slowness


def test_a_worker_that_did_nothing_is_not_slow() -> None:
    assert Slowness().now(1_000.0) == 0.0


def test_work_that_goes_on_being_slow_shows_and_one_slow_answer_hardly() -> None:
    slowness = Slowness()
    for second in range(10):
        slowness.note(0.2, 1.0, float(second))
    assert slowness.now(9.0) < 0.2
    slowness.note(1.2, 1.0, 10.0)
    assert slowness.now(10.0) < 0.8
    for second in range(11, 18):
        slowness.note(1.2, 1.0, float(second))
    assert slowness.now(17.0) > 0.8


def test_what_was_slow_is_forgotten() -> None:
    slowness = Slowness()
    for _ in range(10):
        slowness.note(2.0, 1.0, 0.0)
    assert slowness.now(0.0) == pytest.approx(2.0, abs=0.02)
    assert slowness.now(5.0) == pytest.approx(1.0, abs=0.01)
    assert slowness.now(10.0) == 0.0
    assert slowness.now(99.0) == 0.0
