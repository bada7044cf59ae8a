"""Which words of a reply were really heard: each word's audio up to its middle is looked for in what was received."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from natter_bench.levels import level_dbfs
from natter_bench.measure import AUDIBLE_DBFS
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.talk.noise import Floats
from natter_bench.talk.observer import VoicedSegment

_WORK_HZ: Final = 8000
_FACTOR: Final = VOICE_HZ // _WORK_HZ
# What is compared: the audio just before the middle. Shorter pieces of a voice are like each other.
_BEFORE_MS: Final = 80
_CONTEXT_MS: Final = 240
_STEP_MS: Final = 20
_DRIFT_MS: Final = 4
# A held reply goes on a second and more later, from the start of the word that was cut.
_BACK_MS: Final = 1500
_AHEAD_MS: Final = 6000
_ALIKE: Final = 0.5
_SURELY_ALIKE: Final = 0.7
_AS_GOOD: Final = 0.05
# What the codec drew anew (a hiss) is not alike, but as loud.
_AS_LOUD_DB: Final = 10.0


def words_heard(segments: Sequence[VoicedSegment], received: Pcm) -> list[list[bool]]:
    """For each segment, whether each of its words was heard. `received` is 24 kHz mono, the segments in order."""
    heard = _reduced(received)
    place: int | None = None
    found: list[list[bool]] = []
    for segment in segments:
        made = _reduced(segment.pcm)
        lag: int | None = None
        marks: list[bool] = []
        for word in segment.words:
            middle = _sounding(made, word.from_sample // _FACTOR, (word.from_sample + word.to_sample) // 2 // _FACTOR)
            lag = _lag(made, heard, middle, lag, place)
            marks.append(lag is not None and _there(made, heard, middle, lag))
            if marks[-1] and lag is not None:
                place = max(place or 0, middle + lag)
        found.append(marks)
    return found


def _sounding(made: Floats, start: int, middle: int) -> int:
    """A word's middle, or the last sound before it: a word that ends a sentence has its pause within its times."""
    step = _samples(_STEP_MS)
    at = middle
    while at - step > start and _dbfs(made[at - step : at]) <= AUDIBLE_DBFS:
        at -= step
    return at if at - step > start else middle


def _lag(made: Floats, heard: Floats, middle: int, lag: int | None, place: int | None) -> int | None:
    """Received place less place in the segment, at a word's middle; None while nothing of the segment was found."""
    before = _samples(_BEFORE_MS)
    if lag is not None:
        low = max(0, middle - before)
        near = _best(made[low:middle], heard, low + lag - _samples(_DRIFT_MS), low + lag + _samples(_DRIFT_MS))
        if near is not None and near[0] >= _ALIKE:
            return near[1] - low
    low = max(0, middle - _samples(_CONTEXT_MS))
    # Until something of the reply was found it may be anywhere. Only a segment that was heard in part goes back: a
    # voice says a word the same way each time, and an earlier one is no proof of a later one.
    back = _samples(0 if lag is None else _BACK_MS)
    first, last = (0, len(heard)) if place is None else (place - back, place + _samples(_AHEAD_MS))
    far = _best(made[low:middle], heard, first, last)
    if far is not None and far[0] >= _SURELY_ALIKE:
        return far[1] - low
    return lag


def _there(made: Floats, heard: Floats, middle: int, lag: int) -> bool:
    """Whether the audio just before a word's middle lies where the lag says."""
    low = max(0, middle - _samples(_BEFORE_MS))
    if low + lag < 0 or middle + lag > len(heard):
        return False
    piece, got = made[low:middle], heard[low + lag : middle + lag]
    best = _best(piece, heard, low + lag - _samples(_DRIFT_MS), low + lag + _samples(_DRIFT_MS))
    if best is not None and best[0] >= _ALIKE:
        return True
    # The last quarter of it has to be there too: a cut in the middle of the piece leaves its beginning as loud.
    last = max(1, len(piece) // 4)
    return all(
        _dbfs(heard_part) > max(AUDIBLE_DBFS, _dbfs(made_part) - _AS_LOUD_DB)
        for made_part, heard_part in ((piece, got), (piece[-last:], got[-last:]))
    )


def _best(piece: Floats, heard: Floats, low: int, high: int) -> tuple[float, int] | None:
    """Highest normalised correlation of `piece` with `heard` at starts from `low` to `high`, and its place."""
    low, high = max(0, low), min(high, len(heard) - len(piece))
    if high < low or not len(piece):
        return None
    window = heard[low : high + len(piece)]
    size = 1 << (len(window) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)[: high - low + 1]
    sums = np.concatenate([[0.0], np.cumsum(window**2)])
    energies = sums[len(piece) :] - sums[: -len(piece)]
    # At least 1 per sample: rounding noise in silence is like nothing.
    norm = np.sqrt(np.maximum(energies, len(piece)) * max(float(np.dot(piece, piece)), float(len(piece))))
    likeness = products / norm
    # Of places that are as good as each other the first: what comes later may be the same words again.
    nearly = int(np.argmax(likeness >= likeness.max() - _AS_GOOD))
    place = nearly + int(np.argmax(likeness[nearly : nearly + _samples(_DRIFT_MS)]))
    return float(likeness[place]), low + place


def _reduced(pcm: Pcm) -> Floats:
    """To 8 kHz by averaging: a poor filter, but the same for both sides."""
    count = len(pcm) // _FACTOR
    return pcm[: count * _FACTOR].astype(np.float64).reshape(count, _FACTOR).mean(axis=1)


def _dbfs(samples: Floats) -> float:
    return level_dbfs(samples.astype(np.int16))


def _samples(milliseconds: int) -> int:
    return milliseconds * _WORK_HZ // 1000
