"""The filter in rooms with real speech: the bot's own voice does nothing, a caller on top is noticed."""

from typing import Any

import pytest

from natter_gateway.echo import level_dbfs

REPLIES = (
    "Hello, I am Natter, and I am happy to talk with you today. What would you like to know?",
    "Paris is the capital of France, and it lies on the river Seine. Many people visit it each year.",
    "A week has seven days, and most people work on five of them, if they are lucky.",
)
FRAME_MS = 20


@pytest.mark.parametrize("delay_ms", [60, 180, 340])
@pytest.mark.parametrize("noise_dbfs", [-80.0, -58.0])
def test_the_bots_own_voice_is_nobody(new_room: Any, delay_ms: int, noise_dbfs: float) -> None:
    room = new_room(delay_ms=delay_ms, noise_dbfs=noise_dbfs)
    for reply in REPLIES:
        room.play(reply)
    assert len(room.reported) > 6
    assert room.passed == []
    assert room.echo.path.delay_slots == pytest.approx(delay_ms / FRAME_MS, abs=1)
    assert room.echo.path.gain_db == pytest.approx(-20, abs=2)


def test_a_long_round_trip_is_learned(new_room: Any) -> None:
    room = new_room(delay_ms=700)
    for _ in range(2):
        for reply in REPLIES:
            room.play(reply)
    began_ms = room.now_ms
    for reply in REPLIES:
        room.play(reply)
    assert room.onsets(began_ms) == []


def test_a_long_round_trip_that_is_known_costs_nothing(new_room: Any) -> None:
    room = new_room(delay_ms=600)
    room.echo.set_round_trip(400)
    for reply in REPLIES:
        room.play(reply)
    assert room.passed == []


@pytest.mark.parametrize(
    "words", ["Stop, wait a moment please.", "No, that is not what I meant.", "Can you tell me more?"]
)
@pytest.mark.parametrize("at_ms", [1_200, 2_000, 2_740])
def test_a_caller_on_top_is_noticed(new_room: Any, spoken: Any, words: str, at_ms: int) -> None:
    room = new_room()
    room.play(REPLIES[0])
    voice = spoken(words)
    began_ms = room.play(REPLIES[1], voice, at_ms)
    # A hiss is not compared: the s of "stop" is noticed with what follows it.
    frames = (voice[at : at + 320].astype("<i2").tobytes() for at in range(0, len(voice), 320))
    quiet_head_ms = next(number for number, frame in enumerate(frames) if level_dbfs(frame) > -30) * FRAME_MS
    assert quiet_head_ms <= 160
    noticed = room.onsets()
    assert began_ms <= noticed[0] <= began_ms + quiet_head_ms + 100


def test_a_caller_on_top_is_told_whole_and_once(new_room: Any, spoken: Any) -> None:
    room = new_room()
    room.play(REPLIES[0])
    room.play(REPLIES[1], spoken("Stop it."), 1_000)
    names = [report.event for _, report in room.passed]
    begins = [event for event in names if event in (1, 4)]
    ends = [event for event in names if event in (3, 5)]
    assert len(begins) == len(ends) >= 1


@pytest.mark.parametrize(
    ("gain_db", "at_ms"), [(0.0, 60), (0.0, 400), (0.0, 900), (0.0, 2_000), (-15.0, 900), (-15.0, 2_000)]
)
def test_with_headphones_nothing_is_swallowed_or_late(new_room: Any, spoken: Any, gain_db: float, at_ms: int) -> None:
    room = new_room(echo_db=None)
    room.play(REPLIES[0], spoken("I have another question for you.", gain_db), at_ms)
    assert room.reported
    assert room.passed == room.reported
    assert room.echo.path is None


def test_a_soft_voice_that_begins_like_the_first_echo_is_noticed_when_it_goes_on_otherwise(
    new_room: Any, spoken: Any
) -> None:
    room = new_room(echo_db=None)
    room.play(REPLIES[0], spoken("I have another question for you.", -15), 400)
    assert room.onsets()[0] <= room.reported[0][0] + 400
    assert room.echo.path is None


def test_headphones_put_on_later_end_the_echo(new_room: Any, spoken: Any) -> None:
    room = new_room()
    room.play(REPLIES[0])
    assert room.echo.path is not None
    room.echo_db = None
    room.play(REPLIES[1])
    assert room.echo.path is None
    since_ms = room.now_ms
    room.play(REPLIES[2], spoken("Hello?", -15), 1_000)
    reported, passed = (
        [(at, report.sample) for at, report in reports if at > since_ms] for reports in (room.reported, room.passed)
    )
    assert passed == reported


def test_nothing_is_measured_while_the_bot_is_silent(new_room: Any) -> None:
    room = new_room()
    assert not room.echo.listening(room.now_ms)
    room.play(REPLIES[2])
    assert room.echo.listening(room.now_ms - 500)
    assert not room.echo.listening(room.now_ms + 500)
