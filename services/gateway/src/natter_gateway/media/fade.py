"""Gain ramps and loudness of 20 ms voice frames (24 kHz mono s16le)."""

import numpy as np
from numpy.typing import NDArray

from natter_gateway.media.segment import FRAME_SAMPLES, RATE_HZ

FADE_FRAMES = 2
"""Length of a fade-out: 40 ms."""
AUDIBLE_DBFS = -45.0

_FADE_IN_SAMPLES = RATE_HZ * 5 // 1000
_AUDIBLE_POWER = (10 ** (AUDIBLE_DBFS / 20) * 32768) ** 2


def _half_cosine(samples: int) -> NDArray[np.float32]:
    """From 1 to 0 without corners, so that the ramp itself is not heard."""
    return ((1 + np.cos(np.pi * (np.arange(samples) + 0.5) / samples)) / 2).astype(np.float32)


_RAMP_OUT = _half_cosine(FADE_FRAMES * FRAME_SAMPLES).reshape(FADE_FRAMES, FRAME_SAMPLES)
_RAMP_IN = np.ones(FRAME_SAMPLES, np.float32)
_RAMP_IN[:_FADE_IN_SAMPLES] = _half_cosine(_FADE_IN_SAMPLES)[::-1]


def fade_out(pcm: bytes, frame: int) -> bytes:
    """Frame number `frame` (0 or 1) of a fade to silence."""
    return (np.frombuffer(pcm, "<i2") * _RAMP_OUT[frame]).astype("<i2").tobytes()


def fade_in(pcm: bytes) -> bytes:
    """A frame whose first 5 ms rise from silence: against the click of starting within a sound."""
    return (np.frombuffer(pcm, "<i2") * _RAMP_IN).astype("<i2").tobytes()


def is_audible(pcm: bytes) -> bool:
    """Whether the frame's RMS is above −45 dBFS."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    return float(samples @ samples) > _AUDIBLE_POWER * samples.size
