"""Level of a frame."""

import math
from typing import Final

import numpy as np

SILENCE_DBFS: Final = -90.0
"""Digital silence, and anything below what 16 bits can hold."""
_FULL_SCALE_DB: Final = 20 * math.log10(32768)


def level_dbfs(pcm: bytes) -> float:
    """RMS level of s16le PCM in dB relative to full scale, at least `SILENCE_DBFS`. About 4 µs for 20 ms at 24 kHz."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    power = float(samples @ samples)
    if power <= 0.0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * math.log10(power / samples.size) - _FULL_SCALE_DB)
