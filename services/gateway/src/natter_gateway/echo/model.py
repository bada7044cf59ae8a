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
_FAR: Final = _Demands(100, 75, correlation=0.85, spread_db=5.0, worst_spread_db=11.0, gain_db=6.0)
"""At any delay some caller fits: one who answers a short reply in as many words has its beginning and its end."""
_SOON_SURE: Final = _Demands(40, 15, correlation=0.93, spread_db=2.5, worst_spread_db=4.5, gain_db=-6.0)
SUSPECTED_GAIN_DB: Final = -10.0
"""What is louder is believed to be an echo only when more of it was heard."""
_SUSPECTED_LOUD_FRAMES: Final = 2
_SUSPECTED_ERRORS_DB: Final = ((8, 1.5), (12, 1.0), (HISTORY, 0.6))
"""Up to so many loud frames, so much error on average."""
_MOST_ERROR_DB: Final = 20.0
"""Of one level: more says no more."""
_FAINT_DB: Final = 15.0
"""Below the loudest of an echo by this much it may be missing: codecs and suppressors take it for noise."""
_BESIDE: Final = 1
"""Neither side's frames begin on the grid, and Opus smears edges: a level may be of the slots beside it."""


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
        near = (0, likely[1])
        return self._path(_SURE, near) or self._path(_SOON_SURE, likely) or self._path(_FAR, (0, LAGS))

    def suspected_path(self, lags: tuple[int, int]) -> EchoPath | None:
        """What may be the path, from a fraction of a second; `lags`: delays from the first to before the second.

        Told by edges: all that was heard lies between the levels beside its place, and begins where they begin. Only
        little of what follows the voice so is somebody else's, but some is: ask again with each frame.
        """
        count = self._count
        floor = self.floor_dbfs
        mic = np.maximum(self._mic[:count], floor)
        loud = mic > floor + _ABOVE_FLOOR_DB
        loud_frames = int(np.count_nonzero(loud))
        if loud_frames < _SUSPECTED_LOUD_FRAMES:
            return None
        most = max(error for frames, error in _SUSPECTED_ERRORS_DB if loud_frames <= frames)
        played = self._played[:count]
        lowest = float(played.max()) - _DYNAMIC_DB
        best: EchoPath | None = None
        for delay in range(max(lags[0], _BESIDE), lags[1]):
            beside = played[:, delay - _BESIDE : delay + _BESIDE + 1]
            high, low = beside.max(axis=1), beside.min(axis=1)
            heard = loud & (high > lowest)
            if np.count_nonzero(heard) * 4 < loud_frames * 3:
                continue
            gain = _median(mic[heard] - played[heard, delay])
            if gain > SUSPECTED_GAIN_DB:
                continue
            high, low = add_db(high + np.float32(gain), floor), low + np.float32(gain)
            due = low > max(floor + _ABOVE_FLOOR_DB, float(high.max()) - _FAINT_DB)
            errors = np.maximum(mic - high, 0.0) + np.where(due, np.maximum(low - mic, 0.0), 0.0)
            error = float(np.minimum(errors, _MOST_ERROR_DB)[loud | due].mean())
            if error <= most and (best is None or error < best.spread_db):
                best = EchoPath(delay, gain, error)
        return best

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
        source = _between(played, delay, mic)
        differences = (mic - source)[loud & (source > peak - _DYNAMIC_DB)]
        if differences.size * 2 < demands.loud_frames:
            return None
        # Medians: a caller's word in between shall not count.
        gain = _median(differences)
        told = add_db(source + np.float32(gain), floor)
        either = np.maximum(mic, told)
        errors = np.abs(mic - told)[either > max(floor + _ABOVE_FLOOR_DB, float(told.max()) - _FAINT_DB)]
        spread = _median(errors)
        worst = float(np.partition(errors, errors.size * 4 // 5)[errors.size * 4 // 5])
        if spread > demands.spread_db or worst > demands.worst_spread_db or gain > demands.gain_db:
            return None
        if float(_correlations(told[:, np.newaxis], mic)[0]) < demands.correlation:
            return None
        return EchoPath(delay, gain, spread)


def _between(played: Levels, delay: int, values: Levels) -> Levels:
    """The column of `delay`, or that half a slot beside it which `values` follow better."""
    columns = [played[:, delay]]
    for other in (delay - 1, delay + 1):
        if 0 <= other < LAGS:
            both = 10 ** (played[:, delay] / 10) + 10 ** (played[:, other] / 10)
            columns.append((10 * np.log10(both / 2)).astype(np.float32))
    peak = float(played.max())
    likeness = _correlations(np.maximum(np.stack(columns, axis=1), peak - _DYNAMIC_DB), values)
    return columns[int(likeness.argmax())]


def _median(values: Levels) -> float:
    """The upper one of two. Numpy's own takes ten times as long, and its first call loads modules for 40 ms."""
    return float(np.partition(values, values.size // 2)[values.size // 2])


def add_db(levels: Levels, other_db: float) -> Levels:
    """Levels of two sounds together."""
    return (10 * np.log10(10 ** (levels / 10) + 10 ** (other_db / 10))).astype(np.float32)


def _correlations(columns: Levels, values: Levels) -> NDArray[np.float32]:
    """Pearson's r of `values` with each column; 0 where either does not change."""
    centred = columns - columns.mean(axis=0)
    against = values - values.mean()
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) * float(against @ against))
    return (against @ centred) / np.maximum(scale, 1e-3)
