"""Speech for the tests, made by the built-in voice: no recordings in the repository."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from natter_vad.silero import SileroModel
from natter_vad.smart_turn import SmartTurnModel

Speech = Callable[[str], npt.NDArray[np.int16]]


@pytest.fixture(scope="session")
def silero() -> SileroModel:
    """The real model, loaded once."""
    model = SileroModel()
    model.warm_up()
    return model


@pytest.fixture(scope="session")
def smart_turn() -> SmartTurnModel:
    """The real model for the end of turns, loaded once."""
    return SmartTurnModel()


@pytest.fixture(scope="session")
def speech() -> Speech:
    """Says a sentence: 16 kHz s16 samples, some 250 ms of near-silence in front and 450 ms behind."""
    hibari = pytest.importorskip("hibari")
    voice = hibari.Hibari()

    @cache
    def say(text: str) -> npt.NDArray[np.int16]:
        audio = np.asarray(voice(text), np.float64)
        taps = np.sinc(np.arange(-32, 33) * 2 / 3 * 0.95) * np.hamming(65)
        audio = np.convolve(audio, taps / taps.sum(), "same")
        at = np.arange(len(audio) * 2 // 3) * 1.5
        audio = np.interp(at, np.arange(len(audio)), audio)
        return (np.clip(audio, -1, 1) * 32_767).astype("<i2")

    return say
