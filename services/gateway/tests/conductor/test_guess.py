"""A recognizer that decides about turns: an answer is prepared on its eager end, unheard before the end."""

from typing import Any

from natter_gateway.leases.board import HeldLease
from natter_gateway.turns.events import RoomForGuesses
from natter_proto import (
    Header,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Stage,
    State,
    Transcript,
    Turn,
    TurnSign,
    Voice,
    Word,
    pcm_audio,
)

BASE = Header(session="abc", term=1, epoch=1)


def listening(new_stages: Any) -> Any:
    """The caller has said something and pauses."""
    stages = new_stages()
    lease = HeldLease("abc", Stage.STAGE_STT, 1, 1, "w", "deepgram-flux", "x", decides_turns=True, final_within_ms=800)
    stages.conductor.stages.stage_leased(lease)
    for event in (SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_SPEECH, SpeechEvent.SPEECH_EVENT_PAUSE):
        stages.conductor.on_speech(Speech(header=BASE, event=event, sample=16_000, through_sample=20_000))
    return stages


def says(stages: Any, text: str, sign: TurnSign, *, final: bool = False) -> None:
    words = [Word(text=word) for word in text.split()]
    stages.conductor.on_transcript(Transcript(header=BASE, words=words, final=final, sign=sign))


def prepare(stages: Any) -> None:
    header = Header(session="abc", term=1, epoch=1, turn=1, attempt=1, segment=1)
    stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT, text="Hi.", spoken="Hi."))
    stages.conductor.on_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_END, segments=1))
    audio = pcm_audio(b"\x00\x10\x00\xf0" * 240 * 5, 24_000, 0)
    audio.end = True
    words = [Word(text="Hi.", from_sample=0, to_sample=2_400)]
    stages.conductor.on_voice(Voice(header=header, audio=audio, words=words, total_samples=2_400))


async def test_what_is_prepared_waits_unheard_and_is_heard_at_the_end(new_stages: Any) -> None:
    stages = listening(new_stages)
    says(stages, "hello there", TurnSign.TURN_SIGN_EAGER_END)
    assert stages.of(Turn)[-1].text == "hello there"
    assert [attempt.committed for attempt in stages.of(State)[-1].attempts] == [False]
    prepare(stages)
    assert stages.conductor.playout.pop().pcm is None
    assert not {"bot-llm-started", "bot-output", "bot-tts-started"} & set(stages.types())
    assert stages.conductor.context.utterances == ()

    says(stages, "hello there", TurnSign.TURN_SIGN_END, final=True)
    stages.play(500)
    assert len(stages.of(Turn)) == 1
    assert [utterance.text for utterance in stages.conductor.context.utterances] == ["hello there", "Hi."]
    order = [kind for kind in stages.types() if kind in ("user-llm-text", "bot-llm-started", "bot-started-speaking")]
    assert order == ["user-llm-text", "bot-llm-started", "bot-started-speaking"]


async def test_what_was_prepared_in_vain_leaves_no_trace_but_a_count(new_stages: Any) -> None:
    stages = listening(new_stages)
    says(stages, "hello there", TurnSign.TURN_SIGN_EAGER_END)
    prepare(stages)
    says(stages, "hello there my", TurnSign.TURN_SIGN_RESUMED)
    assert list(stages.of(State)[-1].attempts) == []
    assert "natter_wasted_voice_seconds_total 0.1" in stages.metrics.exposition()[0].decode()
    says(stages, "hello there my friend", TurnSign.TURN_SIGN_END, final=True)
    assert [(turn.header.attempt, turn.text) for turn in stages.of(Turn)] == [
        (1, "hello there"),
        (2, "hello there my friend"),
    ]


async def test_a_guess_whose_worker_is_lost_is_made_anew(new_stages: Any) -> None:
    stages = listening(new_stages)
    says(stages, "hello there", TurnSign.TURN_SIGN_EAGER_END)
    stages.conductor.stages.stage_lost(Stage.STAGE_LLM)
    stages.conductor.stages.stage_leased(HeldLease("abc", Stage.STAGE_LLM, 1, 2, "w2", "local", "x"))
    says(stages, "hello there", TurnSign.TURN_SIGN_END, final=True)
    assert [turn.header.attempt for turn in stages.of(Turn)] == [1, 2]


async def test_what_is_prepared_while_nobody_serves_the_model_is_asked_of_the_next_one(new_stages: Any) -> None:
    stages = listening(new_stages)
    says(stages, "hello there", TurnSign.TURN_SIGN_EAGER_END)
    stages.conductor.stages.stage_lost(Stage.STAGE_LLM)
    says(stages, "hello there", TurnSign.TURN_SIGN_EAGER_END)
    asked = len(stages.of(Turn))
    stages.conductor.stages.stage_leased(HeldLease("abc", Stage.STAGE_LLM, 1, 2, "w", "local", "x"))
    says(stages, "hello there", TurnSign.TURN_SIGN_END, final=True)
    turns = stages.of(Turn)[asked:]
    assert [turn.text for turn in turns] == ["hello there"]
    living = stages.of(State)[-1].attempts
    assert [(one.turn, one.attempt) for one in living] == [(turns[0].header.turn, turns[0].header.attempt)]


async def test_nothing_is_prepared_while_workers_are_slow_or_full_and_again_once_they_are_not(new_stages: Any) -> None:
    stages = new_stages()
    told: list[bool] = []
    stages.conductor.on_step = lambda event, _actions, _now_ms: (
        told.append(event.enough) if isinstance(event, RoomForGuesses) else None
    )
    voice = stages.conductor.leases[Stage.STAGE_TTS].worker_load
    for sample, load in enumerate((0.1, 0.79, 0.8, 1.4, 0.5, 0.5), start=1):
        voice.now = load
        stages.conductor.on_speech(Speech(header=BASE, event=SpeechEvent.SPEECH_EVENT_DIP, sample=16_000 * sample))
    assert told == [False, True], "said when it changes"
