from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from natter_vad.log_mel import INPUT_SAMPLES, LogMel

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def reference() -> Callable[[Floats], Floats]:
    """The feature extractor that comes with the model, loaded by path: its package is not to be imported."""
    top = importlib.util.find_spec("pipecat")
    assert top is not None
    assert top.origin is not None
    path = Path(top.origin).parent / "audio/turn/smart_turn/_whisper_features.py"
    spec = importlib.util.spec_from_file_location("whisper_features", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compute_whisper_log_mel_features


def behind_silence(sound: npt.NDArray[np.float64], tail: int) -> Floats:
    audio = np.zeros(INPUT_SAMPLES, np.float32)
    audio[INPUT_SAMPLES - tail - len(sound) : INPUT_SAMPLES - tail] = sound
    return audio


_RANDOM = np.random.default_rng(5)
SOUNDS = {
    "noise": _RANDOM.normal(0, 0.1, INPUT_SAMPLES).astype(np.float32),
    "tone": np.sin(np.arange(INPUT_SAMPLES) * 0.3).astype(np.float32),
    "short": behind_silence(_RANDOM.normal(0, 0.3, 30_000), 3_200),
    "shorter than a frame": behind_silence(np.full(150, 0.5), 0),
    "offset": behind_silence(_RANDOM.normal(0.2, 0.01, 90_000), 1_000),
    "nothing": np.zeros(INPUT_SAMPLES, np.float32),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_the_picture_is_whispers(name: str, reference: Callable[[Floats], Floats]) -> None:
    picture = LogMel().picture(SOUNDS[name])
    assert picture.dtype == np.float32
    assert picture.shape == (80, 800)
    assert np.abs(picture - reference(SOUNDS[name])).max() < 1e-3


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="128000"):
        LogMel().picture(np.zeros(16_000, np.float32))
