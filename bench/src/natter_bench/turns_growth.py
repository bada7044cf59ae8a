"""What is held between the turns of a long conversation, and whether it grows: samples in, judgement out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Held = Mapping[str, Mapping[str, float]]
"""By process (or vendor), then by what: `tasks`, `files`, `memory_mb`."""

MEMORY: Final = "memory_mb"
MOST_MB_PER_100_TURNS: Final = 1.0
"""10 kB a turn: a conversation that can be read back takes well under one, a turn's audio takes a hundred."""
_PER: Final = 100
_LEAST_SAMPLES: Final = 8
_STANDARD_ERRORS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was held after so many turns, nobody speaking."""

    turns: int
    held: Held


@dataclass(frozen=True, slots=True)
class Trend:
    """How one thing that a process holds went over the run.

    Attributes:
        process: who holds it.
        what: and what, as in `Held`.
        first: after the warm-up.
        last: at the end.
        slope: for each 100 turns, over the second half of the run (the first fills caches and arenas).
        grew: it goes on growing, beyond chance.
    """

    process: str
    what: str
    first: float
    last: float
    slope: float
    grew: bool


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """The trend of all that every sample has, by process. Raises ValueError for fewer than eight samples."""
    if len(samples) < _LEAST_SAMPLES:
        raise ValueError(f"{len(samples)} samples tell no trend: {_LEAST_SAMPLES} are needed")
    return [
        _trend(process, what, [sample.turns for sample in samples], [sample.held[process][what] for sample in samples])
        for process, things in samples[0].held.items()
        for what in things
        if all(what in sample.held.get(process, {}) for sample in samples)
    ]


def _trend(process: str, what: str, turns: Sequence[int], values: Sequence[float]) -> Trend:
    half = len(values) // 2
    slope, error = _slope(turns[half:], values[half:])
    if what == MEMORY:
        grew = slope - _STANDARD_ERRORS * error > MOST_MB_PER_100_TURNS
    else:
        # Connections and tasks come and go: what grows never gets back to what once was its most.
        grew = min(values[-(len(values) // 4) :]) > max(values[len(values) // 4 : half])
    return Trend(process, what, values[0], values[-1], slope, grew)


def _slope(turns: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Least squares, for each 100 turns, and its standard error."""
    x = np.asarray(turns, dtype=np.float64) / _PER
    y = np.asarray(values, dtype=np.float64)
    from_mean = x - x.mean()
    spread = float(np.sum(from_mean**2))
    slope = float(np.sum(from_mean * (y - y.mean()))) / spread
    rest = y - y.mean() - slope * from_mean
    return slope, float(np.sqrt(np.sum(rest**2) / max(1, len(x) - 2) / spread))
