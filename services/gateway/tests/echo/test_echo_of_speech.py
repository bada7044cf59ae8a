"""The filter in rooms with real speech: the bot's own voice does nothing, a caller on top is noticed."""

from typing import Any

import numpy as np
import pytest

from natter_gateway.echo import EchoFilter, level_dbfs
from natter_proto import Speech, SpeechEvent

REPLIES = (
    "Hello, I am Natter, and I am happy to talk with you today. What would you like to know?",
    "Paris is the capital of France, and it lies on the river Seine. Many people visit it each year.",
    "A week has seven days, and most people work on five of them, if they are lucky.",
)
FRAME_MS = 20
MIC_FRAME = 320


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


@pytest.mark.parametrize("words", ["I have another question for you.", "No."])
@pytest.mark.parametrize("gain_db", [-8, -22])
@pytest.mark.parametrize("at_ms", [60, 160, 360])
def test_a_voice_that_begins_like_the_first_echo_is_noticed_when_it_goes_on_otherwise(
    new_room: Any, spoken: Any, words: str, gain_db: float, at_ms: int
) -> None:
    room = new_room(echo_db=None)
    room.play(REPLIES[0], spoken(words, gain_db), at_ms)
    assert room.onsets()[0] <= room.reported[0][0] + 340
    assert not room.echo.own_words(0)
    assert room.echo.path is None


@pytest.mark.parametrize("words", ["Stop, wait a moment please.", "Could you repeat that?"])
def test_with_an_unknown_echo_a_caller_on_top_is_noticed(new_room: Any, spoken: Any, words: str) -> None:
    room = new_room()
    began_ms = room.play(REPLIES[0], spoken(words), 400)
    assert room.onsets()[0] <= began_ms + 300


def test_what_passed_before_the_echo_was_known_is_taken_back(new_room: Any) -> None:
    # So loud that it is not believed to be an echo at once.
    room = new_room(echo_db=-6.0)
    room.play("The boats are in the harbour, the birds are on the wall.")
    began, *_, (ended_ms, ended) = room.passed
    assert began[1].event == SpeechEvent.SPEECH_EVENT_ONSET
    assert ended.event in (SpeechEvent.SPEECH_EVENT_PAUSE, SpeechEvent.SPEECH_EVENT_FALSE_ONSET)
    assert ended.sample == began[1].sample
    assert ended_ms < room.reported[-1][0]
    assert room.echo.own_words(ended.through_sample)
    passed = len(room.passed)
    room.play(REPLIES[1])
    assert len(room.passed) == passed


def test_what_was_over_before_the_echo_was_known_has_no_words(new_room: Any) -> None:
    room = new_room(echo_db=-8.0)
    room.play(REPLIES[0])
    assert [report.event for _, report in room.passed][-1] == SpeechEvent.SPEECH_EVENT_PAUSE
    assert room.echo.own_words(room.passed[-1][1].through_sample)


def test_a_caller_who_spoke_before_the_first_reply_said_it(new_room: Any, spoken: Any) -> None:
    room = new_room()
    voice, nothing = spoken("What is the capital of France?"), np.zeros(320)
    for at in range(0, len(voice) - 320, 320):
        room.frame(None, nothing, voice[at : at + 320])
    for _ in range(20):
        room.frame(None, nothing, nothing)
    told = list(room.passed)
    assert told
    room.play(REPLIES[1])
    assert room.passed == told
    assert room.echo.path is not None
    assert not room.echo.own_words(told[-1][1].through_sample)


def test_words_over_an_echo_are_the_bots_until_a_caller_speaks(new_room: Any, spoken: Any) -> None:
    room = new_room()
    room.play(REPLIES[0])
    swallowed = room.reported[0][1].sample
    assert room.echo.own_words(0)
    assert room.echo.own_words(swallowed + 1)
    # The answer to what was asked before the bot spoke.
    assert not room.echo.own_words(swallowed)
    room.play(REPLIES[1], spoken("Stop, wait a moment please."), 1_200)
    assert room.onsets()


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


def test_who_answers_a_short_reply_in_as_many_words_is_no_echo() -> None:
    reply = [-31, -28, -24, -21, -19, -18, -18, -18, -20, -23, -26]
    reply += [-29, -31, -29, -26, -23, -20, -18, -18, -18, -19, -25]
    caller = [-63, -41, -43, -40, -21, -20, -19, -20, -21, -20, -20, -20, -25, -46, -53, -36, -39, -36, -31, -31, -23]
    caller += [-21, -22, -23, -23, -24, -21, -22, -24, -30]
    echo = EchoFilter()
    for frame in range(75):
        at_ms = 1_000.0 + frame * FRAME_MS
        if frame < len(reply):
            echo.played(reply[frame], at_ms)
        spoken = 0 <= frame - 38 < len(caller)
        echo.heard(caller[frame - 38] if spoken else -90.0, (frame + 1) * MIC_FRAME, at_ms)
    assert echo.path is None


def test_a_detector_that_never_told_an_end_does_not_cost_the_next_words() -> None:
    """It died; the next one knows nothing of what was said before."""
    echo = EchoFilter()
    passed = [
        frame.event
        for event, sample in (
            (SpeechEvent.SPEECH_EVENT_ONSET, 16_000),
            (SpeechEvent.SPEECH_EVENT_SPEECH, 16_000),
            (SpeechEvent.SPEECH_EVENT_ONSET, 64_000),
            (SpeechEvent.SPEECH_EVENT_SPEECH, 64_000),
            (SpeechEvent.SPEECH_EVENT_PAUSE, 80_000),
        )
        for frame in echo.speech(Speech(event=event, sample=sample, through_sample=sample), sample / 16)
    ]
    assert passed.count(SpeechEvent.SPEECH_EVENT_SPEECH) == 2
    assert passed[-1] == SpeechEvent.SPEECH_EVENT_PAUSE
