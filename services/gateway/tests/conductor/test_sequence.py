"""Frames that are missing are noticed by their numbers."""

from natter_gateway.conductor.sequence import FrameSequence
from natter_proto import Header


def header(number: int, epoch: int = 1) -> Header:
    return Header(term=1, epoch=epoch, number=number)


def test_frames_in_order_lack_nothing() -> None:
    sequence = FrameSequence()
    assert not any(sequence.lacks("voice", header(number)) for number in (1, 2, 3))
    assert not sequence.lacks("reply", header(1))


def test_a_gap_is_said_once_and_the_first_frame_counts() -> None:
    sequence = FrameSequence()
    assert sequence.lacks("voice", header(2))
    assert not sequence.lacks("voice", header(3))
    assert sequence.lacks("voice", header(5))
    assert not sequence.lacks("voice", header(4)), "late, and nothing is lacking by it"
    assert not sequence.lacks("voice", header(6))


def test_another_lease_counts_from_one() -> None:
    sequence = FrameSequence()
    sequence.lacks("voice", header(1))
    assert not sequence.lacks("voice", header(1, epoch=2))
    assert sequence.lacks("voice", header(1 + 2, epoch=2))


def test_frames_without_a_number_say_nothing() -> None:
    assert not FrameSequence().lacks("voice", Header(term=1, epoch=1))
