"""How the end of a segment is found where letters do not tell it, and how sockets are replaced."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from websockets.asyncio.server import ServerConnection, serve

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_tts import elevenlabs_pool
from natter_tts.elevenlabs import ElevenLabsProvider, ElevenLabsSettings
from natter_tts.provider import RATE_HZ, TtsSettings

Answer = Callable[[str], list[dict[str, Any]]]


class Service:
    """A service that answers each text as it is told and ends contexts that are closed; keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: []
        self.messages: list[dict[str, Any]] = []
        self.url = ""

    async def serve(self, connection: ServerConnection) -> None:
        async for text in connection:
            message = json.loads(text)
            self.messages.append(message)
            if message.get("close_context"):
                await connection.send(json.dumps({"isFinal": True, "contextId": message["context_id"]}))
            elif message.get("flush"):
                for piece in self.answer(message["text"]):
                    await connection.send(json.dumps({**piece, "contextId": message["context_id"]}))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    async with serve(made.serve, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield made


@pytest.fixture
async def provider(service: Service) -> AsyncIterator[ElevenLabsProvider]:
    voices = ElevenLabsProvider(ElevenLabsSettings(api_key="k", base_url=service.url))
    await voices.load(CollectorRegistry())
    yield voices
    await voices.close()


def piece(text: str, ms: int, field: str) -> dict[str, Any]:
    """Half a second of tone or so, its letters spread over it."""
    tone = np.rint(8000 * np.sin(2 * np.pi * 300 * np.arange(RATE_HZ * ms // 1000) / RATE_HZ)).astype("<i2")
    each = ms // len(text)
    times = {
        "chars": list(text),
        "charStartTimesMs": [n * each for n in range(len(text))],
        "charDurationsMs": [each] * len(text),
    }
    return {"audio": base64.b64encode(tone.tobytes()).decode(), field: times}


async def test_other_letters_than_sent_end_with_a_context(service: Service, provider: ElevenLabsProvider, say) -> None:
    service.answer = lambda _: [
        piece("I have forty ", 650, "normalizedAlignment"),
        piece("two cats.", 450, "normalizedAlignment"),
    ]
    stream = provider.open(TtsSettings())
    take = await say(stream, "I have 42 cats.")
    assert take.ended
    assert abs(len(take.pcm) / 2 / RATE_HZ - 1.35) < 0.05
    assert [message for message in service.messages if message.get("close_context")]
    # The next segment of the same reply has a context of its own.
    assert (await say(stream, "I have 42 cats.")).ended
    assert len({message["context_id"] for message in service.messages if "context_id" in message}) == 2
    await stream.close()


async def test_voice_without_times_ends_with_the_context(service: Service, provider: ElevenLabsProvider, say) -> None:
    service.answer = lambda _: [{**piece("x", 500, "alignment"), "alignment": None}]
    stream = provider.open(TtsSettings())
    take = await say(stream, "One two.")
    assert take.ended
    assert all(word.estimated for word in take.words)
    await stream.close()


async def test_a_context_that_ends_by_itself_is_cut_off(service: Service, provider: ElevenLabsProvider, say) -> None:
    service.answer = lambda _: [piece("One ", 300, "alignment"), {"isFinal": True}]
    stream = provider.open(TtsSettings())
    take = await say(stream, "One two.")
    assert take.error is not None
    assert take.error.code == Trouble.CUT_OFF
    assert take.text == "One"
    assert take.pcm
    await stream.close()


async def test_a_complaint_is_told(service: Service, provider: ElevenLabsProvider, say) -> None:
    service.answer = lambda _: [{"message": "Too many.", "error": "max_active_conversations", "code": 1008}]
    stream = provider.open(TtsSettings())
    take = await say(stream, "One two.")
    assert take.error is not None
    assert take.error.code == Trouble.RATE_LIMITED
    assert "Too many." in str(take.error)
    await stream.close()


async def test_an_old_socket_is_replaced_when_nothing_is_said(
    emulators: Emulators, say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elevenlabs_pool, "SOCKET_AGE_S", 0.2)
    voices = ElevenLabsProvider(ElevenLabsSettings(api_key="emulator-key", base_url=emulators.url))
    await voices.load(CollectorRegistry())
    stream = voices.open(TtsSettings())
    async with asyncio.timeout(5):
        while len(emulators.elevenlabs.requests) < 3:
            await asyncio.sleep(0.05)
    assert emulators.elevenlabs.max_connections == 2
    assert (await say(stream, "How are you today?")).heard_text == "how are you today"
    await stream.close()
    await voices.close()
