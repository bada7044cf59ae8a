"""The conductor with a real machine, reply and playout: reports in, frames and page messages out."""

import asyncio
from typing import Any

import pytest

from natter_gateway.leases.board import HeldLease
from natter_gateway.turns.events import Modality
from natter_proto import (
    Finalize,
    Header,
    Playout,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Stage,
    State,
    Transcript,
    Turn,
    Usage,
    Voice,
    Word,
    pcm_audio,
)


async def test_a_turn_on_the_wire(new_stages: Any) -> None:
    stages = new_stages()
    stages.clock.observe(40_000, 1.0)
    await stages.speak("what time is it")
    turn = stages.of(Turn)[-1]
    assert (turn.text, [message.content for message in turn.context]) == ("what time is it", ["Be kind."])
    stages.segment(1, "It is ten.")
    stages.end_reply(1)
    stages.play(1_000)
    assert [kind for kind in stages.types() if kind != "bot-tts-text"] == [
        "user-started-speaking",
        "user-transcription",
        "user-stopped-speaking",
        "user-llm-text",
        "bot-llm-started",
        "bot-tts-started",
        "metrics",
        "bot-started-speaking",
        "bot-output",
        "bot-output",
        "bot-output",
        "bot-output",
        "bot-tts-stopped",
        "bot-llm-stopped",
        "bot-stopped-speaking",
    ]
    outputs = [message["data"] for message in stages.sent if message["type"] == "bot-output"]
    assert [output["spoken_status"] for output in outputs] == ["new", "in-progress", "in-progress", "completed"]
    assert {output["segment_id"] for output in outputs} == {1}
    assert [utterance.text for utterance in stages.conductor.context.utterances] == ["what time is it", "It is ten."]


async def test_the_latency_that_is_told_adds_up(new_stages: Any) -> None:
    stages = new_stages()
    stages.clock.observe(40_000, asyncio.get_running_loop().time() * 1000)
    await stages.speak("hello")
    stages.segment(1, "Hi.")
    stages.play(40)
    told = next(message["data"]["natter"]["latency"] for message in stages.sent if message["type"] == "metrics")
    assert sum(item["ms"] for item in told["contributions"]) == pytest.approx(told["total_ms"], abs=0.5)
    assert told["total_ms"] >= 1_500  # the speech ended 24,000 samples before what was read


async def test_what_a_generation_took_is_told(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    usage = Usage(prompt_tokens=10, completion_tokens=3)
    header = stages.header()
    stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_END, segments=1, usage=usage))
    told = next(message["data"] for message in stages.sent if message["type"] == "metrics")
    assert told == {"tokens": [{"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}]}


async def test_an_interruption_keeps_what_was_heard_and_silences_the_rest(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("tell me a story")
    stages.segment(1, "Once upon a time there was a king.")
    stages.play(700)
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
    stages.play(60)
    assert stages.conductor.playout.pop().pcm is None
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=90_000))
    assert "bot-interrupted" not in stages.types()
    stages.hear("stop")
    assert stages.of(State)[-1].attempts == []
    assert stages.conductor.context.utterances[-1].text == "Once upon a"
    assert stages.types()[-6:] == [
        "user-started-speaking",
        "bot-interrupted",
        "bot-tts-stopped",
        "bot-llm-stopped",
        "bot-stopped-speaking",
        "user-transcription",
    ]
    late = Voice(header=Header(term=1, epoch=1, turn=1, attempt=1, segment=1), audio=pcm_audio(bytes(960), 24_000, 0))
    stages.conductor.on_voice(late)
    assert stages.conductor.playout.pop().pcm is None
    assert 'kind="voice",reason="dead_attempt"} 1.0' in stages.metrics.exposition()[0].decode()


async def test_a_false_onset_goes_on_where_it_was_held(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("count")
    stages.segment(1, "one two three four five")
    stages.end_reply(1)
    stages.play(400)
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
    stages.play(200)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_FALSE_ONSET, sample=91_000))
    assert stages.conductor.playout.pop().pcm is None
    nothing = Transcript(header=base, final=True, finalize_id=stages.of(Finalize)[-1].finalize_id)
    stages.conductor.on_transcript(nothing)
    # It was held at 400 ms, 60 of them the fade: at the end of the second word, which is said whole.
    held, resumed = stages.of(Playout)[-2:]
    assert (held.held, resumed.held, resumed.sample) == (True, False, 4_800 * 2)
    stages.play(1_000)
    assert stages.conductor.context.utterances[-1].text == "one two three four five"
    assert "bot-interrupted" not in stages.types()


async def test_a_word_that_was_cut_is_said_again(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("count")
    stages.segment(1, "one two three four five")
    stages.end_reply(1)
    stages.play(500)
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
    stages.play(200)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_FALSE_ONSET, sample=91_000))
    stages.conductor.on_transcript(Transcript(header=base, final=True, finalize_id=stages.of(Finalize)[-1].finalize_id))
    frame = stages.conductor.playout.pop()
    assert frame.spans[0].first_sample == 4_800 * 2


async def test_speech_before_the_reply_was_heard_takes_the_turn_back(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("I would like some")
    stages.segment(1, "Some of what do you want?")
    stages.play(200)
    stages.interrupt("tea")
    assert stages.conductor.context.utterances == ()
    base = Header(session="abc", term=1, epoch=1)
    for event in (SpeechEvent.SPEECH_EVENT_SPEECH, SpeechEvent.SPEECH_EVENT_PAUSE):
        stages.conductor.on_speech(
            Speech(header=base, event=event, sample=91_000, through_sample=101_000, probability=0.9)
        )
    words = [Word(text="tea"), Word(text="please.")]
    stages.conductor.on_transcript(
        Transcript(header=base, words=words, final=True, finalize_id=stages.of(Finalize)[-1].finalize_id)
    )
    assert [utterance.text for utterance in stages.conductor.context.utterances] == ["I would like some tea please."]
    assert [(turn.header.turn, turn.header.attempt) for turn in stages.of(Turn)] == [(1, 1), (1, 2)]


async def test_once_enough_of_it_was_heard_it_is_an_interruption(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("I would like some")
    stages.segment(1, "Some of what do you want?")
    # 400 ms, and those that are still on the way to the caller's ear.
    stages.play(500)
    stages.interrupt("tea")
    assert [utterance.turn for utterance in stages.conductor.context.utterances] == [1, 1]


async def test_frames_of_an_older_lease_are_dropped(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    stages.conductor.on_reply(
        Reply(header=stages.header(1, epoch=7), kind=ReplyKind.REPLY_KIND_SEGMENT, text="no", spoken="no")
    )
    stages.end_reply(0)
    assert "bot-output" not in stages.types()


async def test_the_greeting_goes_straight_to_the_voice(new_stages: Any) -> None:
    stages = new_stages(greeting="Hi, I'm B. What's up?")
    stages.conductor.greet()
    spoken = [frame.spoken for frame in stages.of(Reply) if frame.kind == ReplyKind.REPLY_KIND_SEGMENT]
    assert spoken == ["Hi, I'm B.", "What's up?"]
    assert stages.of(Turn) == []
    assert "bot-llm-started" not in stages.types()


async def test_a_text_reply_is_shown_and_not_spoken(new_stages: Any) -> None:
    stages = new_stages()
    stages.conductor.typed("hi", Modality.TEXT, run_immediately=True)
    stages.conductor.on_reply(
        Reply(header=stages.header(1), kind=ReplyKind.REPLY_KIND_SEGMENT, text="Hello.", spoken="Hello.")
    )
    stages.end_reply(1)
    output = next(message["data"] for message in stages.sent if message["type"] == "bot-output")
    assert (output["spoken_status"], output["will_be_spoken"]) == ("new", False)
    assert "bot-started-speaking" not in stages.types()
    assert "user-transcription" not in stages.types()
    assert stages.conductor.context.utterances[-1].text == "Hello."


async def test_a_new_recognition_worker_is_asked_for_what_its_predecessor_owed(new_stages: Any) -> None:
    stages = new_stages()
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_ONSET, sample=8_000))
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=8_000))
    pause = Speech(header=base, event=SpeechEvent.SPEECH_EVENT_PAUSE, sample=16_000, through_sample=16_000)
    stages.conductor.on_speech(pause)
    stages.conductor.stages.stage_lost(Stage.STAGE_STT)
    assert stages.conductor.stages.replay_from_sample(Stage.STAGE_STT, 15_000, 0) == 0, (
        "soft words lie before the onset"
    )
    stages.conductor.stages.stage_leased(HeldLease("abc", Stage.STAGE_STT, 1, 2, "w2", "local", "x"))
    first, second = stages.of(Finalize)
    assert (first.finalize_id, first.through_sample) == (second.finalize_id, second.through_sample)
    stages.conductor.end()
    assert stages.of(State)[-1].ended
