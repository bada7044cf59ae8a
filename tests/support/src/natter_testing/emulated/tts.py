"""A voice that hums: as long as a speaker would take, with the times of the words."""

import asyncio
import math
from array import array
from typing import Final

from natter_common.worker import Input, Outlet, Reached, StageDefinition, StageSession
from natter_proto import (
    VOICE_FRAME_MAX_SAMPLES,
    VOICE_FRAME_SAMPLES,
    VOICE_RATE_HZ,
    Attempt,
    Fault,
    Header,
    Lease,
    Modality,
    Reply,
    ReplyKind,
    Stage,
    State,
    Voice,
    pcm_audio,
)
from natter_testing.emulated.script import Pace, spread_words

_PAUSE_SAMPLES: Final = VOICE_RATE_HZ // 4
"""A segment ends with this much silence."""
_PITCH_HZ: Final = 140
_SYLLABLES_PER_S: Final = 4
_AMPLITUDE: Final = 5_000
_MOST_WAITING: Final = 256

SegmentKey = tuple[int, int, int]


def hum() -> bytes:
    """A second of voice (and a frame more, so that any frame of it is one slice): 24 kHz s16le."""
    samples = array("h")
    for index in range(VOICE_RATE_HZ):
        time_s = index / VOICE_RATE_HZ
        syllable = 0.6 - 0.4 * math.cos(2 * math.pi * _SYLLABLES_PER_S * time_s)
        tone = sum(math.sin(2 * math.pi * _PITCH_HZ * harmonic * time_s) / harmonic for harmonic in (1, 2, 3, 5))
        samples.append(round(_AMPLITUDE * syllable * tone))
    return (samples + samples[:VOICE_FRAME_MAX_SAMPLES]).tobytes()


class TtsSession(StageSession):
    """One session's voice: segments in their order, as far as the state grants."""

    def __init__(self, _lease: Lease, outlet: Outlet, pace: Pace, voice: bytes) -> None:
        self._outlet = outlet
        self._pace = pace
        self._voice = voice
        self._attempts: dict[tuple[int, int], Attempt] = {}
        self._waiting: dict[SegmentKey, Reply] = {}
        self._wake = asyncio.Event()
        self._reached = Reached()

    async def on_state(self, state: State) -> None:
        self._attempts = {(attempt.turn, attempt.attempt): attempt for attempt in state.attempts}
        self._waiting = {key: segment for key, segment in self._waiting.items() if key[:2] in self._attempts}
        self._wake.set()

    async def on_reply(self, reply: Reply) -> None:
        if reply.kind != ReplyKind.REPLY_KIND_SEGMENT:
            return
        header = reply.header
        if len(self._waiting) >= _MOST_WAITING:
            words = "too many segments wait to be spoken"
            where = Header(turn=header.turn, attempt=header.attempt, segment=header.segment)
            await self._outlet.fault(Fault(header=where, code="overflow", stage=Stage.STAGE_TTS, words=words))
            return
        self._waiting[header.turn, header.attempt, header.segment] = reply
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            key = self._next()
            if key is None:
                await self._wake.wait()
            else:
                await self._speak(key, self._waiting.pop(key))

    def reached(self) -> Reached:
        return self._reached

    def _next(self) -> SegmentKey | None:
        for key in sorted(self._waiting):
            attempt = self._attempts[key[:2]]
            if attempt.modality != Modality.MODALITY_TEXT and key[2] <= attempt.segments_granted:
                return key
        return None

    async def _speak(self, key: SegmentKey, segment: Reply) -> None:
        await asyncio.sleep(self._pace.first_audio_ms / 1000)
        spoken = round(len(segment.spoken) * VOICE_RATE_HZ / self._pace.letters_per_s)
        total = spoken + _PAUSE_SAMPLES
        words = spread_words(segment.text, 0, spoken)
        first = 0
        size = VOICE_FRAME_SAMPLES
        while first < total and key[:2] in self._attempts:
            size = min(size, total - first)
            audio = pcm_audio(self._frame(first, size, spoken), VOICE_RATE_HZ, first)
            audio.end = first + size == total
            begun = [word for word in words if first <= word.from_sample < first + size]
            where = Header(turn=key[0], attempt=key[1], segment=key[2])
            await self._outlet.voice(Voice(header=where, audio=audio, words=begun, total_samples=total))
            # Publishing never yields: without this a long segment would leave the process in one lump.
            await asyncio.sleep(0)
            first += size
            size = VOICE_FRAME_MAX_SAMPLES
        self._reached = Reached(turn=key[0], attempt=key[1], segment=key[2])

    def _frame(self, first: int, size: int, spoken: int) -> bytes:
        voiced = max(0, min(size, spoken - first))
        begin = first % VOICE_RATE_HZ
        return self._voice[2 * begin : 2 * (begin + voiced)] + bytes(2 * (size - voiced))


def definition(pace: Pace) -> StageDefinition:
    voice = hum()

    def open_session(lease: Lease, outlet: Outlet) -> TtsSession:
        return TtsSession(lease, outlet, pace, voice)

    inputs = Input.REPLIES | Input.CONTROLS
    return StageDefinition(Stage.STAGE_TTS, inputs, {"local": "emulated voice"}, open_session)
