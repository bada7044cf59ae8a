"""The built-in voice, loaded once for all tests of this package; and ears for voices of emulated services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from natter_emulators.emulators import Emulators
from natter_emulators.marks import HeardWord, hear
from natter_tts.local import LocalProvider
from natter_tts.provider import RATE_HZ, SpokenWord, TtsError, TtsStream


@pytest.fixture(scope="session")
def local_voice() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    asyncio.run(provider.load(CollectorRegistry()))
    yield provider
    asyncio.run(provider.close())


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators() as services:
        yield services


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


@pytest.fixture
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
