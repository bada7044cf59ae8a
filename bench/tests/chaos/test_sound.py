"""From sound to turns: marked words, holes, what was going on when a kill fell."""

import numpy as np
import pytest

from natter_bench.chaos.sound import heard_built_in_turns, heard_turns, phase_of
from natter_bench.conversation import Exchange
from natter_bench.opus import Encoder, Pcm
from natter_bench.recording import VOICE_HZ, ReceivedPacket, Recording, SentFrame
from natter_bench.speech import say
from natter_bench.talk.observer import Observed, VoicedSegment
from natter_emulators.marks import speak

REPLY = "Sure, I can help you with that."
FRAME_S = 0.02


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * VOICE_HZ), dtype=np.int16)


def call(*parts: Pcm, spoken_s: tuple[float, float] = (0.1, 0.5)) -> Recording:
    """A call that begins at 0 s: the caller speaks, and the parts are heard one behind the other."""
    encoder = Encoder(VOICE_HZ)
    size = encoder.frame_samples
    sound = np.concatenate(parts)
    recording = Recording()
    for number, at in enumerate(range(0, len(sound) - size + 1, size)):
        time_s = number * FRAME_S
        payload = encoder.encode(sound[at : at + size])
        recording.packets.append(ReceivedPacket(time_s, number, number * 960, payload))
        recording.sent.append(SentFrame(time_s, -20.0 if spoken_s[0] <= time_s < spoken_s[1] else -90.0))
    return recording


def voice() -> Pcm:
    return speak(REPLY, VOICE_HZ).pcm


def test_a_turn_as_it_was_heard() -> None:
    (turn,) = heard_turns(call(silence(1.2), voice(), silence(0.5)), [Exchange(0.0, 9.0)], [REPLY])
    assert turn.wait_ms == pytest.approx(720, abs=45)
    assert turn.words == ("sure", "i", "can", "help", "you", "with", "that")
    assert turn.pause_ms < 150
    assert turn.hole_ms == 0


def test_a_break_between_words_is_a_hole_and_loses_none() -> None:
    marked = speak(REPLY, VOICE_HZ)
    cut = (marked.words[2].to_sample + marked.words[3].from_sample) // 2
    sound = call(silence(1.2), marked.pcm[:cut], silence(0.8), marked.pcm[cut:], silence(0.5))
    (turn,) = heard_turns(sound, [Exchange(0.0, 9.0)], [REPLY])
    assert turn.words == ("sure", "i", "can", "help", "you", "with", "that")
    assert turn.pause_ms == pytest.approx(880, abs=60)
    assert turn.hole_ms == pytest.approx(800, abs=60)


def test_a_word_that_is_said_again_is_there_twice() -> None:
    marked = speak(REPLY, VOICE_HZ)
    again = marked.words[2].from_sample
    cut = (marked.words[3].to_sample + marked.words[4].from_sample) // 2
    sound = call(silence(1.2), marked.pcm[:cut], marked.pcm[again:], silence(0.5))
    (turn,) = heard_turns(sound, [Exchange(0.0, 9.0)], [REPLY])
    assert turn.words == ("sure", "i", "can", "help", "can", "help", "you", "with", "that")


def test_nobody_answers() -> None:
    (turn,) = heard_turns(call(silence(3.0)), [Exchange(0.0, 9.0)], [REPLY])
    assert turn.missed
    assert turn.wait_ms is None


@pytest.mark.parametrize(
    ("time_s", "phase"),
    [
        (None, ""),
        (0.05, "before"),
        (0.3, "caller speaks"),
        (0.8, "pause"),
        (1.7, "bot speaks"),
        (4.5, "after"),
    ],
)
def test_what_was_going_on(time_s: float | None, phase: str) -> None:
    recording = call(silence(1.2), voice(), silence(1.5))
    assert phase_of(recording, Exchange(0.0, 9.0), time_s) == phase


def test_a_segment_of_the_built_in_voice_that_is_heard_twice() -> None:
    made = say("Today we look at the fishing boats in the harbour.").at(VOICE_HZ).pcm
    observed = Observed(committed={(1, 1): 0.6}, segments=[VoicedSegment((1, 1), 1, made, ())])
    once = call(silence(1.2), made, silence(1.0))
    twice = call(silence(1.2), made, silence(0.3), made, silence(1.0))
    (turn,) = heard_built_in_turns(once, [Exchange(0.0, 20.0)], observed)
    assert (turn.segments_lost, turn.segments_doubled, turn.hole_ms) == (0, 0, 0)
    (turn,) = heard_built_in_turns(twice, [Exchange(0.0, 20.0)], observed)
    assert (turn.segments_lost, turn.segments_doubled) == (0, 1)
    (turn,) = heard_built_in_turns(call(silence(4.0)), [Exchange(0.0, 20.0)], observed)
    assert (turn.segments_lost, turn.missed) == (1, True)


def test_words_that_come_again_in_another_segment_are_no_doubled_one() -> None:
    texts = ("The boats in the harbour look old.", "The boats that come home in the morning bring a lot of fish.")
    made = [say(text).at(VOICE_HZ).pcm for text in texts]
    segments = [VoicedSegment((1, 1), number, pcm, ()) for number, pcm in enumerate(made, 1)]
    observed = Observed(committed={(1, 1): 0.6}, segments=segments)
    sound = call(silence(1.2), *made, silence(1.0))
    (turn,) = heard_built_in_turns(sound, [Exchange(0.0, 20.0)], observed)
    assert (turn.segments_lost, turn.segments_doubled) == (0, 0)
