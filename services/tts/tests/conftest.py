"""The built-in voice, loaded once for all tests of this package; voices of emulated services, and ears for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from natter_emulators.emulator import Emulator
from natter_emulators.emulators import Emulators
from natter_emulators.marks import HeardWord, hear
from natter_emulators.script import Script
from natter_tts.deepgram import DeepgramProvider, DeepgramVoiceSettings
from natter_tts.elevenlabs import ElevenLabsProvider, ElevenLabsSettings
from natter_tts.local import LocalProvider
from natter_tts.openai import OpenAiProvider, OpenAiVoiceSettings
from natter_tts.provider import RATE_HZ, SpokenWord, TtsError, TtsProvider, TtsStream


@pytest.fixture(scope="session")
def local_voice() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    asyncio.run(provider.load(CollectorRegistry()))
    yield provider
    asyncio.run(provider.close())


MakeVoices = Callable[[str, str, str], TtsProvider]


@pytest.fixture(scope="session")
def make_voices() -> MakeVoices:
    """The provider of a vendor by its name, its key and its address; nothing is loaded yet."""

    def make(vendor: str, key: str, url: str) -> TtsProvider:
        match vendor:
            case "deepgram":
                return DeepgramProvider(DeepgramVoiceSettings(api_key=key, base_url=url))
            case "elevenlabs":
                return ElevenLabsProvider(ElevenLabsSettings(api_key=key, base_url=url))
            case _:
                return OpenAiProvider(OpenAiVoiceSettings(api_key=key, base_url=url and f"{url}/v1"))

    return make


@pytest.fixture(scope="session")
def none_open() -> Callable[[Emulator], Awaitable[None]]:
    """Waits until an emulator has no connection any more."""

    async def wait(service: Emulator) -> None:
        async with asyncio.timeout(3):
            while service.open_connections:
                await asyncio.sleep(0.01)

    return wait


Loaded = Callable[[str, Emulators], AbstractAsyncContextManager[TtsProvider]]


@pytest.fixture(scope="session")
def loaded(make_voices: MakeVoices, none_open: Callable[[Emulator], Awaitable[None]]) -> Loaded:
    """Loads the provider of a vendor for its emulator; no connection to that is left when it is closed."""

    @asynccontextmanager
    async def load(vendor: str, emulators: Emulators) -> AsyncIterator[TtsProvider]:
        voices = make_voices(vendor, "emulator-key", emulators.url)
        await voices.load(CollectorRegistry())
        try:
            yield voices
        finally:
            await voices.close()
        await none_open(getattr(emulators, vendor))

    return load


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    """Their voices speak as fast as can be counted."""
    async with Emulators() as services:
        for voices in (services.deepgram, services.elevenlabs, services.openai):
            voices.script_default(Script(words_per_s=5.0))
        yield services


@pytest.fixture
async def provider(vendor: str, emulators: Emulators, loaded: Loaded) -> AsyncIterator[TtsProvider]:
    """That of the `vendor` that a module names by a fixture; neither connection nor task is left of it."""
    before = asyncio.all_tasks()
    async with loaded(vendor, emulators) as voices:
        yield voices
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith(vendor)}


@dataclass
class Take:
    """What came of a segment."""

    pcm: bytes = b""
    words: list[SpokenWord] = field(default_factory=list[SpokenWord])
    error: TtsError | None = None
    ended: bool = False

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def heard(self) -> list[HeardWord]:
        return hear(np.frombuffer(self.pcm, "<i2"), RATE_HZ)

    @property
    def heard_text(self) -> str:
        return " ".join(word.text for word in self.heard)


Say = Callable[..., Awaitable[Take]]


@pytest.fixture(scope="session")
def say() -> Say:
    """Says a segment on a stream, checks the form of its chunks, and keeps what came, an error too."""

    async def take_segment(
        stream: TtsStream, text: str, *, attempt: str = "1.1", last: bool = False, stop_after: int | None = None
    ) -> Take:
        take = Take()
        async with asyncio.timeout(5):
            try:
                async with aclosing(stream.synthesize(text, text, attempt=attempt, last=last)) as chunks:
                    async for chunk in chunks:
                        assert not take.ended
                        assert chunk.first_sample == len(take.pcm) // 2
                        take.pcm += chunk.pcm
                        take.words += chunk.words
                        take.ended = chunk.end
                        if stop_after is not None and len(take.words) >= stop_after:
                            break
            except TtsError as error:
                take.error = error
        if take.ended:
            assert take.text.split() == text.split()
        return take

    return take_segment
