"""A microphone without a sound card: encoded speech when asked, silence otherwise, one packet every 20 ms."""

from __future__ import annotations

import asyncio
import fractions
import time
from collections import deque
from typing import Any, Final

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from natter_bench.levels import SILENCE_DBFS
from natter_bench.opus import FRAME_MS, RTP_CLOCK_HZ, RTP_TICKS_PER_FRAME, Encoder
from natter_bench.speech import EncodedSpeech

_TIME_BASE: Final = fractions.Fraction(1, RTP_CLOCK_HZ)
_FRAME_S: Final = FRAME_MS / 1000
_LATE_S: Final = 0.010


def _silence() -> bytes:
    encoder = Encoder(24_000)
    frame = np.zeros(encoder.frame_samples, dtype=np.int16)
    # The second packet: the first still carries the encoder's start.
    return [encoder.encode(frame) for _ in range(2)][1]


class Microphone(MediaStreamTrack):
    """A track of encoded packets on its own clock.

    A sound card does not wait: after a late wake-up the missed frames follow at once, so that time stamps and the wall
    clock never part. `late_frames` counts those over 10 ms late: when there are many, the machine was too busy to
    measure anything.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[tuple[bytes, float, asyncio.Future[None] | None]] = deque()
        self._silence = _silence()
        self._start_s: float | None = None
        self._count = 0
        self.late_frames = 0
        self.level_dbfs = SILENCE_DBFS
        """Level of the frame given out last."""

    async def recv(self) -> av.Packet[Any]:
        """The next packet when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s
        due_s = self._start_s + self._count * _FRAME_S
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)
        if time.monotonic() - due_s > _LATE_S:
            self.late_frames += 1
        if self._frames:
            payload, self.level_dbfs, done = self._frames.popleft()
            if done is not None and not done.done():
                done.set_result(None)
        else:
            payload, self.level_dbfs = self._silence, SILENCE_DBFS
        packet = av.Packet(payload)
        packet.pts = self._count * RTP_TICKS_PER_FRAME
        packet.time_base = _TIME_BASE
        self._count += 1
        return packet

    def say(self, speech: EncodedSpeech) -> asyncio.Future[None]:
        """Queue speech behind what is still being said. The future is done when its last frame is given out."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last = len(speech.frames) - 1
        if last < 0:
            done.set_result(None)
        for index, (payload, dbfs) in enumerate(zip(speech.frames, speech.dbfs, strict=True)):
            self._frames.append((payload, dbfs, done if index == last else None))
        return done

    def hush(self) -> None:
        """Stop speaking at once; waiting says are done."""
        for _, _, done in self._frames:
            if done is not None and not done.done():
                done.set_result(None)
        self._frames.clear()
