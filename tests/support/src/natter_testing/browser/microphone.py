"""What a browser's microphone plays."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from natter_bench.speech import Speech, microphone_wav, say

_RATE_HZ: Final = 48_000
_AFTERWARDS_S: Final = 90.0


def microphone_file(path: Path, *parts: str | float) -> Path:
    """Write a WAV of texts, spoken, and pauses in seconds, in the order given; silence follows."""
    pcm = [
        say(part).at(_RATE_HZ).pcm if isinstance(part, str) else np.zeros(round(part * _RATE_HZ), dtype=np.int16)
        for part in parts
    ]
    text = " ".join(part for part in parts if isinstance(part, str))
    return microphone_wav(path, Speech(text, np.concatenate(pcm), _RATE_HZ), leading_s=0, trailing_s=_AFTERWARDS_S)
