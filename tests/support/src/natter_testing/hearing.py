"""Recognises recorded speech with the built-in recognizer, as somebody who listens would: what was to be understood?"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import numpy as np

from natter_bench.speech import say
from natter_bench.words import letter_error_rate
from natter_stt.local.engine import Engine, Job
from natter_stt.local.segmenter import JobKind

RATE_HZ: Final = 16_000
_FRAME_SAMPLES: Final = RATE_HZ // 50
_QUIET_BELOW: Final = 184.0
"""RMS of 16-bit samples: −45 dBFS, what natter-bench takes for audible."""
_GAP_FRAMES: Final = 10
_LONGEST_FRAMES: Final = 8 * 50
"""The recognizer garbles what is longer."""
_MARGIN_SAMPLES: Final = RATE_HZ // 10

Pcm = np.ndarray[Any, np.dtype[np.int16]]


def recognise(*recordings: Pcm) -> list[str]:
    """The words of each recording: mono at 16 kHz, of any length, silence included.

    Takes a second to load the model, and 40 ms a second of speech. Not to be called from a running event loop.
    """
    return asyncio.run(_recognise([pieces(recording) for recording in recordings]))


def misheard(said: str, recording: Pcm) -> tuple[float, str]:
    """How many of the built-in voice's letters were not understood over a call (0: none), and what was understood.

    The recognizer is held to what it makes of the same words straight from the voice, where that is better: of "Aw,
    shucks!" it makes "Ah, cheques.", however well it is carried.
    """
    straight, understood = recognise(say(said).at(RATE_HZ).pcm, recording)
    return min(letter_error_rate(said, understood), letter_error_rate(straight, understood)), understood


def pieces(pcm: Pcm) -> list[Pcm]:
    """What lies between silences of 200 ms and more; neighbours together up to 8 s, with 100 ms around."""
    spans: list[tuple[int, int]] = []
    for start, end in _loud_spans(pcm):
        if spans and end - spans[-1][0] <= _LONGEST_FRAMES and start - spans[-1][1] <= 2 * _GAP_FRAMES:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [
        pcm[max(0, start * _FRAME_SAMPLES - _MARGIN_SAMPLES) : end * _FRAME_SAMPLES + _MARGIN_SAMPLES]
        for start, end in spans
    ]


def _loud_spans(pcm: Pcm) -> list[tuple[int, int]]:
    frames = pcm[: len(pcm) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES).astype(np.float64)
    spans: list[tuple[int, int]] = []
    for index in np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _QUIET_BELOW).tolist():
        if spans and index - spans[-1][1] < _GAP_FRAMES:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


async def _recognise(recordings: list[list[Pcm]]) -> list[str]:
    engine = Engine()
    await engine.start()
    try:
        return [" ".join([await _words(engine, part) for part in parts]) for parts in recordings]
    finally:
        await engine.close()


async def _words(engine: Engine, part: Pcm) -> str:
    return await engine.transcribe(Job(JobKind.FINAL, part.astype("<i2").tobytes()))
