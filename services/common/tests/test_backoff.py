"""Waits between tries: they double up to a limit, are never in step, and begin anew after a success."""

import random

from hypothesis import given
from hypothesis import strategies as st

from natter_common.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(1.0, 8.0, random.Random(1))
    ceilings = (1.0, 2.0, 4.0, 8.0, 8.0)
    for ceiling_s in ceilings:
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s


def test_a_success_begins_anew() -> None:
    backoff = Backoff(1.0, 8.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1.0


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_two_that_fail_together_do_not_come_back_together(one: int, other: int) -> None:
    if one != other:
        first, second = Backoff(source=random.Random(one)), Backoff(source=random.Random(other))
        assert [first.next_s() for _ in range(4)] != [second.next_s() for _ in range(4)]
