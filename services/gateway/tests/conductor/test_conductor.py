"""The conductor with a real machine, reply and playout: reports in, frames and page messages out."""

import asyncio
import json
from typing import Any

import pytest
import structlog
from google.protobuf.message import Message as Frame

from natter_common.metrics import Metrics
from natter_common.trace import Trace
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.conductor import Conductor
from natter_gateway.conductor.frames import FrameWriter
from natter_gateway.conductor.page import Page
from natter_gateway.leases.board import HeldLease
from natter_gateway.microphone import MicClock
from natter_gateway.turns.events import Modality
from natter_proto import (
    Fault,
    Finalize,
    Header,
    RealmSubjects,
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

STAGES = (Stage.STAGE_VAD, Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS)
TONE = b"\x00\x10\x00\xf0" * 240


class Sink:
    """Stands for the gateway's outbox."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def put(self, _subject: str, frame: Frame) -> None:
        self.frames.append(frame)


class Stages:
    """A conductor and the four stages' side of it, in a hand-driven time of frames."""

    def __init__(self, **bot_fields: Any) -> None:
        fields: dict[str, Any] = {"id": "b", "name": "B", "prompt": "Be kind.", **bot_fields}
        bot = Bot.model_validate(fields)
        self.sink = Sink()
        self.sent: list[dict[str, Any]] = []
        self.clock = MicClock()
        log = structlog.get_logger()
        subjects = RealmSubjects("main").session("abc")
        frames = FrameWriter("abc", 1, subjects, self.sink, "gw", Trace.start())  # type: ignore[arg-type]
        self.metrics = Metrics("gateway")
        self.conductor = Conductor(bot, frames, Page(self._page), self.clock, self.metrics, log)
        for stage in STAGES:
            self.conductor.leases[stage] = HeldLease("abc", stage, 1, 1, "w", "local", "x")
        self.played_s = asyncio.get_running_loop().time()

    def _page(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def of(self, kind: type[Frame]) -> list[Any]:
        return [frame for frame in self.sink.frames if isinstance(frame, kind)]

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def header(self, segment: int = 0, epoch: int = 1) -> Header:
        turn, attempt = self.key
        return Header(session="abc", term=1, epoch=epoch, turn=turn, attempt=attempt, segment=segment)

    @property
    def key(self) -> tuple[int, int]:
        living = self.of(State)[-1].attempts
        return (living[0].turn, living[0].attempt) if living else (0, 0)

    async def speak(self, text: str) -> None:
        """A whole question; returns when its turn was committed."""
        base = Header(session="abc", term=1, epoch=1)
        for event, sample in ((SpeechEvent.SPEECH_EVENT_ONSET, 0), (SpeechEvent.SPEECH_EVENT_SPEECH, 0)):
            self.conductor.on_speech(Speech(header=base, event=event, sample=sample))
        self.conductor.on_speech(
            Speech(header=base, event=SpeechEvent.SPEECH_EVENT_PAUSE, sample=16_000, through_sample=40_000)
        )
        words = [Word(text=word) for word in text.split()]
        final = Transcript(header=base, words=words, final=True, finalize_id=self.of(Finalize)[-1].finalize_id)
        self.conductor.on_transcript(final)

    def segment(self, number: int, text: str) -> None:
        """The model's segment and its voice: 200 ms a word."""
        self.conductor.on_reply(
            Reply(header=self.header(number), kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text)
        )
        words = text.split()
        for position, word in enumerate(words):
            start = position * 4_800
            audio = pcm_audio(TONE * 10, 24_000, start)
            self.conductor.on_voice(
                Voice(
                    header=self.header(number),
                    audio=audio,
                    words=[Word(text=word, from_sample=start, to_sample=start + 4_800)],
                )
            )
        end = pcm_audio(b"", 24_000, len(words) * 4_800)
        end.end = True
        self.conductor.on_voice(Voice(header=self.header(number), audio=end, total_samples=len(words) * 4_800))

    def end_reply(self, segments: int) -> None:
        self.conductor.on_reply(Reply(header=self.header(), kind=ReplyKind.REPLY_KIND_END, segments=segments))

    def play(self, ms: int) -> None:
        for _ in range(ms // 20):
            frame = self.conductor.playout.pop()
            self.played_s += 0.02
            self.conductor.on_frame(frame, self.played_s)


async def test_a_turn_on_the_wire() -> None:
    stages = Stages()
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


async def test_the_latency_that_is_told_adds_up() -> None:
    stages = Stages()
    stages.clock.observe(40_000, asyncio.get_running_loop().time() * 1000)
    await stages.speak("hello")
    stages.segment(1, "Hi.")
    stages.play(40)
    told = next(message["data"]["natter"]["latency"] for message in stages.sent if message["type"] == "metrics")
    assert sum(item["ms"] for item in told["contributions"]) == pytest.approx(told["total_ms"], abs=0.5)
    assert told["total_ms"] >= 1_500  # the speech ended 24,000 samples before what was read


async def test_an_interruption_keeps_what_was_heard_and_silences_the_rest() -> None:
    stages = Stages()
    await stages.speak("tell me a story")
    stages.segment(1, "Once upon a time there was a king.")
    stages.play(700)
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
    stages.play(60)
    assert stages.conductor.playout.pop().pcm is None
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=90_000))
    assert stages.of(State)[-1].attempts == []
    assert stages.conductor.context.utterances[-1].text == "Once upon a"
    order = stages.types()
    assert order.index("bot-interrupted") > len(order) - 6
    assert order[-4:] == ["bot-interrupted", "bot-tts-stopped", "bot-llm-stopped", "bot-stopped-speaking"]
    late = Voice(header=Header(term=1, epoch=1, turn=1, attempt=1, segment=1), audio=pcm_audio(TONE, 24_000, 0))
    stages.conductor.on_voice(late)
    assert stages.conductor.playout.pop().pcm is None
    assert 'kind="voice",reason="dead_attempt"} 1.0' in stages.metrics.exposition()[0].decode()


async def test_a_false_onset_goes_on_where_it_was_held() -> None:
    stages = Stages()
    await stages.speak("count")
    stages.segment(1, "one two three four five")
    stages.end_reply(1)
    stages.play(400)
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
    stages.play(200)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_FALSE_ONSET, sample=91_000))
    stages.play(1_000)
    assert stages.conductor.context.utterances[-1].text == "one two three four five"
    assert "bot-interrupted" not in stages.types()


async def test_frames_of_an_older_lease_are_dropped() -> None:
    stages = Stages()
    await stages.speak("hello")
    stages.conductor.on_reply(
        Reply(header=stages.header(1, epoch=7), kind=ReplyKind.REPLY_KIND_SEGMENT, text="no", spoken="no")
    )
    stages.end_reply(0)
    assert "bot-output" not in stages.types()


async def test_the_greeting_goes_straight_to_the_voice() -> None:
    stages = Stages(greeting="Hi, I'm B. What's up?")
    stages.conductor.greet()
    spoken = [frame.spoken for frame in stages.of(Reply) if frame.kind == ReplyKind.REPLY_KIND_SEGMENT]
    assert spoken == ["Hi, I'm B.", "What's up?"]
    assert stages.of(Turn) == []
    assert "bot-llm-started" not in stages.types()


async def test_a_text_reply_is_shown_and_not_spoken() -> None:
    stages = Stages()
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


@pytest.mark.parametrize("stage", [Stage.STAGE_LLM, Stage.STAGE_TTS])
async def test_a_fault_in_a_reply_is_told_and_the_session_goes_on(stage: Stage) -> None:
    stages = Stages()
    await stages.speak("hello")
    fault = Fault(header=stages.header(), code="quota", stage=stage, provider="x", words="No quota is left.")
    stages.conductor.on_fault(fault)
    assert stages.sent[-1] == {
        "label": "rtvi-ai",
        "type": "error",
        "data": {"error": "No quota is left.", "fatal": False},
    }
    await stages.speak("again")
    assert stages.of(Turn)[-1].text == "again"


async def test_a_new_recognition_worker_is_asked_for_what_its_predecessor_owed() -> None:
    stages = Stages()
    base = Header(session="abc", term=1, epoch=1)
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_ONSET, sample=8_000))
    stages.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=8_000))
    pause = Speech(header=base, event=SpeechEvent.SPEECH_EVENT_PAUSE, sample=16_000, through_sample=16_000)
    stages.conductor.on_speech(pause)
    stages.conductor.stage_lost(Stage.STAGE_STT)
    assert stages.conductor.replay_from_sample == 8_000
    stages.conductor.stage_leased(HeldLease("abc", Stage.STAGE_STT, 1, 2, "w2", "local", "x"))
    first, second = stages.of(Finalize)
    assert (first.finalize_id, first.through_sample) == (second.finalize_id, second.through_sample)
    stages.conductor.end()
    assert stages.of(State)[-1].ended
