"""Level of a piece of PCM."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from natter_bench.opus import Pcm

SILENCE_DBFS: Final = -120.0
"""What digital silence counts as: below anything that 16 bits can hold (−90 dBFS)."""


def level_dbfs(pcm: Pcm) -> float:
    """RMS level in dB relative to full scale (0 dBFS is a constant 32768; a full-scale sine is −3 dBFS)."""
    if len(pcm) == 0:
        return SILENCE_DBFS
    samples = pcm.astype(np.float32)
    power = float(np.dot(samples, samples)) / len(samples)
    if power < 1e-3:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * math.log10(power) - 20 * math.log10(32768))
