"""Levels of frames."""

import math

import numpy as np
import pytest

from natter_gateway.echo.level import SILENCE_DBFS, level_dbfs


def test_a_full_scale_sine_is_three_below() -> None:
    sine = 32767 * np.sin(2 * np.pi * 400 * np.arange(480) / 24_000)
    assert level_dbfs(sine.astype("<i2").tobytes()) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("pcm", [b"", b"\0\0" * 320])
def test_silence_has_a_level(pcm: bytes) -> None:
    assert level_dbfs(pcm) == SILENCE_DBFS


def test_half_the_amplitude_is_six_less() -> None:
    loud, soft = (np.full(320, value, "<i2").tobytes() for value in (8_000, 4_000))
    assert level_dbfs(loud) - level_dbfs(soft) == pytest.approx(20 * math.log10(2), abs=1e-4)


def test_voice_and_microphone_have_one_level_for_one_sound_but_for_a_hiss() -> None:
    def level(hertz: float, rate_hz: int) -> float:
        times = np.arange(rate_hz // 50) / rate_hz
        return level_dbfs((8_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2").tobytes())

    assert level(500, 24_000) == pytest.approx(level(500, 16_000), abs=0.2)
    assert level(9_000, 24_000) < level(500, 24_000) - 8
