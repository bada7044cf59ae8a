from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from natter_vad.silero import WINDOW_SAMPLES, ModelNotFoundError, SileroModel, SileroState, default_model_path

Speech = Callable[[str], npt.NDArray[np.int16]]


def windows_of(pcm: npt.NDArray[np.int16]) -> list[npt.NDArray[np.float32]]:
    count = len(pcm) // WINDOW_SAMPLES
    audio = pcm[: count * WINDOW_SAMPLES].astype(np.float32) / 32_768
    return list(audio.reshape(count, WINDOW_SAMPLES))


def test_the_wheel_carries_the_model() -> None:
    assert default_model_path().name == "silero_vad_16k_op15.onnx"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"nothing\.onnx"):
        SileroModel(tmp_path / "nothing.onnx")


def test_speech_is_told_from_silence_and_noise(silero: SileroModel, speech: Speech) -> None:
    said = windows_of(speech("The weather in Lisbon is warm and sunny this afternoon."))
    state = SileroState()
    heard = [silero.run([window], [state])[0] for window in said]
    noise = np.random.default_rng(1).normal(0, 0.01, (60, WINDOW_SAMPLES)).astype(np.float32)
    state = SileroState()
    hiss = [silero.run([window], [state])[0] for window in noise]
    assert max(heard) > 0.95
    assert sum(p > 0.5 for p in heard) > len(heard) * 0.5
    assert max(hiss) < 0.4


def test_a_batch_gives_each_session_what_it_would_get_alone(silero: SileroModel, speech: Speech) -> None:
    one = windows_of(speech("The weather in Lisbon is warm and sunny this afternoon."))
    two = windows_of(speech("Can you tell me what time the next train leaves for Boston?"))
    count = min(len(one), len(two))
    state = SileroState()
    alone = [silero.run([window], [state])[0] for window in one[:count]]
    mine, other = SileroState(), SileroState()
    together: list[float] = []
    for index in range(count):
        pair = ([one[index], two[index]], [mine, other])
        if index % 2:  # the place in the batch does not matter
            pair = (pair[0][::-1], pair[1][::-1])
        result = silero.run(*pair)
        together.append(result[index % 2])
    assert together == pytest.approx(alone, abs=1e-4)


def test_a_reset_state_is_a_new_one(silero: SileroModel, speech: Speech) -> None:
    said = windows_of(speech("The weather in Lisbon is warm and sunny this afternoon."))
    state = SileroState()
    first = [silero.run([window], [state])[0] for window in said[:20]]
    state.reset()
    assert [silero.run([window], [state])[0] for window in said[:20]] == pytest.approx(first, abs=1e-5)


def test_wrong_shapes_are_refused(silero: SileroModel) -> None:
    assert silero.run([], []) == []
    with pytest.raises(ValueError, match="2 windows for 1"):
        silero.run([np.zeros(WINDOW_SAMPLES, np.float32)] * 2, [SileroState()])
    with pytest.raises(ValueError, match="shape"):
        silero.run([np.zeros(320, np.float32)], [SileroState()])
