"""Speech for tests, made by the built-in voice (no recordings in the repository), and a caller for the providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from natter_bench.speech import resample
from natter_bench.speech import say as bench_say
from natter_emulators.marks import MarkedWord, speak
from natter_stt.local import LocalProvider
from natter_stt.provider import StreamSettings, SttError, SttProvider, SttStream, Transcript

FRAME_SAMPLES = 320
MS = 16
Say = Callable[[str], npt.NDArray[np.int16]]


@pytest.fixture(scope="session")
def say() -> Say:
    """Says a sentence: 16 kHz s16 samples, some 250 ms of near-silence in front and 450 ms behind."""
    pytest.importorskip("hibari")

    @cache
    def say(text: str) -> npt.NDArray[np.int16]:
        speech = bench_say(text, voice="hibari", trim=False)
        samples = resample(speech.pcm, speech.rate_hz, 16_000).astype("<i2")
        return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]

    return say


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recognizer() -> AsyncIterator[LocalProvider]:
    """The real built-in recognizer, started; for tests that share the module's loop."""
    provider = LocalProvider()
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()


SPEED = 3.0  # times real time: vendors' and providers' delays are not scaled


class Call:
    """One session with a provider, driven as a conductor would: speech, finalizes, and takeovers after faults."""

    def __init__(self, provider: SttProvider, *, speed: float = SPEED) -> None:
        self.provider = provider
        self.speed = speed
        self.transcripts: list[Transcript] = []
        self.errors: list[SttError] = []
        self._said = bytearray()
        self._stream: SttStream | None = None
        self._run: asyncio.Task[None] | None = None
        self._speaking = (0, False)
        self._asked: dict[int, int] = {}

    @property
    def next_sample(self) -> int:
        return len(self._said) // 2

    @property
    def finals(self) -> list[Transcript]:
        return [transcript for transcript in self.transcripts if transcript.final]

    @property
    def answered(self) -> list[int]:
        """The requests to finalize that were answered, in order."""
        return [final.finalize_id for final in self.finals if final.finalize_id]

    @property
    def words(self) -> list[str]:
        """Those of all finals."""
        return [word.text.lower() for final in self.finals for word in final.words]

    def open(self, **settings: Any) -> None:
        """A stream; what was said since the last final, and is not answered, is said again in a burst."""
        from_sample = max((word.to_sample for final in self.finals for word in final.words), default=0)
        self._stream = self.provider.open(StreamSettings(from_sample=from_sample, **settings), self._take)
        self._run = asyncio.get_running_loop().create_task(self._watch(self._stream), name="call-stream")
        burst = bytes(self._said[2 * from_sample :])
        for at in range(0, len(burst), 2 * FRAME_SAMPLES):
            self._stream.feed(from_sample + at // 2, burst[at : at + 2 * FRAME_SAMPLES])
        if self._speaking != (0, False):
            self._stream.speech(self._speaking[0], speaking=self._speaking[1])
        for finalize_id, through in list(self._asked.items()):
            self._stream.finalize(finalize_id, through)

    async def close(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait({self._run})

    async def _watch(self, stream: SttStream) -> None:
        try:
            await stream.run()
        except SttError as error:
            self.errors.append(error)

    def _take(self, transcript: Transcript) -> None:
        self.transcripts.append(transcript)
        if transcript.final:
            self._asked.pop(transcript.finalize_id, None)

    async def send(self, pcm: bytes) -> None:
        """Audio at the call's speed."""
        assert self._stream is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(0, len(pcm), 2 * FRAME_SAMPLES):
            frame = pcm[at : at + 2 * FRAME_SAMPLES]
            first = self.next_sample
            self._said += frame
            self._stream.feed(first, frame)
            due = began + (at + len(frame)) / 2 / 16_000 / self.speed
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def hush(self, duration_ms: int) -> None:
        await self.send(bytes(2 * MS * duration_ms))

    async def hush_until(self, done: Callable[[], bool], seconds: float = 8.0) -> None:
        """Silence, until something has happened."""
        async with asyncio.timeout(seconds):
            while not done():
                await self.hush(20)

    def speech(self, from_sample: int, *, speaking: bool) -> None:
        assert self._stream is not None
        self._speaking = (from_sample, speaking)
        self._stream.speech(from_sample, speaking=speaking)

    def finalize(self, finalize_id: int, through: int) -> None:
        assert self._stream is not None
        self._asked[finalize_id] = through
        self._stream.finalize(finalize_id, through)

    async def say(self, text: str) -> tuple[MarkedWord, ...]:
        """Speech that vad notices 100 ms late, and whose end it notices 200 ms late: where its words lie."""
        speech = speak(text, 16_000)
        pcm = speech.pcm[: len(speech.pcm) // FRAME_SAMPLES * FRAME_SAMPLES].tobytes()
        begin = self.next_sample
        await self.send(pcm[: 2 * 100 * MS])
        self.speech(begin, speaking=True)
        await self.send(pcm[2 * 100 * MS :])
        await self.hush(200)
        self.speech(begin, speaking=False)
        return tuple(MarkedWord(word.text, begin + word.from_sample, begin + word.to_sample) for word in speech.words)

    async def utter(self, text: str, finalize_id: int) -> tuple[MarkedWord, ...]:
        """Say something and wait for its final (or for a fault), while silence goes on: where its words lie."""
        errors = len(self.errors)
        words = await self.say(text)
        self.finalize(finalize_id, self.next_sample - 200 * MS)
        await self.hush_until(lambda: finalize_id not in self._asked or len(self.errors) > errors)
        return words


Calling = Callable[..., Any]


@pytest.fixture(scope="session")
def calling() -> Calling:
    """`async with calling(provider, speed, model=…) as call:` a session with a provider."""

    @asynccontextmanager
    async def make(provider: SttProvider, speed: float = SPEED, **settings: Any) -> AsyncGenerator[Call]:
        call = Call(provider, speed=speed)
        call.open(**settings)
        try:
            yield call
        finally:
            await call.close()

    return make
