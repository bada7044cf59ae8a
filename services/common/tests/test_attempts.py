"""Which frames of attempts may be acted on, whatever order states and frames come in."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from natter_common.attempts import EARLY_MAX_FRAMES, EARLY_MAX_S, AttemptGate
from natter_proto import Attempt, Header, State


class Drops(Counter[str]):
    """Frames that were dropped, by reason."""

    def __call__(self, reason: str) -> None:
        self[reason] += 1


def state(number: int, *living: tuple[int, int], term: int = 1) -> State:
    return State(
        header=Header(term=term),
        number=number,
        attempts=[Attempt(turn=turn, attempt=attempt) for turn, attempt in living],
    )


def test_frames_of_living_attempts_pass() -> None:
    gate: AttemptGate[str] = AttemptGate(Drops())
    gate.on_state(state(1, (1, 1)), 0.0)
    assert gate.admit((1, 1), "a", 0.0)
    assert gate.living((1, 1)) is not None


def test_frames_ahead_of_their_state_come_with_it_in_order() -> None:
    gate: AttemptGate[str] = AttemptGate(Drops())
    assert not gate.admit((2, 1), "a", 0.0)
    assert not gate.admit((2, 1), "b", 0.1)
    assert gate.on_state(state(1, (2, 1)), 0.2) == ["a", "b"]


def test_frames_wait_for_half_a_second_at_most() -> None:
    drops = Drops()
    gate: AttemptGate[str] = AttemptGate(drops)
    gate.admit((2, 1), "a", 0.0)
    assert gate.on_state(state(1, (2, 1)), EARLY_MAX_S + 0.01) == []
    assert drops == {"no_state": 1}


def test_dead_attempts_stay_dead() -> None:
    drops = Drops()
    gate: AttemptGate[str] = AttemptGate(drops)
    gate.on_state(state(1, (1, 1)), 0.0)
    gate.on_state(state(2), 0.0)
    assert not gate.admit((1, 1), "a", 0.0)
    assert gate.on_state(state(3, (2, 1)), 0.0) == []
    assert drops == {"dead_attempt": 1}


def test_what_was_held_back_for_an_attempt_that_never_lived_is_dropped() -> None:
    drops = Drops()
    gate: AttemptGate[str] = AttemptGate(drops)
    gate.admit((2, 1), "a", 0.0)
    gate.admit((2, 1), "b", 0.0)
    assert gate.on_state(state(1, (3, 1)), 0.0) == []
    assert drops == {"dead_attempt": 2}


def test_an_older_state_changes_nothing() -> None:
    gate: AttemptGate[str] = AttemptGate(Drops())
    gate.on_state(state(5, (2, 1)), 0.0)
    gate.on_state(state(4, (1, 1)), 0.0)
    assert gate.living((1, 1)) is None
    assert gate.is_news(state(1, term=2))
    assert not gate.is_news(state(5))


def test_what_waits_is_bounded() -> None:
    drops = Drops()
    gate: AttemptGate[int] = AttemptGate(drops)
    for number in range(EARLY_MAX_FRAMES + 10):
        gate.admit((9, 1), number, 0.0)
    assert gate.on_state(state(1, (9, 1)), 0.0) == list(range(10, EARLY_MAX_FRAMES + 10))
    assert drops == {"too_many_early": 10}


@given(st.lists(st.one_of(st.integers(1, 6), st.tuples(st.integers(1, 6), st.integers(1, 2)))))
def test_nothing_is_delivered_for_an_attempt_that_the_newest_state_does_not_name(
    steps: list[int | tuple[int, int]],
) -> None:
    gate: AttemptGate[tuple[int, int]] = AttemptGate(Drops())
    living: set[tuple[int, int]] = set()
    number = 0
    for step in steps:
        if isinstance(step, int):
            number += 1
            living = {(step, 1)}
            delivered = gate.on_state(state(number, (step, 1)), 0.0)
        else:
            delivered = [step] if gate.admit(step, step, 0.0) else []
        assert set(delivered) <= living
