"""How the end of a segment is found where letters do not tell it, and how sockets are replaced."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
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


async def test_the_next_segment_is_asked_for_while_the_one_before_is_made(
    service: Service, provider: ElevenLabsProvider
) -> None:
    def answer(text: str) -> list[dict[str, Any]]:
        # The first segment does not end before the second was asked for, and its dying away comes with that.
        if text.startswith("One"):
            return [piece("One two ", 800, "alignment")]
        return [piece("three. Four", 1100, "alignment"), piece(" five.", 600, "alignment")]

    service.answer = answer
    stream = provider.open(TtsSettings())
    parts: list[bytes] = []
    words: list[str] = []
    async with asyncio.timeout(5):
        for spoken, following in (("One two three.", "Four five."), ("Four five.", None)):
            pcm = b""
            async with aclosing(stream.synthesize(spoken, spoken, attempt="1.1", last=False)) as chunks:
                async for chunk in chunks:
                    pcm += chunk.pcm
                    words += [word.text for word in chunk.words]
                    if following is not None:
                        stream.expect(following, following, attempt="1.1")
                        stream.expect(following, following, attempt="1.1")
            parts.append(pcm)
    assert words == ["One", "two", "three.", "Four", "five."]
    assert [message["text"] for message in service.messages if message.get("flush")] == [
        "One two three. ",
        "Four five. ",
    ]
    # 250 ms behind the end of each; this voice sounds in its spaces, too.
    assert [round(len(pcm) / 2 / RATE_HZ, 2) for pcm in parts] == [1.76, 1.26]
    await stream.close()


async def test_what_was_asked_for_ahead_dies_with_its_attempt(service: Service, provider: ElevenLabsProvider) -> None:
    service.answer = lambda text: [piece("One ", 400, "alignment")] if text.startswith("One") else []
    stream = provider.open(TtsSettings())
    async with asyncio.timeout(5):
        async with aclosing(stream.synthesize("One two.", "One two.", attempt="1.1", last=False)) as chunks:
            await anext(chunks)
            stream.expect("Three.", "Three.", attempt="1.1")
            stream.expect("Other.", "Other.", attempt="1.2")
        service.answer = lambda _: [piece("Other.", 600, "alignment")]
        async with aclosing(stream.synthesize("Other.", "Other.", attempt="1.2", last=False)) as chunks:
            words = [word.text async for chunk in chunks for word in chunk.words]
    assert words == ["Other."]
    said = [(message["text"], message["context_id"]) for message in service.messages if message.get("flush")]
    assert [text for text, _ in said] == ["One two. ", "Three. ", "Other. "]
    assert said[0][1] == said[1][1] != said[2][1]
    await stream.close()


async def test_voice_whose_border_nobody_can_tell_is_said_once(service: Service, provider: ElevenLabsProvider) -> None:
    def answer(text: str) -> list[dict[str, Any]]:
        if text.startswith("See"):
            return [piece("See ", 400, "alignment")]
        return [piece("doctor No. Four five.", 2100, "alignment")]

    service.answer = answer
    stream = provider.open(TtsSettings())
    totals: list[int] = []
    async with asyncio.timeout(5):
        for spoken in ("See Dr. No.", "Four five."):
            async with aclosing(stream.synthesize(spoken, spoken, attempt="1.1", last=False)) as chunks:
                async for chunk in chunks:
                    stream.expect("Four five.", "Four five.", attempt="1.1")
                    if chunk.end:
                        totals.append(chunk.total_samples)
    assert abs(totals[0] / RATE_HZ - 2.75) < 0.05
    assert totals[1] == 0
    await stream.close()
