"""Find a piece of made speech in received speech by its waveform, 20 ms at a time.

The two differ by a lossy codec, by a delay, and by the breaks that are to be found. So a start is found over the whole,
and from there each loud piece has to lie where the one before says, or its place is looked for anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from natter_bench.levels import level_dbfs
from natter_bench.opus import Pcm

_Floats = npt.NDArray[np.float64]

_WORK_HZ: Final = 8000
_PIECE_MS: Final = 20
# Pieces of voiced speech resemble each other period by period: to find a new place takes more of them.
_SEEK_MS: Final = 200
_EDGE_MS: Final = 5
_ANCHOR_EVERY_MS: Final = 100
_DRIFT_MS: Final = 1
_SAME_PLACE_MS: Final = 5
_BACK_MS: Final = 1000
_AHEAD_MS: Final = 2500
# Normalised correlation: the same 20 ms through Opus reach 0.9 when voiced, 0.5 when noisy; others stay below 0.3.
_ALIKE: Final = 0.5
_SURELY_ALIKE: Final = 0.75
_AS_GOOD: Final = 0.05
# A piece that is not alike but about as loud is noise that the codec drew anew, not a hole.
_MUCH_QUIETER_DB: Final = 10.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a reference was found.

    `start_sample` and `end_sample` bound what was found in the received audio. `missing_ms` and `delays_ms` are
    (place in the reference, length), both in ms, of any length. `cut_ms` is the audio at the end that was not found.
    `alike_ms` is how much was surely found, by its waveform; the rest, if not missing, was merely about as loud.
    `foreign` are the received samples between both bounds that are not of the reference: what delays it.
    """

    start_sample: int
    end_sample: int
    missing_ms: list[tuple[float, float]]
    delays_ms: list[tuple[float, float]]
    cut_ms: float
    alike_ms: float
    foreign: list[tuple[int, int]]


def align(
    reference: Pcm, received: Pcm, rate_hz: int, *, from_sample: int = 0, audible_dbfs: float = -45.0
) -> Alignment | None:
    """Find `reference` in `received` from `from_sample` on; None when nothing of it is there.

    Both are mono at `rate_hz`, a multiple of 8 kHz. Pieces at or below `audible_dbfs` are not looked for.
    """
    factor = rate_hz // _WORK_HZ
    made = _reduced(reference, factor)
    heard = _reduced(received[from_sample:], factor)
    size = _samples(_PIECE_MS)
    loud = [at for at in range(0, len(made) - size + 1, size) if level_dbfs(_pcm(made[at : at + size])) > audible_dbfs]
    anchor = _anchor(made, heard, loud)
    if anchor is None:
        return None
    walk = _Walk(made, heard, first=anchor[0], lag=anchor[1])
    # The anchor is the first place that is surely there; what comes before it may just be too noisy to be sure of.
    walk.missing = [at for at in loud if at < walk.first and walk.quieter(at, _PIECE_MS)]
    for at in loud:
        if at >= walk.first:
            walk.step(at)
    return Alignment(
        start_sample=from_sample + max(0, anchor[0] + anchor[1]) * factor,
        end_sample=from_sample + min(walk.end, len(heard)) * factor,
        missing_ms=walk.lost,
        delays_ms=walk.delays,
        cut_ms=float(len(walk.missing) * _PIECE_MS),
        alike_ms=float(walk.alike * _PIECE_MS),
        foreign=[(from_sample + start * factor, from_sample + end * factor) for start, end in walk.foreign],
    )


class _Walk:
    """Goes through the loud pieces in order, and keeps the lag (received place − reference place)."""

    def __init__(self, made: _Floats, heard: _Floats, *, first: int, lag: int) -> None:
        self.made = made
        self.heard = heard
        self.first = first
        self.lag = lag
        self.end = first + lag
        self.missing: list[int] = []
        self.lost: list[tuple[float, float]] = []
        self.delays: list[tuple[float, float]] = []
        self.foreign: list[tuple[int, int]] = []
        self.alike = 0

    def step(self, at: int) -> None:
        """Look for the piece at `at` where it should be, else elsewhere, else take it for missing."""
        size = _samples(_PIECE_MS)
        piece = self.made[at : at + size]
        drift = _samples(_DRIFT_MS)
        here = _best(piece, self.heard, at + self.lag - drift, at + self.lag + drift)
        if here is not None and here[0] >= _ALIKE:
            self.lag = here[1] - at
            self._found(at + self.lag + size)
            return
        moved = self._moved(at)
        if moved is not None:
            if moved > 0:
                self.delays.append((_to_ms(at), _to_ms(moved)))
                self.foreign.append((self.end, at + self.lag + moved))
                # What was thought missing just before is the silence that delayed it, seen from its edge.
                self.missing = self.missing[:-1]
            else:
                self._close(skipped_ms=_to_ms(-moved), before=at)
            self.lag += moved
            self._found(at + self.lag + size)
        elif self.quieter(at, _PIECE_MS):
            self.missing.append(at)

    def _moved(self, at: int) -> int | None:
        """How far the speech from `at` lies from where it should, if it surely lies elsewhere."""
        seek = self.made[at : at + _samples(_SEEK_MS)]
        low = max(self.end - _samples(_PIECE_MS), at + self.lag - _samples(_BACK_MS))
        there = _best(seek, self.heard, low, at + self.lag + _samples(_AHEAD_MS))
        if there is None or there[0] < _SURELY_ALIKE:
            return None
        moved = there[1] - at - self.lag
        if abs(moved) <= _samples(_SAME_PLACE_MS):
            return None
        # A long piece with a hole in front may still fit as a whole: its first 20 ms have to be there too.
        exact = _best(self.made[at : at + _samples(_PIECE_MS)], self.heard, there[1], there[1])
        return moved if exact is not None and exact[0] >= _ALIKE else None

    def quieter(self, at: int, length_ms: int) -> bool:
        """Whether much less was heard there than was made."""
        size = _samples(length_ms)
        place = at + self.lag
        got = self.heard[max(0, place) : max(0, place + size)]
        return level_dbfs(_pcm(got)) < level_dbfs(_pcm(self.made[at : at + size])) - _MUCH_QUIETER_DB

    def _found(self, end: int) -> None:
        self._close()
        self.alike += 1
        self.end = max(self.end, end)

    def _close(self, *, skipped_ms: float = 0.0, before: int = 0) -> None:
        if self.missing:
            before_ms, after_ms = self._edges(self.missing[0], self.missing[-1] + _samples(_PIECE_MS))
            length_ms = before_ms + len(self.missing) * _PIECE_MS + after_ms
            self.lost.append((_to_ms(self.missing[0]) - before_ms, max(skipped_ms, float(length_ms))))
            self.missing = []
        elif skipped_ms > 0:
            self.lost.append((max(0.0, _to_ms(before) - skipped_ms), skipped_ms))

    def _edges(self, start: int, end: int) -> tuple[int, int]:
        """How far a missing run reaches into the pieces beside it, which are alike in spite of it: ms before, after."""
        edge = _samples(_EDGE_MS)
        most = _PIECE_MS // _EDGE_MS
        before = next(
            (n for n in range(most) if start < (n + 1) * edge or not self._gone(start - (n + 1) * edge)), most
        )
        after = next((n for n in range(most) if not self._gone(end + n * edge)), most)
        return before * _EDGE_MS, after * _EDGE_MS

    def _gone(self, at: int) -> bool:
        return at + _samples(_EDGE_MS) <= len(self.made) and self.quieter(at, _EDGE_MS)


def _anchor(made: _Floats, heard: _Floats, loud: list[int]) -> tuple[int, int] | None:
    """The first loud place that is surely in the received audio, and its lag."""
    seek, piece = _samples(_SEEK_MS), _samples(_PIECE_MS)
    tried = -seek
    for at in loud:
        if at - tried < _samples(_ANCHOR_EVERY_MS):
            continue
        tried = at
        best = _first_best(made[at : at + seek], heard)
        if best is None or best[0] < _SURELY_ALIKE:
            continue
        # Its first pieces may be the ones that are missing.
        for inside in range(at, min(at + seek, len(made) - piece), piece):
            exact = _best(made[inside : inside + piece], heard, best[1] + inside - at, best[1] + inside - at)
            if exact is not None and exact[0] >= _ALIKE:
                return inside, best[1] - at
    return None


def _reduced(pcm: Pcm, factor: int) -> _Floats:
    """To 8 kHz by averaging: a poor filter, but the same for both sides."""
    count = len(pcm) // factor
    return pcm[: count * factor].astype(np.float64).reshape(count, factor).mean(axis=1)


def _pcm(part: _Floats) -> Pcm:
    return part.astype(np.int16)


def _best(piece: _Floats, heard: _Floats, low: int, high: int) -> tuple[float, int] | None:
    """Highest normalised cross-correlation of `piece` with `heard` at starts from `low` to `high`, and its place."""
    low = max(0, low)
    likeness = _likeness(piece, heard, low, high)
    if not len(likeness):
        return None
    place = int(np.argmax(likeness))
    return float(likeness[place]), low + place


def _first_best(piece: _Floats, heard: _Floats) -> tuple[float, int] | None:
    """The same anywhere in `heard`; of places about as good as each other the first: a later one is a repetition."""
    likeness = _likeness(piece, heard, 0, len(heard))
    if not len(likeness):
        return None
    nearly = int(np.argmax(likeness >= likeness.max() - _AS_GOOD))
    place = nearly + int(np.argmax(likeness[nearly : nearly + len(piece)]))
    return float(likeness[place]), place


def _likeness(piece: _Floats, heard: _Floats, low: int, high: int) -> _Floats:
    """Normalised cross-correlation of `piece` with `heard` at each start from `low` to `high`; empty without room."""
    high = min(high, len(heard) - len(piece))
    if high < low or len(piece) < _samples(_PIECE_MS):
        return np.zeros(0)
    window = heard[low : high + len(piece)]
    if high - low < 64:
        products = np.correlate(window, piece, mode="valid")
    else:
        size = 1 << (len(window) + len(piece)).bit_length()
        spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size))
        products = np.fft.irfft(spectrum, size)[: high - low + 1]
    sums = np.concatenate([[0.0], np.cumsum(window**2)])
    energies = sums[len(piece) :] - sums[: -len(piece)]
    # At least 1 per sample: rounding noise in silence is like nothing.
    norm = np.sqrt(np.maximum(energies, len(piece)) * max(float(np.dot(piece, piece)), float(len(piece))))
    return products / norm


def _samples(milliseconds: int) -> int:
    return milliseconds * _WORK_HZ // 1000


def _to_ms(samples: int) -> float:
    return samples * 1000 / _WORK_HZ
