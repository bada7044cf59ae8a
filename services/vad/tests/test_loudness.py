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


def learned(audio: np.ndarray, quiet_until: int) -> Loudness:
    """Told that nobody spoke before a sample, as it comes to it."""
    loudness = Loudness()
    pcm = np.clip(audio, -32_768, 32_767).astype("<i2")
    for at in range(0, len(pcm), 320):
        loudness.push(at, pcm[at : at + 320].tobytes())
        loudness.nobody_spoke(0, min(at, quiet_until))
    return loudness


@pytest.mark.parametrize("room", [150, 300, 600])
def test_in_a_noisy_room_that_is_known_the_end_is_known_too(room: float) -> None:
    audio = np.concatenate([noise(1_000, room), noise(700, 3_000), noise(400, room)])
    loudness = learned(audio, 900 * 16)
    assert loudness.in_noise
    assert 0 <= loudness.audible_end_sample - 1_700 * 16 <= 320


def test_a_hiss_is_heard_in_a_hum_that_is_louder() -> None:
    at_s = np.arange(2_000 * 16) / 16_000
    hum = 1_500 * np.sin(2 * np.pi * 300 * at_s) + noise(2_000, 5)
    hiss = np.diff(noise(200, 400), prepend=0.0)
    audio = hum + np.concatenate([np.zeros(16_000), noise(500, 6_000), hiss, np.zeros(300 * 16)])
    assert 0 <= learned(audio, 900 * 16).audible_end_sample - 1_700 * 16 <= 320


def test_a_room_as_loud_as_the_voice_says_nothing() -> None:
    audio = np.concatenate([noise(1_000, 3_000), noise(700, 4_000), noise(400, 3_000)])
    assert learned(audio, 900 * 16).audible_end_sample == len(audio)


def test_a_room_that_grows_loud_is_learned_anew() -> None:
    audio = np.concatenate([noise(1_000, 50), noise(2_000, 500), noise(700, 4_000), noise(400, 500)])
    assert 0 <= learned(audio, 2_900 * 16).audible_end_sample - 3_700 * 16 <= 320


def test_a_quiet_room_is_no_noise() -> None:
    audio = np.concatenate([noise(1_000, 5), noise(700, 3_000)])
    assert not learned(audio, 900 * 16).in_noise


def test_a_gate_teaches_nothing() -> None:
    audio = np.concatenate([noise(500, 0), noise(700, 3_000), noise(400, 0)])
    loudness = learned(audio, 500 * 16)
    assert not loudness.in_noise
    assert loudness.audible_end_sample == 1_200 * 16
