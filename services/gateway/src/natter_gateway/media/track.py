"""The track that aiortc sends to the caller: one Opus packet every 20 ms, as long as the connection is up.

Each packet is made when it is due, from the frame that the playout gives at that moment, so nothing has to be taken
back when the bot is interrupted. The sender asks with `recv`, and `recv` keeps the pace: packet n is due at
t0 + n · 20 ms. A wake-up that is late by whole packets skips them (in the RTP timestamps too, so that the receiver sees
a pause, and not a network that became slower) instead of sending them in a burst. `av.Packet`s go through aiortc's
sender without a thread hop and without its encoder.

Voice that comes behind silence does not wait for its packet to be due, but 5 ms at most: t0 moves, and back onto the
common grid once it is silent again.

While nothing is said the same silent packet is repeated: a gap would strand the end of a reply in jitter buffers.
"""

import asyncio
import fractions
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from natter_gateway.media.compat import check_aiortc
from natter_gateway.media.opus import OpusEncoder, silent_payload
from natter_gateway.media.playout import FRAME_MS, Playout, PoppedFrame
from natter_gateway.media.segment import FRAME_BYTES, RATE_HZ

check_aiortc()

PERIOD_S = FRAME_MS / 1000
_BEGIN_EVERY_S = 0.005
"""Voice begins at multiples of this: tracks that are due at the same moment share a wake-up of the loop. Each at once
would be 2.5 ms sooner, and cost a tenth more with ten sessions."""
_TIMESTAMP_STEP = 48_000 * FRAME_MS // 1000
_TIME_BASE = fractions.Fraction(1, 48_000)
_ZEROS = bytes(FRAME_BYTES)
_TAIL_FRAMES = 5
"""Silence is encoded for so long after voice, so that the codec's memory runs out before the ready-made packet."""
_SILENT_PAYLOAD = silent_payload(RATE_HZ)


class VoiceTrack(MediaStreamTrack):
    """The bot's voice for one peer connection.

    `on_frame(frame, at_s)` is called for each packet that is not plain silence (voice, holes, events), right before it
    is handed to the sender, with the time of the `clock`. It must be short and must not raise.
    """

    kind = "audio"

    def __init__(
        self,
        playout: Playout,
        on_frame: Callable[[PoppedFrame, float], object] | None = None,
        *,
        encoder: OpusEncoder | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__()
        playout.on_begin = self._begin
        self.encoder = encoder if encoder is not None else OpusEncoder(RATE_HZ)
        self.packets = 0
        self.skipped = 0
        """Packets that were not sent because the event loop was late."""
        # Asked for once: Python 3.11 asks the kernel for the process's id each time.
        self._event_loop = asyncio.get_running_loop()
        self._playout = playout
        self._on_frame = on_frame
        self._clock = clock
        self._sleep = sleep if sleep is not None else self._sleep_or_begin
        self._sleeping: asyncio.Future[None] | None = None
        self._waking: asyncio.TimerHandle | None = None
        self._begins = False
        self._off_grid = False
        self._t0_s: float | None = None
        self._tick = 0
        self._silent_frames = _TAIL_FRAMES

    async def recv(self) -> "av.Packet[Any]":
        """Wait until the next packet is due and return it, with its time in 1/48000 s."""
        if self.readyState != "live":
            raise MediaStreamError
        tick = await self._next_tick()
        frame = self._playout.pop()
        packet = av.Packet(self._encode(frame))
        packet.pts = tick * _TIMESTAMP_STEP
        packet.time_base = _TIME_BASE
        self.packets += 1
        if self._on_frame is not None and (frame.pcm is not None or frame.in_segment or frame.events):
            self._on_frame(frame, self._clock())
        return packet

    async def _next_tick(self) -> int:
        now_s = self._clock()
        if self._t0_s is None:
            # All tracks of the process are due at the same moments: one wake-up of the loop serves many sessions
            # (6 sessions cost 7 % less than with a wake-up each), and each stays where it is in the burst.
            self._t0_s = math.floor(now_s / PERIOD_S) * PERIOD_S
            return 0
        if self._off_grid and self._silent_frames > _TAIL_FRAMES:
            self._off_grid = False
            self._t0_s = math.ceil(self._t0_s / PERIOD_S) * PERIOD_S
        self._tick += 1
        wait_s = self._t0_s + self._tick * PERIOD_S - now_s
        if wait_s > 0:
            self._begins = False
            await self._sleep(wait_s)
            wait_s = self._t0_s + self._tick * PERIOD_S - self._clock()
            if self._begins and wait_s > 0:
                self._t0_s -= wait_s
                self._off_grid = True
        else:
            # The sender must let others run even when it is late.
            await self._sleep(0)
        missed = int(-wait_s / PERIOD_S)
        if missed > 0:
            self._tick += missed
            self.skipped += missed
        return self._tick

    def _begin(self) -> None:
        """Voice has come behind silence."""
        self._begins = True
        if self._sleeping is not None and self._waking is not None:
            self._waking.cancel()
            now_s = self._clock()
            self._wake_in(math.ceil(now_s / _BEGIN_EVERY_S) * _BEGIN_EVERY_S - now_s, self._sleeping)

    async def _sleep_or_begin(self, seconds: float) -> None:
        """Sleep until voice begins, at most for so long."""
        self._sleeping = self._event_loop.create_future()
        self._wake_in(seconds, self._sleeping)
        try:
            await self._sleeping
        finally:
            self._sleeping = None
            if self._waking is not None:
                self._waking.cancel()

    def _wake_in(self, seconds: float, sleeping: asyncio.Future[None]) -> None:
        self._waking = self._event_loop.call_later(seconds, _wake, sleeping)

    def _encode(self, frame: PoppedFrame) -> bytes:
        if frame.pcm is not None:
            if self._silent_frames > _TAIL_FRAMES:
                self.encoder.reset()  # the decoder has heard packets that this encoder did not make
            self._silent_frames = 0
            return self.encoder.encode(frame.pcm)
        self._silent_frames += 1
        if self._silent_frames <= _TAIL_FRAMES:
            return self.encoder.encode(_ZEROS)
        return _SILENT_PAYLOAD


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
