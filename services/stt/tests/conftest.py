"""Speech for the tests, made by the built-in voice: no recordings in the repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from natter_stt.local import LocalProvider

Say = Callable[[str], npt.NDArray[np.int16]]


@pytest.fixture(scope="session")
def say() -> Say:
    """Says a sentence: 16 kHz s16 samples, some 250 ms of near-silence in front and 450 ms behind."""
    hibari = pytest.importorskip("hibari")
    voice = hibari.Hibari()

    @cache
    def speak(text: str) -> npt.NDArray[np.int16]:
        audio = np.asarray(voice(text), np.float64)
        taps = np.sinc(np.arange(-32, 33) * 2 / 3 * 0.95) * np.hamming(65)
        audio = np.convolve(audio, taps / taps.sum(), "same")
        at = np.arange(len(audio) * 2 // 3) * 1.5
        audio = np.interp(at, np.arange(len(audio)), audio)
        samples = (np.clip(audio, -1, 1) * 32_767).astype("<i2")
        return samples[: len(samples) // 320 * 320]

    return speak


@pytest_asyncio.fixture
async def recognizer() -> AsyncIterator[LocalProvider]:
    """The real built-in recognizer, started."""
    provider = LocalProvider()
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()
