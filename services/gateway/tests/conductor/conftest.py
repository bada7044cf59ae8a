"""The four stages' side of a conductor, for its tests."""

import asyncio
import json
from collections.abc import Callable
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
from natter_gateway.conductor.trouble import StageTrouble
from natter_gateway.leases.board import HeldLease
from natter_gateway.microphone import MicClock
from natter_gateway.tools.round import Call, ToolTraits
from natter_gateway.turns.events import AttemptKey
from natter_proto import (
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


class Orders:
    """Stands for the way to the llm worker."""

    def __init__(self) -> None:
        self.ran: list[Call] = []
        self.cancelled: list[Call] = []

    def run(self, _key: AttemptKey, call: Call, _tool: ToolTraits) -> None:
        self.ran.append(call)

    def cancel(self, call: Call) -> None:
        self.cancelled.append(call)


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
        self.troubles: list[StageTrouble] = []
        self.orders = Orders()
        self.conductor.stages.on_trouble = self.troubles.append
        self.conductor.tools.orders = self.orders
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
            Speech(
                header=base,
                event=SpeechEvent.SPEECH_EVENT_PAUSE,
                sample=16_000,
                through_sample=40_000,
                probability=0.9,
            )
        )
        words = [Word(text=word) for word in text.split()]
        final = Transcript(header=base, words=words, final=True, finalize_id=self.of(Finalize)[-1].finalize_id)
        self.conductor.on_transcript(final)

    def interrupt(self, word: str = "stop") -> None:
        """The caller says a word over the reply."""
        base = Header(session="abc", term=1, epoch=1)
        self.conductor.on_speech(Speech(header=base, event=SpeechEvent.SPEECH_EVENT_RESUME, sample=90_000))
        self.hear(word)

    def hear(self, word: str) -> None:
        """Recognition hears a word in what goes on."""
        base = Header(session="abc", term=1, epoch=1)
        self.conductor.on_transcript(
            Transcript(header=base, words=[Word(text=word, from_sample=90_000, confidence=0.9)])
        )

    def segment(self, number: int, text: str) -> None:
        """The model's segment and its voice: 200 ms a word."""
        self.conductor.on_reply(
            Reply(header=self.header(number), kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text)
        )
        self.segment_voice(number, text)

    def segment_voice(self, number: int, text: str) -> None:
        """The voice of a segment: 200 ms a word."""
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


@pytest.fixture
def new_stages() -> Callable[..., Stages]:
    """Makes a conductor and its stages; to be called inside of the test's event loop."""
    return Stages
