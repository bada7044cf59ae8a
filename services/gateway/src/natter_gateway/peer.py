"""One peer connection of a session: SDP, candidates, the media hooks, the data channel."""

import asyncio
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.sdp import candidate_from_sdp

from natter_common.logs import Log
from natter_gateway.media.delivery import packets_received, undelivered_messages
from natter_gateway.media.hook import LossHook, MicHook
from natter_gateway.media.playout import Playout, PoppedFrame
from natter_gateway.media.receive import MicFrame, MicReceiver
from natter_gateway.media.sdp import OfferError, opus_only, tune_answer, validate_offer
from natter_gateway.media.track import VoiceTrack
from natter_gateway.rtvi import outgoing
from natter_gateway.settings import IceServer

_NEGOTIATION_S: Final = 10.0
_CLOSE_S: Final = 5.0
MAX_CANDIDATES: Final = 64
_MAX_CANDIDATE_CHARACTERS: Final = 512
_MAX_PORT: Final = 65_535
_MDNS_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


class CandidateError(ValueError):
    """A candidate that can't be understood."""


class Peer:
    """A connection to the caller's browser. Callbacks run on the event loop and must be short.

    `on_state` gets aiortc's connection states (`connected`, `failed`, `closed`, …), `on_message` the page's texts.
    """

    def __init__(
        self,
        ice_servers: Sequence[IceServer],
        *,
        on_state: Callable[["Peer", str], None],
        on_message: Callable[[str | bytes], None],
        on_channel: Callable[["Peer"], None],
        log: Log,
    ) -> None:
        servers = [RTCIceServer(server.urls, server.username, server.credential) for server in ice_servers]
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._on_state = on_state
        self._on_message = on_message
        self._on_channel = on_channel
        self._log = log
        self._channel: RTCDataChannel | None = None
        self._voice: VoiceTrack | None = None
        self._mic_hook: MicHook | None = None
        self._loss_hook: LossHook | None = None
        self._candidates = 0
        self._pc.on("connectionstatechange", self._state_changed)
        self._pc.on("datachannel", self._channel_opened)

    @property
    def state(self) -> str:
        return self._pc.connectionState

    @property
    def round_trip_ms(self) -> float | None:
        return None if self._loss_hook is None else self._loss_hook.round_trip_ms

    async def answer(
        self,
        offer_sdp: str,
        mic: MicReceiver,
        on_mic_frame: Callable[[MicFrame], object],
        playout: Playout,
        on_voice_frame: Callable[[PoppedFrame, float], object],
    ) -> str:
        """Answer an offer: the caller's microphone goes to `on_mic_frame`, `playout` to the caller.

        Raises `OfferError` for an offer that can't be served, `TimeoutError` when candidates can't be gathered in time.
        """
        offer = RTCSessionDescription(sdp=validate_offer(offer_sdp), type="offer")
        try:
            async with asyncio.timeout(_NEGOTIATION_S):
                audio = self._offer_voice(playout, on_voice_frame)
                await self._pc.setRemoteDescription(offer)
                self._listen(audio, mic, on_mic_frame)
                description = await self._pc.createAnswer()
                await self._pc.setLocalDescription(description)
        except (ValueError, KeyError, IndexError, InvalidAccessError, InvalidStateError) as error:
            # aiortc's parser answers a bad description with whatever it stumbled over.
            raise OfferError(f"the offer can't be understood: {error}") from error
        return tune_answer(self._pc.localDescription.sdp)

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_mline_index: int | None) -> None:
        """Add a remote candidate; an empty one ends them. Raises `CandidateError`."""
        if len(candidate) > _MAX_CANDIDATE_CHARACTERS or self._candidates >= MAX_CANDIDATES:
            raise CandidateError("too many or too long candidates")
        self._candidates += 1
        text = candidate.removeprefix("candidate:")
        if not text:
            await self._pc.addIceCandidate(None)
            return
        try:
            parsed = candidate_from_sdp(text)
        except (ValueError, IndexError, AssertionError) as error:
            raise CandidateError(f"not a candidate: {candidate[:80]!r}") from error
        if not _reachable(parsed.ip, parsed.port):
            raise CandidateError(f"no address to reach: {candidate[:80]!r}")
        parsed.sdpMid = sdp_mid
        parsed.sdpMLineIndex = sdp_mline_index
        try:
            await self._pc.addIceCandidate(parsed)
        except (ValueError, InvalidStateError) as error:
            raise CandidateError(str(error)) from error

    @property
    def packets_received(self) -> int:
        """Of sound, reports and texts, so far."""
        return packets_received(self._pc)

    @property
    def undelivered(self) -> int:
        """How many of the last texts the caller's browser has not confirmed."""
        return 0 if self._channel is None else undelivered_messages(self._channel)

    def send(self, text: str) -> bool:
        """Send on the data channel; False when it is not open."""
        if self._channel is None or self._channel.readyState != "open":
            return False
        self._channel.send(text)
        return True

    async def close(self, *, say: bool = True) -> None:
        """Close; `say`: tell the client first, or it tries to get the connection back."""
        if say and self.send(outgoing.peer_left()):
            # The transport sends what is queued at its next turn.
            await asyncio.sleep(0)
        if self._voice is not None:
            # Else it would take voice from the playout while it closes, which the next connection is to send.
            self._voice.stop()
        if self._mic_hook is not None:
            self._mic_hook.close()
        if self._loss_hook is not None:
            self._loss_hook.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pc.close()
        except TimeoutError:
            self._log.warning("connection did not close in time")

    def _offer_voice(
        self, playout: Playout, on_voice_frame: Callable[[PoppedFrame, float], object]
    ) -> RTCRtpTransceiver:
        """The transceiver that aiortc will match with the offer's first audio line, its codecs fixed before that."""
        track = self._voice = VoiceTrack(playout, on_voice_frame)
        audio = self._pc.addTransceiver(track, direction="sendrecv")
        opus_only(audio)
        self._loss_hook = LossHook(audio.sender, track.encoder.set_packet_loss)
        return audio

    def _listen(self, audio: RTCRtpTransceiver, mic: MicReceiver, on_mic_frame: Callable[[MicFrame], object]) -> None:
        if audio.mid is None:
            raise OfferError("the offer has no audio")
        for transceiver in self._pc.getTransceivers():
            if transceiver is not audio:
                # aiortc does not follow the offer: what is not wanted has to be switched off here.
                transceiver.direction = "inactive"
        self._mic_hook = MicHook(audio.receiver, mic, on_mic_frame)

    def _state_changed(self) -> None:
        self._on_state(self, self._pc.connectionState)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._on_channel(self)


def _reachable(host: str, port: int) -> bool:
    """Whether a candidate names what browsers name: an IP address, or an mDNS name that stands for one."""
    if not 0 <= port <= _MAX_PORT:
        return False
    if _MDNS_NAME.fullmatch(host):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
