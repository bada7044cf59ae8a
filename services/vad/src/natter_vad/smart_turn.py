"""Smart Turn v3.2 as an ONNX graph: the last seconds of a turn in, the probability that it is complete out.

The model (BSD-2-Clause, by Daily) comes with the wheel `pipecat-ai`, which is installed for this file alone and never
imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from natter_vad.log_mel import INPUT_SAMPLES, RATE_HZ, LogMel

_MODEL_PACKAGE: Final = "pipecat"
_MODEL_FILE: Final = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"

TRAINED_SILENCE_SAMPLES: Final = RATE_HZ // 5
"""The turns that it was trained on end with about 200 ms of silence."""


class NoSmartTurnError(RuntimeError):
    """The Smart Turn model file is not where the installed wheel should have it."""


def default_model_path() -> Path:
    """The model file inside the `pipecat-ai` wheel, found without importing it.

    Raises:
        NoSmartTurnError: the wheel or the file is missing.
    """
    spec = importlib.util.find_spec(_MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise NoSmartTurnError(f"the package {_MODEL_PACKAGE} is not installed")
    path = Path(spec.origin).parent / _MODEL_FILE
    if not path.is_file():
        raise NoSmartTurnError(f"{path} does not exist")
    return path


class SmartTurnModel:
    """The model, loaded once per worker. It uses the thread that calls it and no other, and remembers nothing."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the graph.

        Args:
            path: the ONNX file; the wheel's own by default.

        Raises:
            NoSmartTurnError: there is no such file.
        """
        path = default_model_path() if path is None else path
        if not path.is_file():
            raise NoSmartTurnError(f"{path} does not exist")
        options = cast("Any", onnxruntime).SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._log_mel = LogMel()

    def complete(self, pcm: bytes | bytearray, quiet_samples: int) -> float:
        """Judge a turn: about 40 ms on one core, nearly all of it without the interpreter's lock.

        Args:
            pcm: the turn so far, 16 kHz mono s16le; only the last 8 s count.
            quiet_samples: how many of its last samples come after the speech: what is missing of 200 ms is added.

        Returns:
            The probability that the turn is complete, 0..1.

        Raises:
            ValueError: an odd number of bytes.
        """
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are no whole number of samples")
        room = INPUT_SAMPLES - max(0, TRAINED_SILENCE_SAMPLES - quiet_samples)
        samples = np.frombuffer(pcm, "<i2")[-room:]
        audio: npt.NDArray[np.float32] = np.zeros(INPUT_SAMPLES, np.float32)
        audio[room - len(samples) : room] = samples
        audio /= 32_768
        feed = {"input_features": self._log_mel.picture(audio)[np.newaxis]}
        (probability,) = cast("tuple[npt.NDArray[np.float32]]", self._session.run(None, feed))
        return float(probability[0, 0])

    def warm_up(self) -> None:
        """Judge silence once, so that the first caller does not pay for the first allocations."""
        self.complete(bytes(2 * INPUT_SAMPLES), 0)
