"""How the bot's voice comes back to the microphone, learned from levels: its delay and how much softer it is."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from natter_gateway.echo.envelope import LAGS, Levels

HISTORY: Final = 150
"""Mic frames that are learned from, of those that came while the bot was audible: 3 s."""
_FLOOR_RANGE_DBFS: Final = (-75.0, -35.0)
_ABOVE_FLOOR_DB: Final = 6.0
_DYNAMIC_DB: Final = 30.0
"""Below the loudest of the voice by this much its level says nothing: the room's noise covers its echo."""

_NOISE_COSTS: Final = 0.1
"""Of correlation, while it is not known how much of the echo lies below the room's noise."""


@dataclass(frozen=True, slots=True)
class EchoPath:
    """From a level handed out to the level that comes back."""

    delay_slots: int
    gain_db: float
    """Echo over playout; below 0 as a rule."""
    spread_db: float
    """How far off levels were that it should have foretold."""


@dataclass(frozen=True, slots=True)
class _Demands:
    """What the past must show before a path is believed."""

    frames: int
    loud_frames: int
    correlation: float
    spread_db: float
    worst_spread_db: float
    """Of all but a fifth of the levels."""
    gain_db: float


_SURE: Final = _Demands(50, 25, correlation=0.8, spread_db=5.0, worst_spread_db=11.0, gain_db=6.0)
_SOON_SURE: Final = _Demands(40, 15, correlation=0.93, spread_db=2.5, worst_spread_db=4.5, gain_db=-6.0)
_FIRST: Final = _Demands(8, 4, correlation=0.95, spread_db=2.5, worst_spread_db=4.5, gain_db=-6.0)
"""So little past has to fit well, and to be as soft as an echo: two voices that begin together look alike."""
_LATER: Final = _Demands(8, 4, correlation=0.88, spread_db=3.0, worst_spread_db=6.5, gain_db=-3.0)
"""What began like an echo is one while it goes on so: rooms and loudspeakers change the rest of it."""


class EchoHistory:
    """The last `HISTORY` mic levels, each with the levels that had been handed out before it."""

    def __init__(self) -> None:
        self._mic: Final[Levels] = np.zeros(HISTORY, np.float32)
        self._played: Final[Levels] = np.zeros((HISTORY, LAGS), np.float32)
        self._next = 0
        self._count = 0
        self.floor_dbfs: float = _FLOOR_RANGE_DBFS[0]
        """Level of the room without anybody's voice."""

    def add(self, mic_dbfs: float, played_before: Levels) -> None:
        """One mic frame and the playout's levels at each delay."""
        self._mic[self._next] = mic_dbfs
        self._played[self._next] = played_before
        self._next = (self._next + 1) % HISTORY
        self._count = min(self._count + 1, HISTORY)

    def update_floor(self) -> None:
        """Look again how loud the room is."""
        mic = self._mic[: self._count]
        if mic.size:
            # The fifth percentile: even fluent speech leaves so much quiet between its sounds.
            floor = float(np.partition(mic, mic.size // 20)[mic.size // 20])
            self.floor_dbfs = min(max(floor, _FLOOR_RANGE_DBFS[0]), _FLOOR_RANGE_DBFS[1])

    def path(self, likely: tuple[int, int]) -> EchoPath | None:
        """The echo's path if the past shows one beyond doubt; sooner where its delay is a `likely` one."""
        return self._path(_SURE, (0, LAGS)) or self._path(_SOON_SURE, likely)

    def first_path(self, lags: tuple[int, int]) -> EchoPath | None:
        """What may be the path, from a fraction of a second; `lags`: delays from the first to before the second."""
        return self._path(_FIRST, lags)

    def later_path(self, lags: tuple[int, int]) -> EchoPath | None:
        """What may still be the path, where `first_path` found one."""
        return self._path(_LATER, lags)

    def _path(self, demands: _Demands, lags: tuple[int, int]) -> EchoPath | None:
        count = self._count
        if count < demands.frames:
            return None
        floor = self.floor_dbfs
        mic = np.maximum(self._mic[:count], floor)
        loud = mic > floor + _ABOVE_FLOOR_DB
        if np.count_nonzero(loud) < demands.loud_frames:
            return None
        played = self._played[:count]
        peak = float(played.max())
        correlation = _correlations(np.maximum(played, peak - _DYNAMIC_DB), mic)
        delay = lags[0] + int(correlation[lags[0] : lags[1]].argmax())
        if correlation[delay] < demands.correlation - _NOISE_COSTS:
            return None
        source = played[:, delay]
        differences = (mic - source)[loud & (source > peak - _DYNAMIC_DB)]
        if differences.size * 2 < demands.loud_frames:
            return None
        # Medians: a caller's word in between shall not count.
        gain = float(np.median(differences))
        told = add_db(source + np.float32(gain), floor)
        errors = np.abs(mic - told)[loud | (told > floor + _ABOVE_FLOOR_DB)]
        spread = float(np.median(errors))
        worst = float(np.partition(errors, errors.size * 4 // 5)[errors.size * 4 // 5])
        if spread > demands.spread_db or worst > demands.worst_spread_db or gain > demands.gain_db:
            return None
        if float(_correlations(told[:, np.newaxis], mic)[0]) < demands.correlation:
            return None
        return EchoPath(delay, gain, spread)


def add_db(levels: Levels, other_db: float) -> Levels:
    """Levels of two sounds together."""
    return (10 * np.log10(10 ** (levels / 10) + 10 ** (other_db / 10))).astype(np.float32)


def _correlations(columns: Levels, values: Levels) -> NDArray[np.float32]:
    """Pearson's r of `values` with each column; 0 where either does not change."""
    centred = columns - columns.mean(axis=0)
    against = values - values.mean()
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) * float(against @ against))
    return (against @ centred) / np.maximum(scale, 1e-3)
