"""A cheap voice: a buzz shaped like vowels, with the mark of each word above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from natter_emulators.marks.lexicon import place_of, spoken_words
from natter_emulators.marks.tones import Floats, mark, ramps, to_pcm

Pcm = npt.NDArray[np.int16]

GAP_MS: Final = 80
"""Between the marks of two words, so that the same word twice is heard twice."""
SHORTEST_MARK_MS: Final = 100

_PITCH_HZ: Final = 120
_VOICE_BELOW_HZ: Final = 1900
_VOICE_RMS: Final = 0.1
# First and second formants of a, e, i, o and u, roughly: Peterson and Barney, 1952.
_FORMANTS_HZ: Final = ((730, 1090), (530, 1840), (270, 1850), (570, 840), (300, 870))


@dataclass(frozen=True, slots=True)
class MarkedWord:
    """A word of the text with its punctuation, and the samples over which its mark sounds."""

    text: str
    from_sample: int
    to_sample: int


@dataclass(frozen=True, slots=True)
class MarkedSpeech:
    """Mono speech whose words are marked: int16 samples at `rate_hz`."""

    pcm: Pcm
    rate_hz: int
    words: tuple[MarkedWord, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / self.rate_hz


def speak(text: str, rate_hz: int, *, words_per_s: float = 3.0, strict: bool = True) -> MarkedSpeech:
    """Speak `text` in the synthetic voice, a mark per word. The same text always sounds the same.

    Args:
        text: words of the lexicon, digits and punctuation. A word that is spoken as several ("42") has a mark for
            each of them, and spans them all.
        rate_hz: 16,000, 24,000 or 48,000 (any multiple of 1,000 from 16,000 on).
        words_per_s: marks a second, the gaps after them included; 5 at most.
        strict: whether a word that has no mark is an error; else it is spoken without one, and nobody hears it.

    Raises:
        ValueError: a word is not in the lexicon, or the speed is out of range.
    """
    slot = round(rate_hz / words_per_s) if words_per_s > 0 else 0
    gap = rate_hz * GAP_MS // 1000
    voiced = slot - gap
    if voiced * 1000 < SHORTEST_MARK_MS * rate_hz:
        raise ValueError(f"{words_per_s} words a second are too many for marks, or none")
    pieces: list[Floats] = []
    words: list[MarkedWord] = []
    silence = np.zeros(gap, dtype=np.float32)
    for token, spoken in spoken_words(text):
        from_sample = len(pieces) // 2 * slot
        for word in spoken:
            pieces += [_voice(word, voiced, rate_hz) + _mark(word, voiced, rate_hz, strict=strict), silence]
        words.append(MarkedWord(token, from_sample, len(pieces) // 2 * slot - gap))
    sound = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    return MarkedSpeech(to_pcm(sound), rate_hz, tuple(words))


def _mark(word: str, samples: int, rate_hz: int, *, strict: bool) -> Floats:
    try:
        place = place_of(word)
    except ValueError:
        if strict:
            raise
        return np.zeros(samples, dtype=np.float32)
    return mark(place, samples, rate_hz)


def _voice(word: str, samples: int, rate_hz: int) -> Floats:
    """One period of harmonics under two formants that go with the word, repeated."""
    period = rate_hz // _PITCH_HZ
    formants = _FORMANTS_HZ[sum(word.encode()) % len(_FORMANTS_HZ)]
    harmonics = np.arange(1, _VOICE_BELOW_HZ // _PITCH_HZ + 1)
    hz = harmonics * _PITCH_HZ
    weight = np.full(len(hz), 0.02)
    for formant in formants:
        weight += 1 / (1 + ((hz - formant) / 120.0) ** 2)
    # Phases that grow with the square keep the peaks low: Schroeder, 1970.
    angle = np.outer(np.arange(period) * (2 * np.pi / period), harmonics) + np.pi * harmonics**2 / len(harmonics)
    wave: npt.NDArray[np.float64] = np.sin(angle) @ weight
    level = _VOICE_RMS / np.sqrt(np.mean(np.square(wave)))
    repeated = np.tile((wave * level).astype(np.float32), -(-samples // period))[:samples]
    return repeated * ramps(samples, rate_hz)
