"""Sounds made with arithmetic: noise behind a caller, and what happens in a room. Pure, and the same for a seed.

All are mono float64 in units of full scale (1.0).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from natter_bench.levels import level_dbfs
from natter_bench.opus import FRAME_MS, Pcm
from natter_bench.talk.cases import Noise, SoundName

Floats = npt.NDArray[np.float64]

_FULL_SCALE: Final = 32768.0
# Frames this far below the loudest are pauses of the speech and say nothing of its level.
_ACTIVE_WITHIN_DB: Final = 25.0
# People who cough into a microphone are about as loud as when they talk.
_SOUND_DBFS: Final = -20.0
_BABBLE_VOICES: Final = 6


def as_floats(pcm: Pcm) -> Floats:
    """Samples in units of full scale."""
    return pcm.astype(np.float64) / _FULL_SCALE


def as_pcm(samples: Floats) -> Pcm:
    """Samples as 16 bits, clipped."""
    return np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype(np.int16)


def gain(decibels: float) -> float:
    """A level change as a factor."""
    return 10 ** (decibels / 20)


def active_dbfs(pcm: Pcm, rate_hz: int) -> float:
    """Level of speech without its pauses."""
    size = rate_hz * FRAME_MS // 1000
    frames = [pcm[at : at + size] for at in range(0, max(1, len(pcm) - size + 1), size)]
    levels = [level_dbfs(frame) for frame in frames]
    loudest = max(levels)
    return level_dbfs(
        np.concatenate([f for f, dbfs in zip(frames, levels, strict=True) if dbfs > loudest - _ACTIVE_WITHIN_DB])
    )


def floor(noise: Noise, speech_dbfs: float, samples: int, rate_hz: int, seed: int, voices: list[Pcm]) -> Floats:
    """Noise for as long as `samples`, to be played around and around, `snr_db` below `speech_dbfs`.

    Babble is made of `voices` (mono at `rate_hz`), which others speak; without any it is pink.
    """
    random = np.random.default_rng(seed)
    if noise.colour == "babble" and voices:
        made = _babble(voices, samples, random)
    elif noise.colour == "white":
        made = random.standard_normal(samples)
    else:
        made = _pink(samples, rate_hz, random)
    rms = float(np.sqrt(np.mean(made**2))) or 1.0
    return made / rms * gain(speech_dbfs - noise.snr_db)


def sound(name: SoundName, rate_hz: int, seed: int = 7) -> Floats:
    """A sound of a room or a throat, as loud as speech in its loudest 20 ms."""
    random = np.random.default_rng(seed)
    match name:
        case "cough":
            made = _bursts(rate_hz, random, starts_ms=(0,), length_ms=260, low_hz=300, high_hz=3500)
        case "throat":
            made = _bursts(rate_hz, random, starts_ms=(0, 260), length_ms=240, low_hz=200, high_hz=2500)
        case "thump":
            made = _thump(rate_hz, random)
        case "click":
            made = _bursts(rate_hz, random, starts_ms=(0,), length_ms=12, low_hz=1500, high_hz=7000)
        case "keyboard":
            starts_ms = (0, 130, 230, 390, 470, 640, 720, 900)
            made = _bursts(rate_hz, random, starts_ms=starts_ms, length_ms=15, low_hz=1500, high_hz=7000)
        case "hum":
            made = _hum(rate_hz, 350, 120, 120)
        case "mhm":
            breath = 0.05 * random.standard_normal(rate_hz * 60 // 1000)
            made = np.concatenate([_hum(rate_hz, 130, 115, 105), breath, _hum(rate_hz, 220, 125, 165)])
    size = rate_hz * FRAME_MS // 1000
    padded = np.concatenate([made, np.zeros(-len(made) % size)])
    loudest = float(np.sqrt((padded.reshape(-1, size) ** 2).mean(axis=1).max())) or 1.0
    return padded / loudest * gain(_SOUND_DBFS)


def _pink(samples: int, rate_hz: int, random: np.random.Generator) -> Floats:
    spectrum = np.fft.rfft(random.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / rate_hz)
    # Below 50 Hz no microphone of a headset hears anything.
    spectrum *= np.where(frequencies < 50, 0.0, 1 / np.sqrt(np.maximum(frequencies, 50)))
    return np.fft.irfft(spectrum, samples)


def _babble(voices: list[Pcm], samples: int, random: np.random.Generator) -> Floats:
    mixed = np.zeros(samples)
    for number in range(_BABBLE_VOICES):
        voice = as_floats(voices[number % len(voices)])
        mixed += np.roll(np.resize(voice, samples), int(random.integers(samples)))
    return mixed


def _bursts(
    rate_hz: int,
    random: np.random.Generator,
    *,
    starts_ms: tuple[int, ...],
    length_ms: int,
    low_hz: int,
    high_hz: int,
) -> Floats:
    """Noise of a band that begins at once and dies away, again and again."""
    length = rate_hz * length_ms // 1000
    made = np.zeros(rate_hz * starts_ms[-1] // 1000 + length)
    for start_ms in starts_ms:
        spectrum = np.fft.rfft(random.standard_normal(length))
        frequencies = np.fft.rfftfreq(length, 1 / rate_hz)
        spectrum[(frequencies < low_hz) | (frequencies > high_hz)] = 0
        burst = np.fft.irfft(spectrum, length) * np.exp(-4 * np.arange(length) / length)
        at = rate_hz * start_ms // 1000
        made[at : at + length] += burst * random.uniform(0.7, 1.0)
    return made


def _thump(rate_hz: int, random: np.random.Generator) -> Floats:
    """A door: low, dull and short."""
    length = rate_hz * 180 // 1000
    time_s = np.arange(length) / rate_hz
    dull = np.convolve(random.standard_normal(length), np.ones(24) / 24, mode="same")
    return (np.sin(2 * np.pi * 75 * time_s) + 0.5 * np.sin(2 * np.pi * 130 * time_s) + dull) * np.exp(-time_s / 0.04)


def _hum(rate_hz: int, length_ms: int, from_hz: float, to_hz: float) -> Floats:
    """A closed mouth: a tone that glides, and its harmonics, growing weaker."""
    length = rate_hz * length_ms // 1000
    phase = 2 * np.pi * np.cumsum(np.linspace(from_hz, to_hz, length)) / rate_hz
    tones = sum((np.sin(n * phase) / n**2 for n in range(1, 8)), np.zeros(length))
    return tones * np.sin(np.pi * np.arange(length) / length) ** 0.5
