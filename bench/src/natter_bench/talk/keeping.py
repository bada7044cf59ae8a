"""What is kept of a case for people: the sound of both sides, and what happened in order."""

from __future__ import annotations

import io
import wave
from collections.abc import Container, Iterable
from typing import Final

import numpy as np

from natter_bench.measure import AUDIBLE_DBFS, as_heard
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ, Recording
from natter_bench.talk.observer import Observed
from natter_bench.talk.player import Played

_APART_S: Final = 0.15
"""Quiet for this long is told; shorter ones are between syllables."""


def story(played: Played) -> str:
    """What happened in a case in order, with times from where the caller began to speak."""
    return timeline(played.recording, played.observed, played.began_s)


def timeline(
    recording: Recording,
    observed: Observed,
    began_s: float,
    more: Iterable[tuple[float, str]] = (),
    *,
    leave_out: Container[str] = (),
) -> str:
    """What happened in a call in order, in seconds from `began_s`. `more`: what else there was, and when.

    Messages to the page of the types in `leave_out` are not told.
    """
    lines: list[tuple[float, str]] = list(more)
    lines += [
        (one.time_s, f"vad         {one.event} at {one.sample_ms:.0f} ms, p {one.probability:.2f}")
        for one in observed.detected
    ]
    lines += [(time_s, f"playout     {'held' if held else 'goes'}") for time_s, held in observed.held]
    lines += [(one.time_s, f"asked       {one.key} {one.text!r} after {one.heard_before!r}") for one in observed.asked]
    lines += [(time_s, f"committed   {key}") for key, time_s in observed.committed.items()]
    lines += [
        (time_s, f"{'final' if final else 'interim':<11} {text!r}") for time_s, text, final in observed.transcripts
    ]
    lines += [
        (one.time_s, f"page        {one.type} {one.data if one.data else ''}")
        for one in recording.messages
        if one.type not in leave_out
    ]
    lines += [(time_s, f"finalize    through {through_ms:.0f} ms") for time_s, through_ms in observed.finalized]
    lines += [(time_s, f"text        of {key}") for key, time_s in observed.replied.items()]
    lines += [(time_s, f"voice       of {key}") for key, time_s in observed.voiced.items()]
    spoken = [frame.time_s for frame in recording.sent if frame.dbfs > AUDIBLE_DBFS and frame.time_s >= began_s]
    if spoken:
        lines += [(spoken[0], "CALLER      begins"), (spoken[-1], "CALLER      ends")]
    loud = [frame.time_s for frame in recording.frames() if frame.dbfs > AUDIBLE_DBFS]
    edges = [0, *(n for n in range(1, len(loud)) if loud[n] - loud[n - 1] > _APART_S)]
    for number, first in enumerate(edges):
        last = edges[number + 1] - 1 if number + 1 < len(edges) else len(loud) - 1
        if loud:
            lines += [(loud[first], "BOT         audible"), (loud[last], "BOT         quiet")]
    return "".join(f"{time_s - began_s:8.3f}  {text}\n" for time_s, text in sorted(lines))


def stereo_wav(played: Played) -> bytes:
    """Left what the caller sent, right what the caller heard, on one clock."""
    sent = np.concatenate(played.sent) if played.sent else np.zeros(0, dtype=np.int16)
    sound = as_heard(played.recording.frames())
    first_s = played.recording.sent[0].time_s if played.recording.sent else sound.start_s
    apart = round((sound.start_s - first_s) * VOICE_HZ)
    left, right = _placed(sent, -apart), _placed(sound.pcm, apart)
    both = np.zeros((max(len(left), len(right)), 2), dtype="<i2")
    both[: len(left), 0], both[: len(right), 1] = left, right
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(VOICE_HZ)
        file.writeframes(both.tobytes())
    return buffer.getvalue()


def _placed(pcm: Pcm, late_samples: int) -> Pcm:
    return np.concatenate([np.zeros(max(0, late_samples), dtype=np.int16), pcm])
