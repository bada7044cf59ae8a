"""How fast voice comes."""

import pytest

from natter_tts.arrival import ArrivalSpeed
from natter_tts.provider import RATE_HZ

PIECE = RATE_HZ // 10


def speak(seen: ArrivalSpeed, speed: float, pieces: int, begin_s: float = 0.0) -> None:
    segment = seen.measure()
    for n in range(pieces):
        segment.note(n * PIECE, PIECE, begin_s + n * 0.1 / speed)


def test_it_is_measured_over_the_first_half_second() -> None:
    seen = ArrivalSpeed()
    assert seen.least == 0.0
    speak(seen, 8.0, 4)
    assert seen.least == 0.0
    speak(seen, 8.0, 5, begin_s=5.0)
    assert seen.least == pytest.approx(8.0)


def test_the_slowest_of_the_last_counts() -> None:
    seen = ArrivalSpeed()
    for speed in (8.0, 2.0, *[10.0] * 7):
        speak(seen, speed, 20)
    assert seen.least == pytest.approx(2.0)
    speak(seen, 10.0, 20)
    assert seen.least == pytest.approx(10.0)


def test_segments_of_several_sessions_do_not_disturb_each_other() -> None:
    seen = ArrivalSpeed()
    one, other = seen.measure(), seen.measure()
    for n in range(6):
        one.note(n * PIECE, PIECE, n * 0.1 / 8.0)
        other.note(n * PIECE, PIECE, 7.0 + n * 0.1 / 8.0)
    assert seen.least == pytest.approx(8.0)
