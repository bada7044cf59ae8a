"""ElevenLabs' multi-context WebSocket, spoken with `websockets` and read with the SDK's types."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from elevenlabs.types import (
    AudioOutputMulti,
    CloseContext,
    CloseSocket,
    FinalOutputMulti,
    FlushContext,
    InitializeConnectionMulti,
    KeepContextAlive,
    RealtimeVoiceSettings,
    SendTextMulti,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words, hear
from natter_emulators.script import Delays, Fault, Script

REPLY = "That is a good question, and I am glad. "
# Long enough that nothing more is coming, short enough for a test.
NOTHING_S = 0.3


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators(delays=Delays(first_audio_ms=5, audio_speed=100)) as running:
        yield running


@dataclass
class Heard:
    """What came for one context."""

    audio: bytes = b""
    chars: str = ""
    char_times: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    """Characters and their starts in seconds of the context's audio."""
    finals: int = 0

    def words(self) -> list[str]:
        return [word.text for word in hear(np.frombuffer(self.audio, "<i2"), 24_000)]


@dataclass
class Client:
    """A socket, and what came on it by context."""

    socket: ClientConnection
    contexts: dict[str, Heard] = field(default_factory=dict[str, Heard])
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def send(self, *messages: Any) -> None:
        for message in messages:
            await self.socket.send(message.json(exclude_none=True))

    async def take(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 5))
        if "error" in message:
            self.errors.append(message)
            return message
        context = self.contexts.setdefault(message["contextId"], Heard())
        if message.get("isFinal"):
            FinalOutputMulti(**message)
            context.finals += 1
            return message
        output = AudioOutputMulti(**message)
        begins_s = len(context.audio) / 48_000
        context.audio += base64.b64decode(output.audio)
        if output.alignment is not None and output.alignment.chars is not None:
            starts = output.alignment.char_start_times_ms or []
            durations = output.alignment.char_durations_ms or []
            assert len(output.alignment.chars) == len(starts) == len(durations)
            context.chars += "".join(output.alignment.chars)
            context.char_times += [
                (char, begins_s + start / 1000) for char, start in zip(output.alignment.chars, starts, strict=True)
            ]
        return message

    async def until_final(self, context_id: str) -> Heard:
        while not (await self.take()).get("isFinal") or not self.contexts[context_id].finals:
            pass
        return self.contexts[context_id]

    async def until_closed(self) -> ConnectionClosed:
        while True:
            try:
                await self.take()
            except ConnectionClosed as closed:
                return closed


@asynccontextmanager
async def client(
    emulators: Emulators, voice: str = "rachel", key: str | None = None, **query: str
) -> AsyncIterator[Client]:
    environment = emulators.environment()
    asked = {"model_id": "eleven_flash_v2_5", "output_format": "pcm_24000", **query}
    url = environment["ELEVENLABS_BASE_URL"].replace("http", "ws", 1)
    url += f"/v1/text-to-speech/{voice}/multi-stream-input?" + "&".join(f"{k}={v}" for k, v in asked.items())
    headers = {"xi-api-key": key or environment["ELEVENLABS_API_KEY"]}
    async with connect(url, additional_headers=headers, compression=None) as socket:
        yield Client(socket)


def begin(context_id: str) -> InitializeConnectionMulti:
    return InitializeConnectionMulti(text=" ", context_id=context_id)


def say(context_id: str, text: str, *, flush: bool = True) -> SendTextMulti:
    return SendTextMulti(text=text, context_id=context_id, flush=flush)


def end(context_id: str) -> CloseContext:
    return CloseContext(context_id=context_id, close_context=True)


async def test_a_context_speaks_each_word_once_and_tells_its_characters(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), say("a", REPLY), say("a", "What now? "), end("a"))
        heard = await one.until_final("a")
    assert count_words(REPLY + "What now?", heard.words()).exact
    assert heard.chars.strip() == REPLY + "What now?"
    # The times of the letters, put together from messages that each begin anew, are those of the words that are heard.
    spoken = hear(np.frombuffer(heard.audio, "<i2"), 24_000)
    starts = [
        s
        for (before, _), (char, s) in zip([(" ", 0.0), *heard.char_times], heard.char_times, strict=False)
        if before == " " != char
    ]
    assert starts == pytest.approx([word.from_sample / 24_000 for word in spoken], abs=0.03)


async def test_text_waits_for_a_flush_or_for_more(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), say("a", REPLY, flush=False))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.socket.recv(), NOTHING_S)
        await one.send(FlushContext(context_id="a", flush=True), end("a"))
        heard = await one.until_final("a")
        assert count_words(REPLY, heard.words()).exact
        # Three times forty characters are enough for the first part.
        await one.send(begin("b"), *(say("b", REPLY, flush=False) for _ in range(3)), end("b"))
        assert count_words(REPLY * 3, (await one.until_final("b")).words()).exact


async def test_auto_mode_does_not_wait(emulators: Emulators) -> None:
    async with client(emulators, auto_mode="true") as one:
        await one.send(begin("a"), say("a", REPLY, flush=False), end("a"))
        assert count_words(REPLY, (await one.until_final("a")).words()).exact


async def test_contexts_speak_side_by_side(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), begin("b"), say("a", REPLY), say("b", "What now? "), end("a"), end("b"))
        a = await one.until_final("a")
        b = one.contexts["b"] if one.contexts["b"].finals else await one.until_final("b")
    assert count_words(REPLY, a.words()).exact
    assert count_words("What now?", b.words()).exact


async def test_what_was_not_flushed_is_dropped_with_its_context(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), say("a", REPLY), say("a", "What now? ", flush=False), end("a"))
        assert count_words(REPLY, (await one.until_final("a")).words()).exact


async def test_a_sixth_context_ends_the_connection_and_a_closing_one_counts() -> None:
    async with Emulators(delays=Delays(first_audio_ms=5, audio_speed=1)) as emulators, client(emulators) as one:
        # The first five, of which one is closing and still speaking.
        await one.send(*(begin(str(number)) for number in range(5)), say("0", REPLY), end("0"))
        await one.send(begin("5"))
        closed = await one.until_closed()
    assert one.errors[0]["error"] == "max_active_conversations"
    assert one.errors[0]["code"] == 1008
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008


async def test_a_place_is_free_after_the_final_message(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(*(begin(str(number)) for number in range(5)), end("0"))
        await one.until_final("0")
        await one.send(begin("0"), say("0", "What now? "), end("0"))
        while one.contexts["0"].finals < 2:
            await one.take()
    assert one.contexts["0"].words() == ["what", "now"]


async def test_closing_the_socket_flushes_what_was_asked_for(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), say("a", REPLY), CloseSocket(close_socket=True))
        closed = await one.until_closed()
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1000
    assert count_words(REPLY, one.contexts["a"].words()).exact


async def test_voice_settings_cannot_change(emulators: Emulators) -> None:
    async with client(emulators) as one:
        first = InitializeConnectionMulti(text=" ", context_id="a", voice_settings=RealtimeVoiceSettings(speed=1.0))
        await one.send(first, first)
        await one.socket.send(json.dumps({"text": "yes ", "context_id": "a", "voice_settings": {"speed": 1.2}}))
        await one.until_closed()
    assert "voice_settings" in one.errors[0]["message"]


async def test_who_falls_silent_is_cut_off(emulators: Emulators) -> None:
    async with client(emulators, inactivity_timeout="1") as one:
        await one.send(begin("a"), KeepContextAlive(context_id="a", text=""))
        closed = await one.until_closed()
    assert one.errors[0]["error"] == "input_timeout_exceeded"
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.UNAUTHORIZED, 401), (Fault.RATE_LIMITED, 429), (Fault.BROKEN, 503)]
)
async def test_refusals_at_the_handshake(emulators: Emulators, fault: Fault, status: int) -> None:
    emulators.elevenlabs.script("v", Script(fault=fault, times=1))
    with pytest.raises(InvalidStatus) as refused:
        async with client(emulators, "v"):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["detail"]["message"]
    async with client(emulators, "v") as one:
        await one.send(begin("a"), say("a", "yes "), end("a"))
        assert (await one.until_final("a")).words() == ["yes"]


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.QUOTA, "quota_exceeded"), (Fault.BAD_REQUEST, "voice_id_does_not_exist")]
)
async def test_refusals_at_the_first_text(emulators: Emulators, fault: Fault, error: str) -> None:
    emulators.elevenlabs.script("v", Script(fault=fault))
    async with client(emulators, "v") as one:
        await one.send(begin("a"))
        closed = await one.until_closed()
    assert [one["error"] for one in one.errors] == [error]
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008


async def test_a_wrong_key(emulators: Emulators) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with client(emulators, key="wrong"):
            pass
    assert refused.value.response.status_code == 401


async def test_the_key_may_come_with_the_first_message(emulators: Emulators) -> None:
    url = emulators.urls["elevenlabs"].replace("http", "ws", 1)
    url += "/v1/text-to-speech/v/multi-stream-input?output_format=pcm_24000"
    async with connect(url) as socket:
        one = Client(socket)
        key = emulators.environment()["ELEVENLABS_API_KEY"]
        await one.send(InitializeConnectionMulti(text=" ", context_id="a", xi_api_key=key), say("a", "yes "), end("a"))
        assert (await one.until_final("a")).words() == ["yes"]
        await one.send(begin("b"))
        await one.until_closed()
    assert one.errors[0]["error"] == "invalid_api_key"


@pytest.mark.parametrize("wrong", [{"output_format": "mp3_44100_128"}, {"inactivity_timeout": "0"}])
async def test_wrong_queries(emulators: Emulators, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with client(emulators, **wrong):
            pass
    assert refused.value.response.status_code == 400


async def test_a_cut_in_mid_word(emulators: Emulators) -> None:
    emulators.elevenlabs.script("v", Script(fault=Fault.CUT, times=1, after_words=3))
    async with client(emulators, "v") as one:
        await one.send(begin("a"), say("a", REPLY))
        closed = await one.until_closed()
    assert closed.rcvd is None
    words = one.contexts["a"].words()
    assert words[:3] == ["that", "is", "a"]
    assert len(words) <= 4


async def test_a_stall(emulators: Emulators) -> None:
    emulators.elevenlabs.script("v", Script(fault=Fault.STALL, times=1, after_words=3))
    async with client(emulators, "v") as one:
        await one.send(begin("a"), say("a", REPLY), end("a"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(NOTHING_S):
                await one.until_final("a")
        assert one.contexts["a"].words()[:3] == ["that", "is", "a"]
        await asyncio.wait_for(await one.socket.ping(), 5)


async def test_a_half_open_connection(emulators: Emulators) -> None:
    emulators.elevenlabs.script("v", Script(fault=Fault.HALF_OPEN))
    async with client(emulators, "v") as one:
        await one.send(begin("a"), say("a", REPLY))
        pong = await one.socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.socket.recv(), NOTHING_S)
        assert not pong.done()
        one.socket.transport.abort()


async def test_garbage(emulators: Emulators) -> None:
    emulators.elevenlabs.script("v", Script(fault=Fault.MALFORMED, after_words=3))
    broken = 0
    async with client(emulators, "v") as one:
        await one.send(begin("a"), say("a", REPLY), end("a"))
        while not (one.contexts.get("a") or Heard()).finals:
            try:
                await one.take()
            except json.JSONDecodeError:
                broken += 1
    assert broken == 1
    assert count_words(REPLY, one.contexts["a"].words()).exact


async def test_slow_first_audio(emulators: Emulators) -> None:
    emulators.elevenlabs.script("v", Script(fault=Fault.SLOW, slow_ms=300))
    loop = asyncio.get_running_loop()
    async with client(emulators, "v") as one:
        asked = loop.time()
        await one.send(begin("a"), say("a", REPLY))
        await one.take()
        assert loop.time() - asked >= 0.3


async def test_a_word_without_a_mark_is_an_error(emulators: Emulators) -> None:
    async with client(emulators) as one:
        await one.send(begin("a"), say("a", "Hello zyzzyva. "))
        closed = await one.until_closed()
    assert "zyzzyva" in str(closed)
