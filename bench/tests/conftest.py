"""A bot in the test's own process, made of stock aiortc and FastAPI, that answers a caller the way a gateway would."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

from natter_bench.levels import level_dbfs
from natter_bench.microphone import Microphone
from natter_bench.opus import Pcm
from natter_bench.speech import EncodedSpeech, encode

REPLY_TEXT = "Hello there."
SPEAKING_FRAMES = 3
QUIET_FRAMES = 15


def voice_like(seconds: float, rate_hz: int, seed: int = 0) -> Pcm:
    """Harmonics whose pitch and loudness wander: loud throughout, and unlike itself from one place to another."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    places = np.arange(0, count + rate_hz // 10, rate_hz // 10)
    slow = np.interp(np.arange(count), places, rng.uniform(90, 220, len(places)))
    phase = 2 * np.pi * np.cumsum(slow) / rate_hz
    parts = [np.sin(n * phase + rng.uniform(0, 6)) * rng.uniform(0.3, 1) / n for n in range(1, 9)]
    sound = np.sum(parts, axis=0)
    return (sound / np.max(np.abs(sound)) * 9000).astype(np.int16)


@dataclass
class BotSession:
    """One caller at the bot."""

    peer: RTCPeerConnection
    track: Microphone
    channel: RTCDataChannel | None = None
    received: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    replies: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def send(self, kind: str, data: Any = None, identity: str | None = None) -> None:
        body: dict[str, Any] = {"label": "rtvi-ai", "type": kind}
        if data is not None:
            body["data"] = data
        if identity is not None:
            body["id"] = identity
        assert self.channel is not None
        self.channel.send(json.dumps(body))


@dataclass
class AnsweringBot:
    """Answers each utterance with the same speech, and stops when it is interrupted."""

    reply: EncodedSpeech
    answers: bool = True
    ready: bool = True
    capacity: int = 100
    url: str = ""
    bots: list[str | None] = field(default_factory=list)
    offers: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[BotSession] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/start")
        async def start(body: dict[str, Any]) -> JSONResponse:
            if len(self.sessions) >= self.capacity:
                return JSONResponse({"detail": "no capacity"}, 503, headers={"Retry-After": "3"})
            self.bots.append(body["body"].get("bot"))
            return JSONResponse({"sessionId": f"s{len(self.bots)}", "iceConfig": {"iceServers": []}})

        @app.post("/sessions/{session}/api/offer")
        async def offer_in_session(session: str, body: dict[str, Any]) -> JSONResponse:
            return await self._answer(session, body)

        @app.post("/api/offer")
        async def offer(body: dict[str, Any]) -> JSONResponse:
            self.bots.append(body.get("requestData", {}).get("bot"))
            return await self._answer("direct", body)

        @app.get("/metrics")
        async def metrics() -> PlainTextResponse:
            return PlainTextResponse("process_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 1.5e+08\n")

        return app

    async def _answer(self, identity: str, body: dict[str, Any]) -> JSONResponse:
        self.offers.append(body)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        session = BotSession(peer, Microphone())
        self.sessions.append(session)

        @peer.on("datachannel")
        def on_channel(channel: RTCDataChannel) -> None:
            session.channel = channel
            channel.on("message", lambda text: self._on_message(session, text))

        @peer.on("track")
        def on_track(track: Any) -> None:
            if track.kind == "audio":
                task = asyncio.ensure_future(self._listen(session, track))
                session.tasks.add(task)

        await peer.setRemoteDescription(RTCSessionDescription(body["sdp"], body["type"]))
        for transceiver in peer.getTransceivers():
            if transceiver.kind == "audio":
                transceiver.sender.replaceTrack(session.track)
                transceiver.direction = "sendrecv"
            else:
                transceiver.direction = "inactive"
        await peer.setLocalDescription(await peer.createAnswer())
        return JSONResponse({"sdp": peer.localDescription.sdp, "type": "answer", "pc_id": identity})

    def _on_message(self, session: BotSession, text: str) -> None:
        if text.startswith("ping"):
            session.texts.append(text)
            return
        body = json.loads(text)
        session.received.append(body)
        if body["type"] == "client-ready" and self.ready:
            session.channel.send("not json")
            session.send("bot-ready", {"version": "2.1.0"}, body["id"])

    async def _listen(self, session: BotSession, track: Any) -> None:
        loud = quiet = 0
        speaking = False
        playing: asyncio.Future[None] | None = None
        try:
            while True:
                frame = await track.recv()
                audible = level_dbfs(frame.to_ndarray()[0][::2]) > -45
                loud, quiet = (loud + 1, 0) if audible else (0, quiet + 1)
                if loud == SPEAKING_FRAMES:
                    speaking = True
                    session.send("user-started-speaking")
                    if playing is not None and not playing.done():
                        session.track.hush()
                        session.send("bot-interrupted")
                if speaking and quiet == QUIET_FRAMES and self.answers:
                    speaking = False
                    playing = self._reply(session)
        except MediaStreamError:
            return

    def _reply(self, session: BotSession) -> asyncio.Future[None]:
        session.replies += 1
        session.send("user-transcription", {"text": "a question", "final": True})
        latency = {"total_ms": 300, "contributions": [{"name": "endpointing", "ms": 200}, {"name": "voice", "ms": 100}]}
        session.send("metrics", {"ttfb": [], "natter": {"turn": session.replies, "latency": latency}})
        session.send("bot-started-speaking")
        session.send("bot-output", {"text": REPLY_TEXT, "segment_id": session.replies, "spoken_status": "new"})
        playing = session.track.say(self.reply)
        playing.add_done_callback(lambda _: session.send("bot-stopped-speaking"))
        return playing

    async def close(self) -> None:
        for session in self.sessions:
            for task in session.tasks:
                task.cancel()
            session.track.stop()
            await session.peer.close()


@pytest.fixture(name="voice_like")
def voice_like_fixture() -> Callable[..., Pcm]:
    """`voice_like(seconds, rate_hz, seed=0)`: sound that stands for speech."""
    return voice_like


@pytest.fixture
def serve_bot() -> Callable[..., AbstractAsyncContextManager[AnsweringBot]]:
    """`async with serve_bot(answers=…) as bot:` runs one on a free port."""

    @asynccontextmanager
    async def serve(**options: Any) -> AsyncIterator[AnsweringBot]:
        options.setdefault("reply", encode(voice_like(0.8, 24_000, seed=7), 24_000))
        bot = AnsweringBot(**options)
        # Bound and listening before the server runs: whoever connects early waits in the backlog.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            bot.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(bot.app(), log_level="warning", lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]), name="answering-bot")
            try:
                yield bot
            finally:
                await bot.close()
                server.should_exit = True
                await serving

    return serve


@pytest.fixture
def unused_address() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
