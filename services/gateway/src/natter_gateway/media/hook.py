"""Takes an aiortc receiver's packets before its jitter buffer, and a sender's loss reports.

aiortc's own path buffers 80 ms (280 ms after one lost packet) and decodes to 48 kHz stereo in a thread. `MicHook`
replaces the receiver's packet handler on the instance, between `setRemoteDescription` and `setLocalDescription`;
decryption, routing and RTCP stay aiortc's. `LossHook` looks over a sender's shoulder as it takes receiver reports.

Both handlers run inside the transport's receive loop, which an exception would end without a word: the call would be
deaf, and dead seconds later. So nothing gets out of them; what fails is counted and logged.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import AnyRtcpPacket, RtcpRrPacket, RtcpSrPacket, RtpPacket

from natter_gateway.media.compat import check_aiortc
from natter_gateway.media.receive import MicFrame, MicReceiver
from natter_gateway.media.reports import LossEstimate, ReceptionStatistics

check_aiortc()

logger = logging.getLogger(__name__)

SOURCE_TIMEOUT_MS = 200.0
"""Another source (SSRC) is followed when the current one has been silent for so long."""
_LOG_EVERY = 500  # errors: one packet's is logged, then every so many (10 s of packets)


@dataclass(slots=True)
class HookCounters:
    """What went past the hook without becoming audio."""

    errors: int = 0
    """Exceptions that would have ended the transport's loop."""
    foreign: int = 0
    """Packets of another codec, or of a second source."""
    sources: int = 0
    """Sources that were followed, one after the other."""


class _Guard:
    """Counts and logs, not too often, what a handler raised."""

    def __init__(self, name: str, counters: HookCounters) -> None:
        self._name = name
        self._counters = counters

    def failed(self, error: Exception) -> None:
        if self._counters.errors % _LOG_EVERY == 0:
            logger.error("%s: packet dropped (error %d)", self._name, self._counters.errors + 1, exc_info=error)
        self._counters.errors += 1


class MicHook:
    """Connects one aiortc audio receiver with a `MicReceiver`.

    `on_frame` gets each `MicFrame`, in order, on the event loop, within the packet's own handling: it must be short.
    `MicFrame.arrival_ms` is on `time.monotonic`, as is the loop's clock.

    A session's next peer connection gets a new hook on the same `MicReceiver`: with its first packet it takes over, the
    numbering skips by the time that passed, and packets of the older hook no longer count. The same holds for a new
    SSRC on one connection, once the old one is silent. Call `close` when the peer connection ends.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        mic: MicReceiver,
        on_frame: Callable[[MicFrame], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = HookCounters()
        self.statistics = ReceptionStatistics()
        """Reception of the current source, as it goes into our receiver reports."""
        self._mic = mic
        self._on_frame = on_frame
        self._clock = clock
        self._guard = _Guard("microphone", self.counters)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ssrc: int | None = None
        self._opus_type: int | None = None
        self._last_ms = 0.0
        private = cast(Any, receiver)
        # Name-mangled attributes of RTCRtpReceiver, checked by `compat`.
        self._codecs: dict[int, RTCRtpCodecParameters] = private._RTCRtpReceiver__codecs
        self._reported: dict[int, ReceptionStatistics] = private._RTCRtpReceiver__remote_streams
        self._receiver = receiver
        private._handle_rtp_packet = self._handle

    def close(self) -> None:
        """Stop listening: later packets are dropped, a pending timer is cancelled."""
        cast(Any, self._receiver)._handle_rtp_packet = _drop
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _handle(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        # aiortc's arrival time is on the wall clock, which may jump.
        try:
            self._take(packet, self._clock())
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._guard.failed(error)

    def _take(self, packet: RtpPacket, now_s: float) -> None:
        if not cast(Any, self._receiver)._enabled:
            return
        if packet.payload_type != self._opus_type and not self._is_opus(packet.payload_type):
            self.counters.foreign += 1
            return
        now_ms = now_s * 1000.0
        if (packet.ssrc != self._ssrc and not self._follow(packet.ssrc, now_ms)) or self._mic.source is not self:
            self.counters.foreign += 1
            return
        self._last_ms = now_ms
        self.statistics.add(packet.sequence_number, packet.timestamp, now_s)
        level = packet.extensions.audio_level
        frames = self._mic.push(
            packet.sequence_number, packet.timestamp, packet.payload, now_ms, None if level is None else -level[1]
        )
        if self._mic.deadline_ms is not None and self._timer is None:
            self._arm(now_ms)
        for frame in frames:
            self._on_frame(frame)

    def _is_opus(self, payload_type: int) -> bool:
        codec = self._codecs.get(payload_type)
        if codec is None or codec.mimeType.lower() != "audio/opus":
            return False
        self._opus_type = payload_type
        return True

    def _follow(self, ssrc: int, now_ms: float) -> bool:
        """Take a new source if there is none that still speaks."""
        if self._ssrc is not None:
            if now_ms - self._last_ms < SOURCE_TIMEOUT_MS or self._mic.source is not self:
                return False
            self._reported.pop(self._ssrc, None)
        for frame in self._mic.take_over(self, now_ms):
            self._on_frame(frame)
        self._ssrc = ssrc
        self.counters.sources += 1
        # One entry, so that no caller can make the reports grow.
        self.statistics = self._reported[ssrc] = ReceptionStatistics()
        return True

    def _arm(self, now_ms: float) -> None:
        deadline_ms = self._mic.deadline_ms
        if deadline_ms is not None:
            self._timer = self._loop.call_later(max(0.001, (deadline_ms - now_ms) / 1000.0), self._flush)

    def _flush(self) -> None:
        self._timer = None
        now_ms = self._clock() * 1000.0
        try:
            for frame in self._mic.flush(now_ms):
                self._on_frame(frame)
        except Exception as error:  # noqa: BLE001 - a failing consumer is counted the same way in both places
            self._guard.failed(error)
        self._arm(now_ms)


class LossHook:
    """Tells what the caller's receiver reports say about our packets: loss in percent, and the round trip.

    `on_loss` gets the smoothed percentage after each report, about once a second.
    """

    def __init__(self, sender: RTCRtpSender, on_loss: Callable[[int], object]) -> None:
        self.counters = HookCounters()
        self.estimate = LossEstimate()
        self.packets_lost = 0
        """Lost over the whole connection, as last reported."""
        self._sender = sender
        self._on_loss = on_loss
        self._guard = _Guard("receiver reports", self.counters)
        private = cast(Any, sender)
        self._stock = private._handle_rtcp_packet
        private._handle_rtcp_packet = self._handle

    @property
    def round_trip_ms(self) -> float | None:
        """Smoothed round trip to the caller, or None before the first usable report."""
        rtt_s: float | None = cast(Any, self._sender)._RTCRtpSender__rtt
        return None if rtt_s is None else max(0.0, rtt_s * 1000.0)

    def close(self) -> None:
        """Give the sender its own handler back."""
        cast(Any, self._sender)._handle_rtcp_packet = self._stock

    async def _handle(self, packet: AnyRtcpPacket) -> None:
        try:
            await self._stock(packet)
            if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
                for report in packet.reports:
                    if report.ssrc == self._sender._ssrc:  # pyright: ignore[reportPrivateUsage]
                        self.packets_lost = report.packets_lost
                        self._on_loss(self.estimate.add(report.fraction_lost))
        except ConnectionError:
            raise  # the transport's own way to end
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._guard.failed(error)


async def _drop(packet: RtpPacket, arrival_time_ms: int) -> None:
    pass
