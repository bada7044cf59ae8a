"""Frames are acted on in their order, each once; what is missing holds up what follows."""

from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.conductor.sequence import MOST_HELD, FrameSequence


def ignored(_kind: str) -> None:
    """For who does not look at what is dropped."""


def test_frames_in_order_pass() -> None:
    sequence = FrameSequence[str](ignored)
    assert sequence.take("voice", 1, "a") == ["a"]
    assert sequence.take("voice", 2, "b") == ["b"]
    assert sequence.take("reply", 1, "c") == ["c"]
    assert not sequence.lacks
    assert sequence.have == {"voice": 2, "reply": 1}


def test_what_follows_a_gap_waits_for_it() -> None:
    sequence = FrameSequence[str](ignored)
    assert sequence.take("voice", 2, "b") == ()
    assert sequence.lacks
    assert sequence.have == {"voice": 0}
    assert sequence.take("reply", 1, "r") == ["r"], "another subject has its own order"
    assert sequence.take("voice", 4, "d") == ()
    assert sequence.take("voice", 1, "a") == ["a", "b"]
    assert sequence.lacks
    assert sequence.take("voice", 3, "c") == ["c", "d"]
    assert not sequence.lacks


def test_what_came_before_is_not_acted_on_again() -> None:
    sequence = FrameSequence[str](ignored)
    sequence.take("voice", 1, "a")
    assert sequence.take("voice", 1, "a again") == ()
    assert not sequence.lacks


def test_a_frame_that_nothing_follows_is_missed_by_what_the_worker_tells() -> None:
    sequence = FrameSequence[str](ignored)
    sequence.told({"voice": 0})
    assert not sequence.lacks
    sequence.told({"voice": 1})
    assert sequence.lacks
    sequence.told({"voice": 0})
    assert sequence.lacks, "what is told later was perhaps said earlier"
    assert sequence.take("voice", 1, "a") == ["a"]
    assert not sequence.lacks


def test_what_is_over_the_bound_is_missing_too() -> None:
    dropped: list[str] = []
    sequence = FrameSequence[int](dropped.append)
    last = MOST_HELD + 5
    for number in range(2, last + 1):
        sequence.take("voice", number, number)
    sequence.take("voice", 2, 2)
    assert dropped == ["voice"] * 4, "one that is held and comes again is not lost"
    assert len(sequence.take("voice", 1, 1)) == MOST_HELD + 1
    assert sequence.lacks
    assert sequence.have == {"voice": MOST_HELD + 1}


@given(st.lists(st.integers(1, 12), max_size=60))
def test_each_once_in_order_whatever_comes_when(numbers: list[int]) -> None:
    sequence = FrameSequence[int](ignored)
    acted = [item for number in numbers for item in sequence.take("voice", number, number)]
    for number in range(1, 13):
        acted += sequence.take("voice", number, number)
    assert acted == list(range(1, 13))
    assert not sequence.lacks
