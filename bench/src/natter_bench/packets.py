"""Access to a call's audio packets below aiortc's codecs and buffers: to time, record and lose them.

aiortc offers no such place, so two of its private methods are replaced on the objects of one call. The version is
pinned, `check_aiortc` says so before a call if it does not fit, and a test guards what is relied on.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket, is_rtcp

from natter_bench.errors import CallError
from natter_bench.loss import Loss
from natter_bench.opus import RTP_CLOCK_HZ
from natter_bench.recording import ReceivedPacket

AIORTC_VERSION: Final = "1.16"

_HANDLE_RTP: Final = "_handle_rtp_packet"
_SEND_RTP: Final = "_send_rtp"
_SSRC: Final = "_ssrc"
# Receiver reports are made from these: whoever replaces the handler has to keep them.
_STATISTICS: Final = "_RTCRtpReceiver__remote_streams"

_SSRC_OFFSET: Final = 8
_SSRC_BYTES: Final = 4


def check_aiortc() -> None:
    """Raise CallError when the installed aiortc is not one whose private parts are known."""
    found = version("aiortc")
    handler: Any = getattr(RTCRtpReceiver, _HANDLE_RTP, None)
    takes = list(inspect.signature(handler).parameters) if handler is not None else []
    if (
        not found.startswith(f"{AIORTC_VERSION}.")
        or takes != ["self", "packet", "arrival_time_ms"]
        or not hasattr(RTCDtlsTransport, _SEND_RTP)
    ):
        raise CallError(f"the bench's caller needs aiortc {AIORTC_VERSION}, found {found}")


@dataclass(slots=True)
class PacketTap:
    """Sees every audio packet of a call, both ways, and loses those that it is told to.

    `on_sent(time_s, lost)` is called just before a packet goes to the wire (or is lost instead);
    `on_received(packet)` at its arrival, in order of arrival. Neither may raise: aiortc would end the transport
    without a word.
    """

    outgoing_loss: Loss
    incoming_loss: Loss
    on_sent: Callable[[float, bool], None]
    on_received: Callable[[ReceivedPacket], None]
    dropped_outgoing: int = 0
    dropped_incoming: int = 0
    _sent: int = 0
    _received: int = 0

    def attach(self, sender: RTCRtpSender, receiver: RTCRtpReceiver) -> None:
        """Take the place between aiortc and the wire. Call it once both have their final transport."""
        self._tap_sending(sender)
        self._tap_receiving(receiver)

    def _tap_sending(self, sender: RTCRtpSender) -> None:
        transport = sender.transport
        send = getattr(transport, _SEND_RTP)
        ssrc = int(getattr(sender, _SSRC)).to_bytes(_SSRC_BYTES, "big")

        async def send_rtp(data: bytes) -> None:
            if is_rtcp(data) or data[_SSRC_OFFSET : _SSRC_OFFSET + _SSRC_BYTES] != ssrc:
                await send(data)
                return
            lost = self.outgoing_loss.loses(self._sent)
            self._sent += 1
            self.on_sent(time.monotonic(), lost)
            if lost:
                self.dropped_outgoing += 1
            else:
                await send(data)

        setattr(transport, _SEND_RTP, send_rtp)

    def _tap_receiving(self, receiver: RTCRtpReceiver) -> None:
        statistics: dict[int, Any] = getattr(receiver, _STATISTICS)

        async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
            now_s = time.monotonic()
            lost = self.incoming_loss.loses(self._received)
            self._received += 1
            if lost:
                self.dropped_incoming += 1
                return
            if packet.ssrc not in statistics:
                statistics[packet.ssrc] = StreamStatistics(RTP_CLOCK_HZ)
            statistics[packet.ssrc].add(packet)
            if packet.payload:
                self.on_received(ReceivedPacket(now_s, packet.sequence_number, packet.timestamp, packet.payload))

        # The stock handler, with its decoder and its 80 ms buffer, is never reached.
        setattr(receiver, _HANDLE_RTP, handle_rtp_packet)
