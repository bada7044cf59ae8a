"""The Deepgram SDK against the emulator: whole exchanges, and each fault as the SDK shows it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Metadata, ListenV1Results
from deepgram.listen.v2.types import ListenV2Connected, ListenV2TurnInfo
from deepgram.speak.v1.types import SpeakV1Text
from websockets.exceptions import ConnectionClosed

from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words, hear, speak
from natter_emulators.script import Delays, Fault, Script

TEXT = "what is the capital of france"
REPLY = "That is a good question, and I am glad. What now?"
HEARS = {"encoding": "linear16", "sample_rate": 16_000}
SPEAKS = {"encoding": "linear16", "sample_rate": 24_000}
# Long enough that nothing more is coming, short enough for a test.
NOTHING_S = 0.3

REFUSALS = [
    (Fault.UNAUTHORIZED, 401),
    (Fault.QUOTA, 402),
    (Fault.RATE_LIMITED, 429),
    (Fault.BROKEN, 503),
    (Fault.BAD_REQUEST, 400),
]


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators(delays=Delays(interim_ms=5, final_ms=5, first_audio_ms=5, audio_speed=100)) as running:
        yield running


def client(emulators: Emulators, key: str | None = None) -> AsyncDeepgramClient:
    environment = emulators.environment()
    http = environment["DEEPGRAM_BASE_URL"]
    ws = http.replace("http", "ws", 1)
    return AsyncDeepgramClient(
        api_key=key or environment["DEEPGRAM_API_KEY"],
        environment=DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http),
    )


async def say(socket: Any, text: str, quiet_ms: int = 400) -> None:
    pcm = speak(text, 16_000).pcm.astype("<i2").tobytes() + bytes(32 * quiet_ms)
    for at in range(0, len(pcm), 640):
        await socket.send_media(pcm[at : at + 640])


async def rest(socket: Any) -> list[Any]:
    """All that still comes, until the other side closes."""
    async with asyncio.timeout(5):
        return [message async for message in socket]


async def until_nothing_comes(socket: Any) -> list[Any]:
    """All that comes, until nothing has come for a while."""
    messages = list[Any]()
    while True:
        try:
            messages.append(await asyncio.wait_for(socket.recv(), NOTHING_S))
        except TimeoutError:
            return messages


async def until_cut(socket: Any) -> tuple[list[Any], ConnectionClosed]:
    """All that comes, and how the connection ended."""
    messages = list[Any]()
    while True:
        try:
            messages.append(await asyncio.wait_for(socket.recv(), 5))
        except ConnectionClosed as closed:
            return messages, closed


def final_words(messages: list[Any]) -> list[str]:
    return [
        word.word
        for message in messages
        if isinstance(message, ListenV1Results) and message.is_final
        for word in message.channel.alternatives[0].words
    ]


async def test_listen_hears_the_marks_and_nothing_else(emulators: Emulators) -> None:
    async with client(emulators).listen.v1.connect(model="nova-3", interim_results=True, **HEARS) as socket:
        await say(socket, TEXT)
        await socket.send_finalize()
        await socket.send_keep_alive()
        await socket.send_close_stream()
        messages = await rest(socket)
    assert count_words(TEXT, final_words(messages)).exact
    assert count_words(TEXT, emulators.deepgram.heard()).exact
    assert isinstance(messages[-1], ListenV1Metadata)
    assert any(not message.is_final for message in messages[:-1])
    request = emulators.deepgram.requests[-1]
    assert request.path == "/v1/listen"
    assert request.query["interim_results"] == "true"
    assert emulators.deepgram.max_connections == 1


async def test_a_finalize_is_answered_as_such(emulators: Emulators) -> None:
    async with client(emulators).listen.v1.connect(model="nova-3", endpointing=False, **HEARS) as socket:
        await say(socket, TEXT)
        await socket.send_finalize()
        async with asyncio.timeout(5):
            final = await socket.recv()
    assert final.from_finalize
    assert final.channel.alternatives[0].transcript == TEXT


async def test_who_falls_silent_is_cut_off_and_who_keeps_alive_is_not(emulators: Emulators) -> None:
    emulators.deepgram.idle_s = 0.2
    async with client(emulators).listen.v1.connect(model="nova-3", **HEARS) as socket:
        for _ in range(5):
            await socket.send_keep_alive()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.08)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert "net0001" in closed.value.rcvd.reason


async def test_flux_tells_turns(emulators: Emulators) -> None:
    flux = client(emulators).listen.v2
    async with flux.connect(model="flux-general-en", eager_eot_threshold=0.5, **HEARS) as socket:
        await say(socket, TEXT, quiet_ms=1000)
        await socket.send_close_stream()
        messages = await rest(socket)
    assert isinstance(messages[0], ListenV2Connected)
    turns = [message for message in messages if isinstance(message, ListenV2TurnInfo) and message.event != "Update"]
    assert [turn.event for turn in turns] == ["StartOfTurn", "EagerEndOfTurn", "EndOfTurn"]
    assert turns[-1].transcript == TEXT
    assert turns[-1].trigger == "model"
    assert [word.word for word in turns[-1].words] == TEXT.split()


async def listen_to(socket: Any, until: str) -> tuple[bytes, list[Any]]:
    """Audio and messages up to the message of that type."""
    audio, messages = b"", list[Any]()
    async with asyncio.timeout(5):
        async for message in socket:
            if isinstance(message, bytes):
                audio += message
                continue
            messages.append(message)
            if message.type == until:
                break
    return audio, messages


def heard(audio: bytes) -> list[str]:
    return [word.text for word in hear(np.frombuffer(audio, "<i2"), 24_000)]


async def test_speak_speaks_each_word_once(emulators: Emulators) -> None:
    async with client(emulators).speak.v1.connect(model="aura-2-thalia-en", **SPEAKS) as socket:
        for piece in (REPLY[:11], REPLY[11:]):
            await socket.send_text(SpeakV1Text(text=piece))
        await socket.send_flush()
        audio, messages = await listen_to(socket, "Flushed")
        await socket.send_close()
        assert await rest(socket) == []
    assert [message.type for message in messages] == ["Metadata", "Flushed"]
    assert count_words(REPLY, heard(audio)).exact


async def test_clear_drops_what_was_not_sent() -> None:
    async with (
        Emulators(delays=Delays(first_audio_ms=5, audio_speed=1)) as emulators,
        client(emulators).speak.v1.connect(model="aura-2-thalia-en", **SPEAKS) as socket,
    ):
        await socket.send_text(SpeakV1Text(text=REPLY))
        await socket.send_flush()
        assert (await socket.recv()).type == "Metadata"
        assert isinstance(await socket.recv(), bytes)
        await socket.send_clear()
        before, messages = await listen_to(socket, "Cleared")
        await socket.send_text(SpeakV1Text(text="Yes please."))
        await socket.send_flush()
        after, flushed = await listen_to(socket, "Flushed")
    assert len(before) < 48_000
    assert [message.type for message in messages] == ["Cleared"]
    assert heard(after) == ["yes", "please"]
    # The first flush was dropped with its text, but not its number.
    assert [message.sequence_id for message in flushed] == [1]


async def test_flushes_are_limited(emulators: Emulators) -> None:
    emulators.deepgram.flushes_per_minute = 2
    async with client(emulators).speak.v1.connect(model="aura-2-thalia-en", **SPEAKS) as socket:
        for _ in range(3):
            await socket.send_flush()
        _, messages = await listen_to(socket, "Warning")
    assert [message.type for message in messages] == ["Metadata", "Flushed", "Flushed", "Warning"]


async def test_a_word_without_a_mark_is_an_error(emulators: Emulators) -> None:
    async with client(emulators).speak.v1.connect(model="aura-2-thalia-en", **SPEAKS) as socket:
        await socket.send_text(SpeakV1Text(text="Hello zyzzyva."))
        with pytest.raises(ConnectionClosed, match="zyzzyva"):
            await rest(socket)


async def test_a_wrong_key(emulators: Emulators) -> None:
    for connect in (client(emulators, "wrong").listen.v1.connect, client(emulators, "wrong").listen.v2.connect):
        with pytest.raises(ApiError) as refused:
            async with connect(model="m", **HEARS):
                pass
        assert refused.value.status_code == 401
    assert emulators.deepgram.open_connections == 0


@pytest.mark.parametrize(("fault", "status"), REFUSALS)
@pytest.mark.parametrize("api", ["listen.v1", "listen.v2", "speak.v1"])
async def test_refusals(emulators: Emulators, api: str, fault: Fault, status: int) -> None:
    emulators.deepgram.script("m", Script(fault=fault, times=1))
    service, version = api.split(".")
    connect = getattr(getattr(client(emulators), service), version).connect
    audio = SPEAKS if service == "speak" else HEARS
    with pytest.raises(ApiError) as refused:
        async with connect(model="m", **audio):
            pass
    assert refused.value.status_code == status
    async with connect(model="m", **audio):
        pass


async def test_refusals_have_the_services_body(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.RATE_LIMITED, retry_after_s=7))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(emulators.url.rsplit(":", 1)[1]))
    key = emulators.environment()["DEEPGRAM_API_KEY"]
    writer.write(
        b"GET /v1/listen?model=m HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        + f"Authorization: Token {key}\r\n\r\n".encode()
    )
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().lower()
    body = json.loads(await asyncio.wait_for(reader.readuntil(b"}"), 5))
    writer.close()
    assert head.startswith("http/1.1 429")
    assert "retry-after: 7" in head
    assert "dg-error:" in head
    assert body["err_code"] == "TOO_MANY_REQUESTS"


async def test_a_stall_keeps_reading_and_says_nothing_more(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.STALL, times=1, after_words=2))
    async with client(emulators).listen.v1.connect(model="m", interim_results=True, **HEARS) as socket:
        await say(socket, TEXT)
        await socket.send_finalize()
        messages = await until_nothing_comes(socket)
        assert messages[-1].channel.alternatives[0].transcript == "what is"
        pong = await socket._websocket.ping()
        await asyncio.wait_for(pong, 5)
    assert count_words(TEXT, emulators.deepgram.heard()).exact


async def test_a_half_open_connection_is_dead_but_for_the_handshake(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.HALF_OPEN))
    connecting = client(emulators).listen.v1.connect(model="m", interim_results=True, **HEARS)
    socket = await connecting.__aenter__()
    await say(socket, TEXT)
    pong = await socket._websocket.ping()
    assert await until_nothing_comes(socket) == []
    assert not pong.done()
    # Not even a close is answered.
    socket._websocket.transport.abort()
    with pytest.raises(ConnectionClosed):
        await connecting.__aexit__(None, None, None)
    assert emulators.deepgram.heard() == ()


async def test_a_cut_comes_in_the_middle_of_a_word_without_a_close_frame(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.CUT, times=1, after_words=2))
    async with client(emulators).listen.v1.connect(model="m", interim_results=True, **HEARS) as socket:
        with contextlib.suppress(ConnectionClosed):
            await say(socket, TEXT)
        _, closed = await until_cut(socket)
    assert closed.rcvd is None
    assert [word.text for word in emulators.deepgram.heard()] == ["what", "is"]


async def test_garbage_comes_once_and_then_all_is_well(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.MALFORMED, after_words=2))
    async with client(emulators).listen.v1.connect(model="m", **HEARS) as socket:
        await say(socket, TEXT)
        with pytest.raises(json.JSONDecodeError):
            await asyncio.wait_for(socket.recv(), 5)
        await socket.send_close_stream()
        assert count_words(TEXT, final_words(await rest(socket))).exact


async def test_slow_finals_come_late(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.SLOW, slow_ms=300))
    loop = asyncio.get_running_loop()
    async with client(emulators).listen.v1.connect(model="m", endpointing=False, **HEARS) as socket:
        await say(socket, TEXT)
        asked = loop.time()
        await socket.send_finalize()
        assert (await asyncio.wait_for(socket.recv(), 5)).is_final
        assert loop.time() - asked >= 0.3


async def test_a_voice_cut_in_mid_word(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.CUT, times=1, after_words=3))
    async with client(emulators).speak.v1.connect(model="m", **SPEAKS) as socket:
        await socket.send_text(SpeakV1Text(text=REPLY))
        messages, closed = await until_cut(socket)
    assert closed.rcvd is None
    audio = b"".join(message for message in messages if isinstance(message, bytes))
    assert heard(audio)[:3] == ["that", "is", "a"]
    assert len(heard(audio)) <= 4


async def test_a_voice_that_stalls(emulators: Emulators) -> None:
    emulators.deepgram.script("m", Script(fault=Fault.STALL, times=1, after_words=3))
    async with client(emulators).speak.v1.connect(model="m", **SPEAKS) as socket:
        await socket.send_text(SpeakV1Text(text=REPLY))
        await socket.send_flush()
        metadata, *audio = await until_nothing_comes(socket)
        assert metadata.type == "Metadata"
        await asyncio.wait_for(await socket._websocket.ping(), 5)
    words = heard(b"".join(audio))
    assert words[:3] == ["that", "is", "a"]
    assert len(words) <= 4


async def test_many_scripts_at_once(emulators: Emulators) -> None:
    emulators.deepgram.script("bad", Script(fault=Fault.BROKEN))

    async def call(text: str) -> list[str]:
        async with client(emulators).listen.v1.connect(model="good", **HEARS) as socket:
            await say(socket, text)
            await socket.send_close_stream()
            return final_words(await rest(socket))

    texts = [TEXT, "thank you very much", "one two three", "hello there"]
    results = await asyncio.gather(*(call(text) for text in texts))
    assert [" ".join(words) for words in results] == texts
    with pytest.raises(ApiError):
        async with client(emulators).listen.v1.connect(model="bad", **HEARS):
            pass
    assert emulators.deepgram.max_connections <= len(texts)
    assert emulators.deepgram.open_connections == 0
