"""A thousand turns through every vendor's SDK, faster than real time: sockets, tasks and memory stay as they were.

A turn is a word said to a recognizer, a reply asked of the model, and that reply spoken by a voice. Four conversations
go on side by side, each with a recognizer of its own, and open new streams now and then, as new leases do.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import psutil
import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Provider
from natter_emulators.emulators import Emulators
from natter_emulators.marks import speak
from natter_emulators.script import Delays, Reply, Script
from natter_llm.openai.provider import OpenAiProvider as Model
from natter_llm.provider import ChatMessage, Delta, LlmProvider, LlmRequest
from natter_stt.deepgram import DeepgramFluxProvider, DeepgramProvider
from natter_stt.gladia import GladiaProvider
from natter_stt.openai import OpenAiProvider as OpenAiRecognizer
from natter_stt.provider import StreamSettings, SttProvider, Transcript
from natter_tts.deepgram import DeepgramProvider as DeepgramVoice
from natter_tts.elevenlabs import ElevenLabsProvider
from natter_tts.openai import OpenAiProvider as OpenAiVoice
from natter_tts.provider import TtsProvider, TtsSettings

pytestmark = pytest.mark.timeout(180)

TURNS = 250
"""Of each of four conversations."""
STREAM_TURNS = 25
"""Turns of one stream of recognition and voice."""
SPEED = 20.0
"""How much faster than real time the microphone is."""
QUICK = Delays(interim_ms=5, final_ms=5, first_token_ms=1, tokens_per_s=5_000, first_audio_ms=1, audio_speed=500)
TEXT = "please"
REPLY = "Good."
FRAMES = 5
FRAME_BYTES = 640
RATE_HZ = 16_000
ANSWERED_WITHIN_S = 10.0
MOST_BLOCKS_PER_TURN = 10
"""Python's own count of what is allocated, over the second half. One list of ten words left behind is more."""
MOST_BYTES = 8_000_000
"""Of the process, over the second half: 16 kB a turn, half a second of a caller's voice."""
SOCKETS = {"deepgram": 8, "gladia": 3, "elevenlabs": 6, "openai": 12}
"""The most at once: two of each stream while one is replaced, and what four conversations ask for."""


class Microphone:
    """A stream of recognition that is fed faster than real time, through several streams."""

    def __init__(self, provider: SttProvider) -> None:
        self._provider = provider
        self._next = 0
        self._number = 0
        self._news = asyncio.Event()
        self._said: list[Transcript] = []
        self._run: asyncio.Task[None] | None = None
        self._pcm = _whole_frames(speak(TEXT, RATE_HZ, words_per_s=5.0).pcm.astype("<i2").tobytes())

    async def open(self) -> None:
        await self.close()
        self._stream = self._provider.open(StreamSettings(from_sample=self._next), self._take)
        self._run = asyncio.create_task(self._stream.run(), name="microphone-stream")

    async def close(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait({self._run})
            if not self._run.cancelled():
                self._run.result()

    async def utter(self) -> str:
        """Say the word; what the finals up to the answered finalize have."""
        self._number += 1
        self._said.clear()
        await self._send(bytes(FRAME_BYTES * 10))
        begin = self._next
        self._stream.speech(begin, speaking=True)
        await self._send(self._pcm)
        end = self._next
        await self._send(bytes(FRAME_BYTES * 10))
        self._stream.speech(begin, speaking=False)
        self._stream.finalize(self._number, end)
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while not any(one.finalize_id == self._number for one in self._said):
                assert self._run is not None
                if self._run.done():
                    self._run.result()
                await self._send(bytes(FRAME_BYTES))
        return " ".join(one.text for one in self._said if one.final and one.text).lower().strip(".")

    def _take(self, transcript: Transcript) -> None:
        self._said.append(transcript)

    async def _send(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), FRAMES * FRAME_BYTES):
            piece = pcm[at : at + FRAMES * FRAME_BYTES]
            self._stream.feed(self._next, piece)
            self._next += len(piece) // 2
            await asyncio.sleep(len(piece) / 2 / RATE_HZ / SPEED)


def _whole_frames(pcm: bytes) -> bytes:
    return pcm[: len(pcm) // FRAME_BYTES * FRAME_BYTES]


@dataclass
class Conversation:
    """Turn after turn over one recognizer, the model, and one voice."""

    hears: SttProvider
    thinks: LlmProvider
    speaks: TtsProvider
    turns: int = 0

    async def run(self, turns: int, border: Callable[[], Awaitable[None]]) -> None:
        """So many turns; `border` is awaited behind each run of one stream."""
        microphone = Microphone(self.hears)
        for _ in range(turns // STREAM_TURNS):
            await microphone.open()
            voice = self.speaks.open(TtsSettings())
            for _ in range(STREAM_TURNS):
                self.turns += 1
                assert await microphone.utter() == TEXT, f"{self.hears.name} in turn {self.turns}"
                assert await self._reply() == REPLY
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    async with aclosing(voice.synthesize(REPLY, REPLY, attempt=f"{self.turns}.1", last=True)) as chunks:
                        spoken = [chunk async for chunk in chunks]
                assert " ".join(word.text for chunk in spoken for word in chunk.words) == REPLY
                assert spoken[-1].total_samples > 0
            await voice.close()
            await microphone.close()
            await border()

    async def _reply(self) -> str:
        messages = (ChatMessage("system", "You are a script."), ChatMessage("user", TEXT))
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            async with aclosing(self.thinks.generate(LlmRequest("s", messages))) as events:
                return "".join([event.text async for event in events if isinstance(event, Delta)])


class Notes:
    """What is held, each time that all conversations have closed their streams."""

    def __init__(self, emulators: Emulators, conversations: int) -> None:
        self.blocks: list[int] = []
        self.tasks: list[int] = []
        self.rss_bytes: list[int] = []
        self._emulators = emulators
        self._barrier = asyncio.Barrier(conversations)

    async def border(self) -> None:
        """All wait for each other; one takes the notes."""
        async with self._barrier as place:
            if place == 0:
                services = (
                    self._emulators.deepgram,
                    self._emulators.gladia,
                    self._emulators.elevenlabs,
                    self._emulators.openai,
                )
                for service in services:
                    # Kept for tests that ask what was said, a thousand at the most.
                    service.requests.clear()
                    service.streams.clear()
                gc.collect()
                self.blocks.append(sys.getallocatedblocks())
                self.tasks.append(len(asyncio.all_tasks()))
                self.rss_bytes.append(psutil.Process().memory_info().rss)
        await self._barrier.wait()


async def test_a_thousand_turns_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulators(delays=QUICK) as emulators:
        for name, value in emulators.environment().items():
            monkeypatch.setenv(name, value)
        emulators.openai.script_default(Script(replies=lambda _messages: Reply(REPLY)))
        before = asyncio.all_tasks()
        model, eleven, aura, open_voice = Model(), ElevenLabsProvider(), DeepgramVoice(), OpenAiVoice()
        recognizers = (DeepgramProvider(), DeepgramFluxProvider(), GladiaProvider(), OpenAiRecognizer())
        providers: Sequence[Provider] = (model, eleven, aura, open_voice, *recognizers)
        for provider in providers:
            await provider.load(CollectorRegistry())
        voices = (eleven, aura, open_voice, eleven)
        notes = Notes(emulators, len(recognizers))
        async with asyncio.TaskGroup() as tasks:
            for hears, speaks in zip(recognizers, voices, strict=True):
                conversation = Conversation(hears, model, speaks)
                tasks.create_task(conversation.run(TURNS, notes.border), name=f"conversation-{hears.name}")
        for provider in providers:
            await provider.close()
        async with asyncio.timeout(5):
            while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
                await asyncio.wait(left)
        vendors = {name: getattr(emulators, name) for name in SOCKETS}
        assert {name: vendor.open_connections for name, vendor in vendors.items()} == dict.fromkeys(SOCKETS, 0)
        most = {name: vendor.max_connections for name, vendor in vendors.items()}
    assert all(most[name] <= SOCKETS[name] for name in SOCKETS), most
    assert len(notes.blocks) == TURNS // STREAM_TURNS
    half = len(notes.blocks) // 2
    # One may still be closing: what grows does not get back.
    assert min(notes.tasks[half:]) <= max(notes.tasks[:half]), notes.tasks
    turns = (len(notes.blocks) - 1 - half) * STREAM_TURNS * len(recognizers)
    assert (notes.blocks[-1] - notes.blocks[half]) / turns < MOST_BLOCKS_PER_TURN, notes.blocks
    assert notes.rss_bytes[-1] - notes.rss_bytes[half] < MOST_BYTES, notes.rss_bytes
