"""Voice on its way into playout."""

import pytest

from natter_gateway.conductor.voice_intake import MOST_EARLY, VoiceIntake
from natter_gateway.media.playout import Playout
from natter_gateway.media.segment import PlayoutGapError
from natter_gateway.reply import Reply
from natter_gateway.turns.events import Modality
from natter_proto import Header, Voice, Word, pcm_audio

PCM = b"\x00\x10" * 4_800


def voice(segment: int, first_sample: int = 0, word: str = "one") -> Voice:
    words = [Word(text=word, from_sample=first_sample, to_sample=first_sample + 4_800)]
    return Voice(
        header=Header(turn=1, attempt=1, segment=segment), audio=pcm_audio(PCM, 24_000, first_sample), words=words
    )


@pytest.fixture
def reply() -> Reply:
    return Reply((1, 1), Modality.VOICE, 1)


def never() -> None:
    raise AssertionError("nothing is over the bound")


def test_voice_that_overtook_its_text_waits_for_it(reply: Reply) -> None:
    playout = Playout()
    intake = VoiceIntake(playout, never)
    assert not intake.admit(reply, voice(1))
    assert intake.set_free(reply) == []
    reply.add_segment(1, "one two", "one two")
    (free,) = intake.set_free(reply)
    intake.take(reply, free)
    assert playout.queued_samples == 4_800
    assert not intake.waiting


def test_what_waits_for_a_text_that_will_not_come_is_forgotten(reply: Reply) -> None:
    intake = VoiceIntake(Playout(), never)
    intake.admit(reply, voice(1))
    assert intake.waiting
    intake.forget()
    reply.add_segment(1, "one", "one")
    assert intake.set_free(reply) == []


def test_of_too_much_that_waits_the_oldest_is_dropped_and_counted(reply: Reply) -> None:
    dropped: list[bool] = []
    intake = VoiceIntake(Playout(), lambda: dropped.append(True))
    for number in range(MOST_EARLY + 3):
        intake.admit(reply, voice(1, number * 4_800))
    assert len(dropped) == 3
    reply.add_segment(1, "one two", "one two")
    free = intake.set_free(reply)
    assert (len(free), free[0].audio.first_sample) == (MOST_EARLY, 3 * 4_800)


def test_of_voice_behind_a_gap_nothing_counts(reply: Reply) -> None:
    intake = VoiceIntake(Playout(), never)
    reply.add_segment(1, "one two three", "one two three")
    intake.take(reply, voice(1))
    with pytest.raises(PlayoutGapError):
        intake.take(reply, voice(1, 9_600, "three"))
    _, (rest,) = reply.hand_over_voice()
    assert rest.text == "two three"
    assert reply.place(1, 0) == 4_800
