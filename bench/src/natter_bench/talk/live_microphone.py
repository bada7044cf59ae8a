"""A microphone that mixes while it sends: speech, the noise of a room, and the loudspeaker's echo."""

from __future__ import annotations

import asyncio
import fractions
import time
from typing import Any, Final

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError

from natter_bench.errors import CallError
from natter_bench.levels import SILENCE_DBFS, level_dbfs
from natter_bench.microphone import Microphone
from natter_bench.opus import FRAME_MS, RTP_CLOCK_HZ, RTP_TICKS_PER_FRAME, Encoder, Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.speech import EncodedSpeech
from natter_bench.talk.cases import Echo
from natter_bench.talk.noise import Floats, as_floats, as_pcm, gain

_TIME_BASE: Final = fractions.Fraction(1, RTP_CLOCK_HZ)
_FRAME_S: Final = FRAME_MS / 1000
_FRAME_SAMPLES: Final = VOICE_HZ * FRAME_MS // 1000
_LATE_S: Final = 0.010
_RING_S: Final = 4
# Packets jitter by a few ms, a loudspeaker does not: only what is further off than this is a new place.
_SAME_PLACE_SAMPLES: Final = VOICE_HZ * 40 // 1000


class LiveMicrophone(Microphone):
    """Encodes as it goes, about 0.2 ms a frame. Samples are 24 kHz mono.

    `level_dbfs` is that of the speech alone, as it would be without its gain: noise and echo don't change this truth.
    """

    def __init__(self) -> None:
        super().__init__()
        self.late_frames: int = 0
        self.sent: list[Pcm] = []
        """What really went out, for a listener."""
        self._encoder = Encoder(VOICE_HZ)
        self._speech = np.zeros(0)
        self._clean = np.zeros(0, dtype=np.int16)
        self._said: asyncio.Future[None] | None = None
        self._floor: Floats | None = None
        self._echo: Echo | None = None
        self._ring = np.zeros(_RING_S * VOICE_HZ)
        self._echo_end = 0

    def play_floor(self, floor: Floats | None) -> None:
        """Noise from now on, around and around."""
        self._floor = floor

    def hear_loudspeaker(self, echo: Echo | None) -> None:
        """Whether what is received comes back."""
        self._echo = echo

    def speak(self, speech: Floats, clean: Pcm) -> asyncio.Future[None]:
        """Say something now, in the place of what is still being said; done when its last frame is given out.

        `clean` is what the levels are taken from.
        """
        self.hush()
        self._speech, self._clean = speech, clean
        self._said = asyncio.get_running_loop().create_future()
        return self._said

    def say(self, speech: EncodedSpeech) -> asyncio.Future[None]:
        """Not here: what is encoded can't be mixed."""
        raise CallError("a live microphone takes samples")

    def hush(self) -> None:
        """Stop speaking; noise and echo go on."""
        self._speech, self._clean = np.zeros(0), np.zeros(0, dtype=np.int16)
        if self._said is not None and not self._said.done():
            self._said.set_result(None)

    def loudspeaker(self, pcm: Pcm, arrived_s: float) -> None:
        """What the caller's device plays, as it arrives."""
        if self._echo is None or self._start_s is None:
            return
        place = round((arrived_s - self._start_s + self._echo.delay_ms / 1000) * VOICE_HZ)
        if abs(place - self._echo_end) <= _SAME_PLACE_SAMPLES:
            place = self._echo_end
        indices = np.arange(place, place + len(pcm)) % len(self._ring)
        self._ring[indices] = as_floats(pcm) * gain(self._echo.gain_db)
        self._echo_end = place + len(pcm)

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
        frame = self._next_frame()
        self.sent.append(frame)
        packet = av.Packet(self._encoder.encode(frame))
        packet.pts = self._count * RTP_TICKS_PER_FRAME
        packet.time_base = _TIME_BASE
        self._count += 1
        return packet

    def _next_frame(self) -> Pcm:
        first = self._count * _FRAME_SAMPLES
        mixed = np.zeros(_FRAME_SAMPLES)
        part, self._speech = self._speech[:_FRAME_SAMPLES], self._speech[_FRAME_SAMPLES:]
        clean, self._clean = self._clean[:_FRAME_SAMPLES], self._clean[_FRAME_SAMPLES:]
        mixed[: len(part)] += part
        self.level_dbfs = level_dbfs(clean) if len(clean) else SILENCE_DBFS
        if len(part) and not len(self._speech) and self._said is not None and not self._said.done():
            self._said.set_result(None)
        indices = np.arange(first, first + _FRAME_SAMPLES)
        if self._floor is not None:
            mixed += self._floor[indices % len(self._floor)]
        ring = indices % len(self._ring)
        mixed += self._ring[ring]
        # Played once.
        self._ring[ring] = 0.0
        return as_pcm(mixed)
