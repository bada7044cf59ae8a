"""A headless caller: speaks SmallWebRTC and RTVI as the official browser client does, and records what it hears."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, cast

import httpx
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from natter_bench.ear import Ear
from natter_bench.errors import CallError, NotReadyError
from natter_bench.loss import Loss, NoLoss
from natter_bench.measure import AUDIBLE_DBFS
from natter_bench.microphone import Microphone
from natter_bench.opus import Pcm
from natter_bench.packets import PacketTap, check_aiortc
from natter_bench.recording import Message, ReceivedPacket, Recording, SentFrame, message_of
from natter_bench.signalling import Signalling, http_client
from natter_bench.speech import EncodedSpeech, Speech, encode

RTVI_LABEL: Final = "rtvi-ai"
RTVI_VERSION: Final = "2.1.0"
PING_EVERY_S: Final = 1.0
READY_WITHIN_S: Final = 15.0
_LEAVE_WITHIN_S: Final = 2.0


@dataclass(slots=True)
class Setup:
    """How long it took to get ready, in ms since the caller began; each includes those before it."""

    started_ms: float = 0.0
    """POST /start was answered (0 without it)."""
    answered_ms: float = 0.0
    """The offer was answered."""
    connected_ms: float = 0.0
    """ICE and DTLS are up and the data channel is open."""
    ready_ms: float = 0.0
    """`bot-ready` arrived."""


@dataclass(slots=True)
class Network:
    """The simulated network, each direction by itself."""

    outgoing: Loss = field(default_factory=NoLoss)
    incoming: Loss = field(default_factory=NoLoss)


class Caller:
    """One call. Made by `Caller.connect`; `recording` grows while it lasts and stays afterwards."""

    def __init__(self, network: Network) -> None:
        self.recording = Recording()
        self.setup = Setup()
        self.session_id: str | None = None
        self.pc_id: str | None = None
        self.microphone = Microphone()
        self.last_audible_s = float("-inf")
        """Arrival of the last audible packet."""
        self.undecodable = 0
        """Data-channel messages that are no JSON object, or without the label: a client drops them."""
        self._network = network
        self._ear = Ear()
        self._changed: asyncio.Future[None] | None = None
        self._peer: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._ping: asyncio.Task[None] | None = None
        self._on_session: Callable[[str], Awaitable[None]] | None = None
        self._signalling: Signalling | None = None
        self._ice_servers: list[RTCIceServer] = []
        self._tap = self._new_tap()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        base_url: str,
        *,
        bot: str | None = None,
        variables: Mapping[str, Any] | None = None,
        via_start: bool = True,
        network: Network | None = None,
        http: httpx.AsyncClient | None = None,
        ready_within_s: float = READY_WITHIN_S,
        on_session: Callable[[str], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[Caller]:
        """Call the gateway at `base_url`; inside the block the bot is ready, after it the call is over.

        `via_start` takes POST /start first, as the official client does; else the offer goes straight to /api/offer.
        `variables` are the bot's. `http` may be shared by many callers. `on_session` is awaited with the session's name
        on NATS, before the bot may speak. Raises NothingAnswersError, RefusedError, NotReadyError.
        """
        check_aiortc()
        caller = cls(network or Network())
        caller._on_session = on_session
        client = http or http_client()
        try:
            await caller._open(
                Signalling(client, base_url), bot=bot, variables=variables, via_start=via_start, within_s=ready_within_s
            )
            yield caller
        finally:
            await caller.close()
            if http is None:
                await client.aclose()

    # -- speaking and writing

    async def say(self, speech: EncodedSpeech | Speech | Pcm, rate_hz: int = 16_000) -> None:
        """Speak in real time; returns when the last frame went out. Bare samples are mono at `rate_hz`."""
        if isinstance(speech, Speech):
            speech = await self.prepare(speech.pcm, speech.rate_hz)
        elif not isinstance(speech, EncodedSpeech):
            speech = await self.prepare(speech, rate_hz)
        await self.microphone.say(speech)

    async def prepare(self, pcm: Pcm, rate_hz: int) -> EncodedSpeech:
        """Encode ahead, with the FEC that this call's loss asks for, without holding up the call."""
        return await asyncio.to_thread(encode, pcm, rate_hz, expected_loss_percent=self._network.outgoing.percent)

    def send_text(self, content: str, *, audio_response: bool = True) -> None:
        """Type instead of talk."""
        options = {"run_immediately": True, "audio_response": audio_response}
        self.send("send-text", {"content": content, "options": options})

    def mute(self, muted: bool = True) -> None:
        """Tell the gateway that the microphone is off (a muted browser goes on sending silence)."""
        if muted:
            self.microphone.hush()
        self._track_status(0, enabled=not muted)

    def send(self, kind: str, data: Mapping[str, Any]) -> str:
        """Send an RTVI message; returns its id."""
        identity = secrets.token_hex(4)
        self.send_raw(json.dumps({"id": identity, "label": RTVI_LABEL, "type": kind, "data": data}))
        return identity

    def send_raw(self, text: str) -> None:
        """Send any text on the data channel."""
        if self._channel is None or self._channel.readyState != "open":
            raise CallError("the data channel is not open")
        self._channel.send(text)

    async def reconnect(
        self, within_s: float = READY_WITHIN_S, *, url: str | None = None, new_client: bool = False
    ) -> None:
        """Go on with the same session over a new peer connection, as the official client does when the old one fails.

        `url`: another gateway than before. `new_client`: as a page does that was loaded again: it knows no more than
        the session's id, and says that it is ready. Losses begin to count anew. Raises RefusedError, NotReadyError,
        NothingAnswersError.
        """
        if self._signalling is None or self._peer is None:
            raise CallError("nothing to reconnect: the call is over")
        if url is not None:
            self._signalling = self._signalling.at(url)
        left, heard_late = self._peer, self.microphone.late_frames
        await self._stop_pings()
        self.microphone.hush()
        # A sender that stops takes its track along, and another stream begins with other numbers.
        self.microphone = Microphone()
        self.microphone.late_frames = heard_late
        self._ear, self._tap = Ear(late=self._ear.late), self._new_tap()
        if new_client:
            self.session_id, self.pc_id = self.pc_id, None
        try:
            await self._connect_peer(self._signalling, within_s, bot=None, variables=None)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await left.close()
        self._begin()
        if new_client:
            await self._get_ready(time.monotonic(), within_s)

    # -- waiting

    async def wait_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait until a condition on the recording holds; asked at every packet and message. False: it never did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not condition():
                    if self._changed is None or self._changed.done():
                        self._changed = asyncio.get_running_loop().create_future()
                    # Shielded: others wait on the same future, and one that gives up may not cancel it for them.
                    await asyncio.shield(self._changed)
                return True
        return condition()

    async def wait_for(self, *types: str, after_s: float, within_s: float) -> Message | None:
        """The first message of these types after a time, or None when none came within `within_s`."""
        await self.wait_until(lambda: bool(self.recording.of_type(*types, after_s=after_s)), within_s)
        return next(iter(self.recording.of_type(*types, after_s=after_s)), None)

    async def wait_for_voice(self, *, after_s: float, within_s: float) -> bool:
        """Whether the bot became audible after a time, within `within_s` from now."""
        return await self.wait_until(lambda: self.last_audible_s > after_s, within_s)

    async def wait_for_quiet(self, quiet_s: float, within_s: float) -> bool:
        """Whether the bot was inaudible for `quiet_s` in a row, within `within_s` from now."""
        return await self.wait_until(lambda: time.monotonic() - self.last_audible_s >= quiet_s, within_s)

    # -- figures

    @property
    def late_packets(self) -> int:
        """Packets that arrived after one sent later: real reordering on the path."""
        return self._ear.late

    @property
    def dropped(self) -> tuple[int, int]:
        """Packets that the simulated network took: outgoing, incoming."""
        return self._tap.dropped_outgoing, self._tap.dropped_incoming

    @property
    def connection_state(self) -> str:
        """aiortc's state of the peer connection; it notices a dead peer only after 30 s."""
        return "closed" if self._peer is None else self._peer.connectionState

    # -- life

    async def close(self) -> None:
        """Leave as the official client does. Safe to call twice."""
        peer, self._peer = self._peer, None
        await self._stop_pings()
        if peer is None:
            return
        if self._channel is not None and self._channel.readyState == "open":
            self.send("disconnect-bot", {})
        self.microphone.hush()
        self.microphone.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await peer.close()

    async def _open(
        self,
        signalling: Signalling,
        *,
        bot: str | None,
        variables: Mapping[str, Any] | None,
        via_start: bool,
        within_s: float,
    ) -> None:
        begin_s = time.monotonic()
        started = await signalling.start(bot, variables) if via_start else None
        self.session_id = started.session_id if started else None
        self.setup.started_ms = _since_ms(begin_s) if started else 0.0

        self._signalling, self._ice_servers = signalling, started.ice_servers if started else []
        answered_s = await self._connect_peer(signalling, within_s, bot=bot, variables=variables)
        self.setup.answered_ms = (answered_s - begin_s) * 1000
        self.setup.connected_ms = _since_ms(begin_s)

        self._begin()
        ready_s = await self._get_ready(begin_s, within_s)
        self.setup.ready_ms = (ready_s - begin_s) * 1000

    async def _get_ready(self, begin_s: float, within_s: float) -> float:
        """Say that the client is ready; returns when the bot said so too."""
        about = {"library": "natter-bench", "library_version": version("natter-bench")}
        self.send("client-ready", {"version": RTVI_VERSION, "about": about})
        message = await self.wait_for("bot-ready", "error", after_s=begin_s, within_s=within_s)
        if message is None:
            raise NotReadyError(f"the bot was not ready within {within_s:g} s")
        if message.type == "error":
            raise NotReadyError(f"the bot reported an error: {message.data}")
        return message.time_s

    async def _connect_peer(
        self, signalling: Signalling, within_s: float, *, bot: str | None, variables: Mapping[str, Any] | None
    ) -> float:
        """A new peer connection, its data channel open; returns when the offer was answered."""
        # No servers is said explicitly: aiortc's default is a public STUN server.
        configuration = RTCConfiguration(iceServers=self._ice_servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        peer = self._peer = RTCPeerConnection(configuration)
        # The browser's m-lines in its order: audio, video, and the data channel.
        audio = peer.addTransceiver(self.microphone, direction="sendrecv")
        peer.addTransceiver("video", direction="sendrecv")
        channel = self._channel = peer.createDataChannel("chat", ordered=True)
        opened = asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", self._on_message)
        await peer.setLocalDescription(await peer.createOffer())
        answer = await signalling.offer(
            peer.localDescription.sdp,
            session_id=self.session_id,
            bot=bot,
            variables=variables,
            pc_id=self.pc_id,
            restart=self.pc_id is not None,
        )
        answered_s = time.monotonic()
        self.pc_id = answer.pc_id
        on_session, self._on_session = self._on_session, None
        if on_session is not None:
            # What follows the dot is a secret, and no part of the name.
            await on_session(answer.pc_id.partition(".")[0])
        await self._accept(peer, audio, answer.sdp)
        await self._within(within_s, opened.wait(), "no WebRTC connection")
        return answered_s

    def _new_tap(self) -> PacketTap:
        def received(packet: ReceivedPacket) -> None:
            # What still comes over a connection that was left belongs to other numbers.
            if self._tap is tap:
                self._on_received(packet)

        tap = PacketTap(self._network.outgoing, self._network.incoming, self._on_sent, received)
        return tap

    def _begin(self) -> None:
        """What is said first on every data channel."""
        self._ping = asyncio.create_task(self._ping_each_second(), name="caller-ping")
        self._track_status(0, enabled=True)
        self._track_status(1, enabled=False)

    async def _accept(self, peer: RTCPeerConnection, audio: RTCRtpTransceiver, sdp: str) -> None:
        try:
            await peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        except ValueError as error:
            raise CallError(f"the answer is not usable: {error}") from error
        # Bundled transports are final now, and no packet can come before DTLS is up.
        self._tap.attach(audio.sender, audio.receiver)

    async def _within(self, within_s: float, waiting: Any, otherwise: str) -> None:
        try:
            async with asyncio.timeout(within_s):
                await waiting
        except TimeoutError as error:
            raise NotReadyError(f"{otherwise} within {within_s:g} s") from error

    async def _stop_pings(self) -> None:
        ping, self._ping = self._ping, None
        if ping is not None:
            ping.cancel()
            await asyncio.wait([ping])

    async def _ping_each_second(self) -> None:
        while self._channel is not None and self._channel.readyState == "open":
            self._channel.send(f"ping: {round(time.time() * 1000)}")
            await asyncio.sleep(PING_EVERY_S)

    def _track_status(self, receiver_index: int, *, enabled: bool) -> None:
        message = {"type": "trackStatus", "receiver_index": receiver_index, "enabled": enabled}
        self.send_raw(json.dumps({"type": "signalling", "message": message}))

    # -- what comes in, and what goes out: none of it may raise

    def _on_sent(self, time_s: float, lost: bool) -> None:
        self.recording.sent.append(SentFrame(time_s, self.microphone.level_dbfs, lost))

    def _on_received(self, packet: ReceivedPacket) -> None:
        self.recording.packets.append(packet)
        self.recording.dropped_incoming = self._tap.dropped_incoming
        if self._ear.level_dbfs(packet) > AUDIBLE_DBFS:
            self.last_audible_s = packet.time_s
        self._notify()

    def _on_message(self, text: str | bytes) -> None:
        now_s = time.monotonic()
        try:
            body: Any = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self.undecodable += 1
            return
        fields = cast("dict[str, Any]", body)
        if fields.get("label") != RTVI_LABEL and fields.get("type") != "signalling":
            self.undecodable += 1
            return
        self.recording.messages.append(message_of(now_s, fields))
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


def _since_ms(begin_s: float) -> float:
    return (time.monotonic() - begin_s) * 1000
