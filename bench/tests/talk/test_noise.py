"""Levels of what is mixed."""

from typing import get_args

import numpy as np
import pytest

from natter_bench.levels import level_dbfs
from natter_bench.talk.cases import Noise, NoiseColour, SoundName
from natter_bench.talk.noise import active_dbfs, as_pcm, floor, sound

RATE_HZ = 24_000


def tone(seconds: float, amplitude: float = 8000) -> np.ndarray:
    return (np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ) * amplitude).astype(np.int16)


@pytest.mark.parametrize("colour", get_args(NoiseColour))
def test_the_floor_lies_as_far_below_the_speech_as_asked(colour: NoiseColour) -> None:
    made = floor(Noise(colour, 20), -18.0, 5 * RATE_HZ, RATE_HZ, 1, [tone(1.0), tone(1.7)])
    assert level_dbfs(as_pcm(made)) == pytest.approx(-38.0, abs=0.3)


def test_the_same_seed_makes_the_same_noise() -> None:
    made = [floor(Noise("pink", 20), -18.0, RATE_HZ, RATE_HZ, seed, []) for seed in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_pauses_do_not_count_for_the_level_of_speech() -> None:
    spoken = np.concatenate([tone(1.0), np.zeros(2 * RATE_HZ, dtype=np.int16), tone(1.0)])
    assert active_dbfs(spoken, RATE_HZ) == pytest.approx(level_dbfs(tone(1.0)), abs=0.1)


@pytest.mark.parametrize("name", get_args(SoundName))
def test_sounds_are_as_loud_as_speech_and_short(name: SoundName) -> None:
    made = as_pcm(sound(name, RATE_HZ))
    size = RATE_HZ // 50
    assert max(level_dbfs(made[at : at + size]) for at in range(0, len(made), size)) == pytest.approx(-20.0, abs=0.2)
    assert len(made) <= RATE_HZ
