from __future__ import annotations

import numpy as np
import pytest

from natter_vad.loudness import Loudness

_RANDOM = np.random.default_rng(7)


def noise(duration_ms: int, amplitude: float) -> np.ndarray:
    return _RANDOM.normal(0, amplitude, duration_ms * 16)


def end_of(audio: np.ndarray, frame: int = 320) -> int:
    loudness = Loudness()
    pcm = np.clip(audio, -32_768, 32_767).astype("<i2")
    for at in range(0, len(pcm), frame):
        loudness.push(at, pcm[at : at + frame].tobytes())
    return loudness.audible_end_sample


@pytest.mark.parametrize("room", [0, 5, 30])
def test_the_end_of_a_voice_is_known_to_10_ms(room: float) -> None:
    audio = np.concatenate([noise(500, room), noise(703, 3_000), noise(400, room)])
    assert 0 <= end_of(audio) - 1_203 * 16 < 160


def test_a_voice_that_sinks_is_still_heard() -> None:
    audio = np.concatenate([noise(500, 10), noise(700, 3_000), noise(100, 120), noise(400, 10)])
    assert end_of(audio) == 1_300 * 16


def test_in_a_loud_room_loudness_says_nothing() -> None:
    audio = np.concatenate([noise(500, 600), noise(700, 3_000), noise(400, 600)])
    assert end_of(audio) == len(audio)


def test_a_slammed_door_is_forgotten() -> None:
    audio = np.concatenate([noise(20, 30_000), noise(2_500, 10), noise(500, 1_000), noise(300, 10)])
    assert end_of(audio) == 3_020 * 16


def test_frames_may_have_any_length() -> None:
    audio = np.concatenate([noise(500, 5), noise(700, 3_000), noise(400, 5)])
    assert abs(end_of(audio, 250) - 1_200 * 16) <= 160
