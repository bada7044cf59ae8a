"""However connections end, the emulators keep no task and no connection of them."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from natter_emulators.emulators import Emulators
from natter_emulators.marks import speak
from natter_emulators.script import Delays, Fault, Script

PCM = speak("what is the capital of france", 16_000).pcm.astype("<i2").tobytes()
TEXT = "That is a good question. "
HEARS = "encoding=linear16&sample_rate=16000"

PATHS = {
    "listen": f"/v1/listen?model=m&interim_results=true&{HEARS}",
    "flux": f"/v2/listen?model=m&{HEARS}",
    "speak": "/v1/speak?model=m&encoding=linear16&sample_rate=24000",
    "elevenlabs": "/v1/text-to-speech/m/multi-stream-input?output_format=pcm_24000",
}


async def use(socket: ClientConnection, name: str) -> None:
    """Ask for as much as gives the service something to do for a while."""
    if name == "speak":
        await socket.send(json.dumps({"type": "Speak", "text": TEXT * 3}))
        await socket.send(json.dumps({"type": "Flush"}))
    elif name == "elevenlabs":
        for context in ("a", "b", "c"):
            await socket.send(json.dumps({"text": " ", "context_id": context}))
            await socket.send(json.dumps({"text": TEXT * 3, "context_id": context, "flush": True}))
    else:
        for at in range(0, len(PCM), 3_200):
            await socket.send(PCM[at : at + 3_200])


async def leave_politely(socket: ClientConnection) -> None:
    await socket.close()


async def vanish(socket: ClientConnection) -> None:
    socket.transport.abort()


async def wait_for_the_cut(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(socket.recv(), 5)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("fault", "leave"),
    [
        (Fault.NONE, leave_politely),
        (Fault.NONE, vanish),
        (Fault.CUT, wait_for_the_cut),
        (Fault.STALL, vanish),
        (Fault.HALF_OPEN, vanish),
    ],
)
async def test_nothing_is_left(name: str, fault: Fault, leave: Callable[..., object]) -> None:
    async with Emulators(delays=Delays(first_audio_ms=0, interim_ms=0)) as emulators:
        service = emulators.elevenlabs if name == "elevenlabs" else emulators.deepgram
        service.script("m", Script(fault=fault, after_words=1))
        key = {"xi-api-key": "emulator-key", "Authorization": "Token emulator-key"}
        before = len(asyncio.all_tasks())
        for _ in range(3):
            socket = await connect(emulators.url.replace("http", "ws", 1) + PATHS[name], additional_headers=key)
            with suppress(ConnectionClosed):
                await use(socket, name)
            await leave(socket)
            await asyncio.wait_for(socket.wait_closed(), 5)
        async with asyncio.timeout(5):
            # One task of aiohttp's may still be on its way out after the handler.
            while service.open_connections or len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)
