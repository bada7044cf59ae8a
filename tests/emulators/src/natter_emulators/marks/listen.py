"""Hear marks: sound in, words with their times out, as it comes or all at once."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from natter_emulators.marks.lexicon import LEXICON
from natter_emulators.marks.tones import (
    BIN_HZ,
    HIGH_FIRST_BIN,
    HIGH_TONES,
    LOW_FIRST_BIN,
    LOW_TONES,
    SPACING_BINS,
    WINDOW_MS,
    place_of_pair,
)

HOP_MS: Final = 10

_Powers = npt.NDArray[np.float32]

_PURITY: Final = 0.6
"""Share of its group's energy that a tone must have: noise and voices spread theirs."""
_QUIETEST: Final = 10 ** (-62 / 10)
"""Power of a tone, of full scale squared, below which nothing is heard: 62 dB under full scale."""
_LARGEST_TILT: Final = 10 ** (15 / 10)
"""Between the powers of the two tones: they were made equally loud."""
_DIP: Final = 10 ** (-13 / 10)
"""Below this share of a word's usual power it is the gap after the word, or its fade."""
_EDGE: Final = 0.25
"""A word begins and ends at half its amplitude, which is where the window is half over its edge."""
_ESTABLISHED_HOPS: Final = 5
"""A tone pair must hold for so long to be a word: a shorter one is chance, or a word that was hardly begun."""
_BRIDGED_HOPS: Final = 4
"""Hops that may be missing inside a word: two lost packets, but not the gap between two words."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word whose mark was heard, in the lexicon's spelling, and the samples over which it sounded (to ~15 ms)."""

    text: str
    from_sample: int
    to_sample: int


@dataclass(slots=True)
class _Run:
    """The same mark over a stretch of hops."""

    place: int
    hops: list[int] = field(default_factory=list[int])
    powers: list[float] = field(default_factory=list[float])
    sorted_powers: list[float] = field(default_factory=list[float])
    sustained_hop: int = 0
    """The last at which the tones sounded, alone or among others."""

    @property
    def usual_power(self) -> float:
        """The median."""
        return self.sorted_powers[len(self.sorted_powers) // 2] if self.sorted_powers else 0.0

    def add(self, hop: int, power: float) -> None:
        """The mark, clearly."""
        if power < self.usual_power * _DIP:
            return
        self.sustained_hop = hop
        insort(self.sorted_powers, power)
        self.hops.append(hop)
        self.powers.append(power)

    def sustain(self, hop: int, low: _Powers, high: _Powers) -> None:
        """Something else: what a codec made of a lost packet is no clean mark, but no gap either."""
        weaker = min(low[self.place % LOW_TONES], high[self.place // LOW_TONES])
        if 2 * weaker >= self.usual_power * _DIP:
            self.sustained_hop = hop

    @property
    def established(self) -> bool:
        """Whether it is a word."""
        return len(self.hops) >= _ESTABLISHED_HOPS

    def over(self, hop: int) -> bool:
        return hop - self.sustained_hop > _BRIDGED_HOPS

    def extent(self) -> tuple[int, int]:
        """First and last hop at which the word has half its amplitude or more."""
        enough = self.usual_power * _EDGE
        loud = [hop for hop, power in zip(self.hops, self.powers, strict=True) if power >= enough]
        return loud[0], loud[-1]


class MarkListener:
    """Hears the words of one stream while it arrives. Time is counted in samples fed, from 0."""

    def __init__(self, rate_hz: int) -> None:
        """For mono s16le PCM.

        Args:
            rate_hz: 16,000, 24,000, 48,000 or another multiple of 1,000 from 16,000 on: marks reach up to 6.1 kHz.

        Raises:
            ValueError: no such rate.
        """
        if rate_hz % 1000 or rate_hz < 16_000:
            raise ValueError(f"marks cannot be heard at {rate_hz} Hz: a multiple of 1,000 from 16,000 on is needed")
        self.rate_hz = rate_hz
        self.samples = 0
        self._window_samples = rate_hz * WINDOW_MS // 1000
        self._hop_samples = rate_hz * HOP_MS // 1000
        hann = np.hanning(self._window_samples + 1)[:-1]
        # A sine of amplitude A then has the power 1.5·A² in its three bins together (the window's noise bandwidth).
        self._window = (hann * (2 / hann.sum() / 32768)).astype(np.float32)
        self._left = np.zeros(0, dtype=np.int16)
        self._odd = b""
        self._hop = 0
        self._word: _Run | None = None
        self._candidates: dict[int, _Run] = {}

    @property
    def pending(self) -> str | None:
        """The word that is sounding, or has just ended and might go on."""
        return None if self._word is None else LEXICON[self._word.place]

    def feed(self, pcm: bytes) -> list[HeardWord]:
        """Take the next piece, of any length; give the words that are over. That is known about 60 ms later."""
        data = self._odd + pcm
        self._odd = data[len(data) & ~1 :]
        fresh = np.frombuffer(data[: len(data) & ~1], dtype="<i2")
        self.samples += len(fresh)
        sound = np.concatenate([self._left, fresh]) if len(self._left) else fresh
        count = (len(sound) - self._window_samples) // self._hop_samples + 1
        if count <= 0:
            self._left = sound
            return []
        windows = np.lib.stride_tricks.sliding_window_view(sound, self._window_samples)[:: self._hop_samples][:count]
        heard: list[HeardWord] = []
        judged, low, high = self._judge(windows)
        for row, (place, power) in enumerate(judged):
            if self._word is not None and self._word.place != place:
                self._word.sustain(self._hop, low[row], high[row])
            heard += self._step(place, power)
            self._hop += 1
        self._left = sound[count * self._hop_samples :].copy()
        return heard

    def finish(self) -> list[HeardWord]:
        """The word that the end of the stream cut off, if any. Feeding may go on, after a pause."""
        over = [] if self._word is None else [self._heard(self._word)]
        self._word = None
        self._candidates.clear()
        return over

    def _judge(self, windows: npt.NDArray[np.int16]) -> tuple[list[tuple[int | None, float]], _Powers, _Powers]:
        """For each window the place of the mark that it holds, or None, and the mark's power; and that of each tone."""
        if not windows.any():
            none = np.zeros((len(windows), max(LOW_TONES, HIGH_TONES)), dtype=np.float32)
            return [(None, 0.0)] * len(windows), none, none
        first, last = LOW_FIRST_BIN - 1, HIGH_FIRST_BIN + SPACING_BINS * HIGH_TONES
        spectrum = np.fft.rfft(windows * self._window, axis=1)[:, first:last]
        power = np.square(np.abs(spectrum)).astype(np.float32)
        low_tones, low, low_power, low_share = _tones(power[:, : SPACING_BINS * LOW_TONES + 1])
        high_tones, high, high_power, high_share = _tones(power[:, HIGH_FIRST_BIN - 1 - first :])
        good = (
            (low_share >= _PURITY)
            & (high_share >= _PURITY)
            & (low_power >= _QUIETEST)
            & (high_power >= _QUIETEST)
            & (low_power <= high_power * _LARGEST_TILT)
            & (high_power <= low_power * _LARGEST_TILT)
        )
        judged = [
            (_place(low_tone, high_tone) if is_good else None, power_of_both)
            for is_good, low_tone, high_tone, power_of_both in zip(
                good.tolist(), low.tolist(), high.tolist(), (low_power + high_power).tolist(), strict=True
            )
        ]
        return judged, low_tones, high_tones

    def _step(self, place: int | None, power: float) -> list[HeardWord]:
        """One hop on. A mark becomes the word once it has held for a while, so a chance one does nothing."""
        heard: list[HeardWord] = []
        if place is not None:
            if self._word is not None and self._word.place == place:
                self._word.add(self._hop, power)
            else:
                candidate = self._candidates.setdefault(place, _Run(place))
                candidate.add(self._hop, power)
                if candidate.established:
                    if self._word is not None:
                        heard.append(self._heard(self._word))
                    self._word = candidate
                    self._candidates.clear()
        if self._word is not None and self._word.over(self._hop):
            heard.append(self._heard(self._word))
            self._word = None
        for over in [run.place for run in self._candidates.values() if run.over(self._hop)]:
            del self._candidates[over]
        return heard

    def _heard(self, run: _Run) -> HeardWord:
        first, last = run.extent()
        centre = self._window_samples // 2
        half_hop = self._hop_samples // 2
        return HeardWord(
            LEXICON[run.place],
            max(0, first * self._hop_samples + centre - half_hop),
            last * self._hop_samples + centre + half_hop,
        )


def hear(pcm: npt.NDArray[np.int16], rate_hz: int) -> list[HeardWord]:
    """The words of a whole recording, mono."""
    listener = MarkListener(rate_hz)
    heard: list[HeardWord] = []
    # In pieces, so that an hour does not become gigabytes of windows.
    for start in range(0, len(pcm), rate_hz):
        heard += listener.feed(pcm[start : start + rate_hz].astype("<i2").tobytes())
    return heard + listener.finish()


def heard_text(words: Sequence[HeardWord]) -> str:
    """The words as one line."""
    return " ".join(word.text for word in words)


def _place(low: int, high: int) -> int | None:
    place = place_of_pair(low, high)
    return place if place < len(LEXICON) else None


def _tones(group: _Powers) -> tuple[_Powers, npt.NDArray[np.intp], _Powers, _Powers]:
    """Of each row of a group's bins (one more at both ends): the tones' powers; the loudest's number, power, share."""
    three_bins = group[:, :-2:SPACING_BINS] + group[:, 1:-1:SPACING_BINS] + group[:, 2::SPACING_BINS]
    tones = three_bins / np.float32(1.5)
    loudest = np.argmax(tones, axis=1)
    power = np.take_along_axis(tones, loudest[:, None], axis=1)[:, 0]
    return tones, loudest, power, power * np.float32(1.5) / np.maximum(group.sum(axis=1), np.float32(1e-30))


_HIGHEST_HZ: Final = (HIGH_FIRST_BIN + SPACING_BINS * HIGH_TONES) * BIN_HZ
assert _HIGHEST_HZ < 7000  # so all rates from 16 kHz on hold all tones
