"""A voice that beeps: one tone for each word, the longer the more letters it has."""

from collections.abc import AsyncGenerator

import numpy as np
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_tts.provider import RATE_HZ, TtsError, TtsSettings, VoiceChunk
from natter_tts.whole import whole_segment
from natter_tts.words import letters


class BeepProvider:
    name = "beep"

    def describe(self) -> str:
        return "beeps, one for each word"

    async def load(self, registry: CollectorRegistry) -> None: ...  # read a key, make a client
    async def probe(self) -> None: ...  # raise TtsError while it can't be used
    async def close(self) -> None: ...

    def open(self, settings: TtsSettings) -> "BeepStream":
        pitch_hz = {"": 440, "low": 440, "high": 880}.get(settings.voice)
        if pitch_hz is None:
            raise TtsError(Trouble.BAD_SETTINGS, f"Beep is low or high, not {settings.voice!r}.", retryable=False)
        return BeepStream(pitch_hz, int(RATE_HZ * 0.05 / settings.speed))


class BeepStream:
    def __init__(self, pitch_hz: int, samples: int) -> None:
        self._letter = (8_000 * np.sin(2 * np.pi * pitch_hz * np.arange(samples) / RATE_HZ)).astype("<i2").tobytes()

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        pcm = b"".join(self._letter * len(letters(word)) + bytes(len(self._letter)) for word in spoken.split())
        for chunk in whole_segment(text, spoken, pcm):
            yield chunk

    async def close(self) -> None: ...
