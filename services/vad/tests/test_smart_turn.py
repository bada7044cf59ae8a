from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from natter_vad.smart_turn import NoSmartTurnError, SmartTurnModel, default_model_path

Speech = Callable[[str], npt.NDArray[np.int16]]
COMPLETE = (
    "I would like to book a table for four people tonight.",
    "What is the capital of France?",
    "Please call me back tomorrow at nine.",
    "Thank you very much, that was all.",
)


def without_silence(pcm: npt.NDArray[np.int16]) -> bytes:
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 300)
    return pcm[loud[0] : loud[-1] + 1].tobytes()


def test_the_wheel_carries_the_model() -> None:
    assert default_model_path().name == "smart-turn-v3.2-cpu.onnx"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSmartTurnError, match=r"nothing\.onnx"):
        SmartTurnModel(tmp_path / "nothing.onnx")


def test_whole_sentences_are_more_complete_than_their_first_words(smart_turn: SmartTurnModel, speech: Speech) -> None:
    whole = [smart_turn.complete(without_silence(speech(text)), 0) for text in COMPLETE]
    cut: list[float] = []
    for text in COMPLETE:
        pcm = without_silence(speech(text))
        cut.append(smart_turn.complete(pcm[: len(pcm) // 4 * 2], 0))
    assert min(whole) > 0.5
    assert np.mean(whole) > np.mean(cut)


def test_silence_that_is_missing_is_added(smart_turn: SmartTurnModel, speech: Speech) -> None:
    pcm = without_silence(speech(COMPLETE[0]))
    added = smart_turn.complete(pcm + bytes(2 * 800), 800)
    assert added == pytest.approx(smart_turn.complete(pcm, 0), abs=1e-5)
    assert added == pytest.approx(smart_turn.complete(pcm + bytes(2 * 3_200), 3_200), abs=1e-5)


def test_only_the_last_8_s_count(smart_turn: SmartTurnModel) -> None:
    noise = np.random.default_rng(2).normal(0, 3_000, 200_000).astype("<i2").tobytes()
    assert smart_turn.complete(noise, 3_200) == pytest.approx(smart_turn.complete(noise[-256_000:], 3_200), abs=1e-6)
    smart_turn.complete(b"", 0)
    with pytest.raises(ValueError, match="whole number"):
        smart_turn.complete(b"\0", 0)
