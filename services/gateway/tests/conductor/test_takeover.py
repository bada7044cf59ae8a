"""Another worker goes on where one failed: nothing lost, nothing twice; what can't be had is told."""

import asyncio
from typing import Any

import pytest

from natter_gateway.conductor.sequence import MOST_HELD
from natter_gateway.conductor.trouble import MOST_TAKEOVERS
from natter_gateway.conductor.voice_intake import MOST_EARLY
from natter_gateway.leases.board import HeldLease
from natter_gateway.turns.events import Modality
from natter_proto import (
    BadFrameError,
    Fault,
    Finalize,
    Header,
    Held,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Stage,
    State,
    Transcript,
    Turn,
    Voice,
    Word,
    pcm_audio,
)

SAMPLES_PER_WORD = 4_800
TONE = b"\x00\x10\x00\xf0" * 240 * 10


def fault(stages: Any, stage: Stage, *, retryable: bool = True, header: Header | None = None) -> Fault:
    return Fault(
        header=stages.header() if header is None else header,
        code="unavailable" if retryable else "unauthorized",
        stage=stage,
        provider="local",
        retryable=retryable,
        words="It is out of order.",
    )


def lease(stage: Stage, epoch: int = 2) -> HeldLease:
    return HeldLease("abc", stage, 1, epoch, "w2", "other", "x")


def errors(stages: Any) -> list[str]:
    return [message["data"]["error"] for message in stages.sent if message["type"] == "error"]


def say_words(stages: Any, segment: int, words: list[str], *, epoch: int = 1, end: bool = False) -> None:
    """Voice of whole words, from sample 0 on."""
    for position, word in enumerate(words):
        start = position * SAMPLES_PER_WORD
        spoken = Word(text=word, from_sample=start, to_sample=start + SAMPLES_PER_WORD)
        audio = pcm_audio(TONE, 24_000, start)
        stages.conductor.on_voice(Voice(header=stages.header(segment, epoch), audio=audio, words=[spoken]))
    if end:
        total = len(words) * SAMPLES_PER_WORD
        audio = pcm_audio(b"", 24_000, total)
        audio.end = True
        stages.conductor.on_voice(Voice(header=stages.header(segment, epoch), audio=audio, total_samples=total))


def text_segment(stages: Any, number: int, text: str, epoch: int = 1) -> None:
    header = stages.header(number, epoch)
    stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text))


@pytest.mark.parametrize("stage", [Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS])
async def test_a_fault_asks_for_another_worker_and_says_nothing_yet(new_stages: Any, stage: Stage) -> None:
    stages = new_stages()
    await stages.speak("hello")
    stages.conductor.on_fault(fault(stages, stage))
    (trouble,) = stages.troubles
    assert (trouble.stage, trouble.provider, trouble.lasting) == (stage, "local", False)
    assert errors(stages) == []


async def test_a_fault_of_a_dead_attempt_is_nobodys_trouble(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    stages.conductor.on_fault(fault(stages, Stage.STAGE_TTS, header=Header(term=1, epoch=1, turn=1, attempt=7)))
    assert stages.troubles == []


@pytest.mark.parametrize("stage", [Stage.STAGE_LLM, Stage.STAGE_TTS])
async def test_what_nobody_can_serve_is_told_at_once_and_at_every_turn(new_stages: Any, stage: Stage) -> None:
    stages = new_stages()
    await stages.speak("hello")
    stages.conductor.on_fault(fault(stages, stage, retryable=False))
    assert stages.troubles[-1].lasting
    stages.conductor.stages.stage_lost(stage)
    stages.conductor.stages.stage_hopeless(stage, "Check the key.")
    assert errors(stages) == ["Check the key."]
    assert stages.of(State)[-1].attempts == []
    await stages.speak("hello again")
    assert errors(stages) == ["Check the key."] * 2
    stages.conductor.stages.stage_leased(lease(stage, 1))
    await stages.speak("and now")
    assert stages.of(State)[-1].attempts != []
    assert errors(stages) == ["Check the key."] * 2


async def test_a_reply_is_taken_over_so_often_and_then_told(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    for epoch in range(1, MOST_TAKEOVERS + 2):
        stages.conductor.on_fault(fault(stages, Stage.STAGE_LLM, header=stages.header(epoch=epoch)))
        stages.conductor.stages.stage_lost(Stage.STAGE_LLM)
        stages.conductor.stages.stage_leased(lease(Stage.STAGE_LLM, epoch + 1))
    assert errors(stages) == ["It is out of order."]


async def test_another_model_goes_on_behind_the_segments_that_are_there(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    delta = Reply(header=stages.header(), kind=ReplyKind.REPLY_KIND_DELTA, text="One two. Three fo")
    stages.conductor.on_reply(delta)
    text_segment(stages, 1, "One two. ")
    stages.conductor.on_fault(fault(stages, Stage.STAGE_LLM))
    stages.conductor.stages.stage_lost(Stage.STAGE_LLM)
    stages.conductor.stages.stage_leased(lease(Stage.STAGE_LLM))
    turn = stages.of(Turn)[-1]
    assert [(piece.segment, piece.text) for piece in turn.reply_so_far] == [(1, "One two. ")]
    assert (turn.header.turn, turn.header.attempt, turn.segments_kept) == (1, 1, 1)
    # What the old one still says is not taken, what the page has already is not shown again.
    text_segment(stages, 2, "Old.")
    header = stages.header(epoch=2)
    stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_DELTA, text="Three four."))
    text_segment(stages, 2, "Three four.", epoch=2)
    shown = "".join(message["data"]["text"] for message in stages.sent if message["type"] == "bot-llm-text")
    assert shown == "One two. Three four."


async def test_the_voice_is_told_at_once_that_no_model_serves(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    stages.conductor.stages.stage_lost(Stage.STAGE_LLM)
    told = stages.of(State)[-1]
    assert Stage.STAGE_LLM not in [one.stage for one in told.leases]
    assert [(attempt.turn, attempt.attempt) for attempt in told.attempts] == [stages.key]


async def test_another_voice_says_the_rest_and_no_word_twice(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    text_segment(stages, 1, "One two three four.")
    text_segment(stages, 2, "Five.")
    stages.end_reply(2)
    say_words(stages, 1, ["One", "two"])
    stages.play(100)
    stages.conductor.on_fault(fault(stages, Stage.STAGE_TTS))
    stages.conductor.stages.stage_lost(Stage.STAGE_TTS)
    before = len(stages.sink.frames)
    stages.conductor.stages.stage_leased(lease(Stage.STAGE_TTS))
    sent = [frame for frame in stages.sink.frames[before:] if isinstance(frame, Reply)]
    assert [(frame.header.segment, frame.spoken) for frame in sent] == [(1, "three four."), (2, "Five."), (0, "")]
    assert stages.of(State)[-1].attempts[0].segments_voiced == 0
    say_words(stages, 1, ["three", "four."], epoch=2, end=True)
    say_words(stages, 2, ["Five."], epoch=2, end=True)
    stages.play(2_000)
    assert stages.conductor.context.utterances[-1].text == "One two three four. Five."
    played = sum(frame["data"]["text"].count("two") for frame in stages.sent if frame["type"] == "bot-tts-text")
    assert played == 1
    assert stages.conductor.playout.counters.frames == 5 * SAMPLES_PER_WORD // 480


async def test_a_text_reply_does_not_care_for_the_voice(new_stages: Any) -> None:
    stages = new_stages()
    stages.conductor.typed("hi", Modality.TEXT, run_immediately=True)
    stages.conductor.stages.stage_lost(Stage.STAGE_TTS)
    stages.conductor.stages.stage_hopeless(Stage.STAGE_TTS, "No voice.")
    text_segment(stages, 1, "Hello.")
    stages.end_reply(1)
    assert stages.conductor.context.utterances[-1].text == "Hello."


def detected(stages: Any, event: SpeechEvent, sample: int) -> None:
    stages.conductor.on_speech(
        Speech(header=Header(term=1, epoch=1), event=event, sample=sample, through_sample=sample + 3_200)
    )


async def test_another_recognizer_hears_what_was_said_before_a_pause_too(new_stages: Any) -> None:
    stages = new_stages()
    detected(stages, SpeechEvent.SPEECH_EVENT_ONSET, 16_000)
    detected(stages, SpeechEvent.SPEECH_EVENT_SPEECH, 16_000)
    detected(stages, SpeechEvent.SPEECH_EVENT_PAUSE, 32_000)
    # Nobody has answered when the caller goes on.
    detected(stages, SpeechEvent.SPEECH_EVENT_RESUME, 38_000)
    detected(stages, SpeechEvent.SPEECH_EVENT_SPEECH, 38_000)
    stages.conductor.stages.stage_lost(Stage.STAGE_STT)
    stages.conductor.stages.stage_leased(lease(Stage.STAGE_STT))
    told = stages.of(State)[-1]
    assert (told.speaking, told.speech_from_sample) == (True, 16_000)


async def test_a_caller_who_waits_in_vain_gets_an_apology_and_the_call_goes_on(
    new_stages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("natter_gateway.conductor.incidents.DEADLINE_MS", 1.0)
    stages = new_stages()
    await stages.speak("hello")
    async with asyncio.timeout(5):
        while not errors(stages):
            await asyncio.sleep(0)
    assert errors(stages) == ["Sorry, something went wrong here. Please say that again."]
    assert stages.of(Reply)[0].text == "Sorry, something went wrong here."
    assert 'natter_incidents_total{waiting="answer"} 1.0' in stages.metrics.exposition()[0].decode()
    stages.conductor.end()


async def test_what_follows_a_missing_frame_waits_until_that_is_sent_again(new_stages: Any) -> None:
    stages = new_stages()
    lacking: list[Stage] = []
    stages.conductor.stages.on_lacking = lacking.append
    await stages.speak("hello")
    frames: list[Reply] = []
    for number in (1, 2, 3):
        header = stages.header(number)
        header.number = number
        text = f"Number {number}."
        frames.append(Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text))
    stages.conductor.on_reply(frames[0])
    stages.conductor.on_reply(frames[2])
    assert lacking == [Stage.STAGE_LLM]
    assert stages.of(State)[-1].attempts[0].segments_kept == 1
    stages.conductor.on_reply(frames[1])
    stages.conductor.on_reply(frames[1])
    stages.conductor.publish_state()
    assert stages.of(State)[-1].attempts[0].segments_kept == 3
    llm = stages.conductor.leases[Stage.STAGE_LLM]
    assert not stages.conductor.stages.lacks(llm)
    stages.conductor.stages.on_progress(llm, Held(sent={"reply": 4}), 0)
    assert lacking == [Stage.STAGE_LLM, Stage.STAGE_LLM], "the last one did not come"
    assert stages.conductor.stages.have(llm) == {"reply": 3}


async def test_what_waits_in_vain_for_too_long_is_dropped_and_counted(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    for number in range(2, MOST_HELD + 5):
        header = stages.header(number)
        header.number = number
        stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_DELTA, text="on"))
    for number in range(MOST_EARLY + 2):
        audio = pcm_audio(TONE, 24_000, number * SAMPLES_PER_WORD)
        stages.conductor.on_voice(Voice(header=stages.header(9), audio=audio))
    dropped = stages.metrics.exposition()[0].decode()
    assert 'natter_frames_dropped_total{kind="reply",reason="too_many_held"} 3.0' in dropped
    assert 'natter_frames_dropped_total{kind="voice",reason="too_many_early"} 2.0' in dropped


async def test_a_sound_whose_end_no_detector_can_find_any_more_is_over(new_stages: Any) -> None:
    stages = new_stages()
    base = Header(session="abc", term=1, epoch=1)
    for event in (SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_SPEECH):
        stages.conductor.on_speech(Speech(header=base, event=event, sample=16_000))
    stages.conductor.on_transcript(Transcript(header=base, words=[Word(text="hello", confidence=0.9)]))
    service = stages.conductor.stages
    assert service.replay_from_sample(Stage.STAGE_VAD, 20_000, 20_000) == 20_000
    assert not stages.of(Finalize), "all that was not heard yet can be heard"
    assert service.replay_from_sample(Stage.STAGE_VAD, 20_000, 160_000) == 160_000
    stages.conductor.on_transcript(
        Transcript(
            header=base,
            words=[Word(text="hello", confidence=0.9)],
            final=True,
            finalize_id=stages.of(Finalize)[-1].finalize_id,
            through_sample=160_000,
        )
    )
    async with asyncio.timeout(5):
        while not stages.of(Turn):
            await asyncio.sleep(0)
    assert stages.of(Turn)[0].text == "hello"
    stages.conductor.end()


async def test_a_question_that_no_frame_holds_fails_in_words_and_nobody_is_stuck(new_stages: Any) -> None:
    stages = new_stages()
    put = stages.sink.put

    def refuse(subject: str, frame: Any) -> None:
        if isinstance(frame, Turn):
            raise BadFrameError("Turn has 600000 bytes")
        put(subject, frame)

    stages.sink.put = refuse
    await stages.speak("hello")
    assert errors(stages) == ["That is more than the model can take in. Please ask for less."]
    assert stages.key == (0, 0)
    assert stages.conductor._reply._progress.due_ms is None
    before = len(stages.sink.frames)
    stages.conductor.stages.tell_again(0.0)
    assert len(stages.sink.frames) == 2 * before, "what was refused is not told again"


async def test_what_the_stages_were_told_is_told_again_as_it_was(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("hello")
    before_s = asyncio.get_running_loop().time() - 5.0
    turns, finalizes = stages.of(Turn), stages.of(Finalize)
    stages.conductor.stages.tell_again(before_s)
    assert stages.of(Turn) == turns * 2
    assert stages.of(Finalize) == finalizes * 2
    stages.conductor.stages.tell_again(asyncio.get_running_loop().time() + 1.0)
    assert stages.of(Turn) == turns * 2, "nothing is so new"


async def test_a_detector_that_takes_over_between_words_and_their_pause_finds_that(new_stages: Any) -> None:
    stages = new_stages()
    base = Header(session="abc", term=1, epoch=1)
    for event, sample in (
        (SpeechEvent.SPEECH_EVENT_ONSET, 48_000),
        (SpeechEvent.SPEECH_EVENT_SPEECH, 48_000),
        (SpeechEvent.SPEECH_EVENT_DIP, 64_000),
    ):
        stages.conductor.on_speech(Speech(header=base, event=event, sample=sample, through_sample=sample))
    stages.conductor.on_transcript(Transcript(header=base, final=True, through_sample=65_000))
    service = stages.conductor.stages
    assert service.replay_from_sample(Stage.STAGE_VAD, 66_000, 0) == 48_000 - 4_800, "it has to hear the speech"
    assert service.replay_from_sample(Stage.STAGE_STT, 66_000, 0) == 65_000, "what is closed is not heard twice"
