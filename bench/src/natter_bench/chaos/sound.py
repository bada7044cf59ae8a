"""From the recording of a call to its turns as they were heard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from natter_bench.chaos.judge import TurnHeard, longest_pause_ms
from natter_bench.chaos.segments import segments_found
from natter_bench.conversation import Exchange
from natter_bench.latency_hearing import words_heard
from natter_bench.measure import as_heard, audible, end_of_speech, first_sample, start_of_speech
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ, ReceivedFrame, Recording
from natter_bench.talk.observer import Observed
from natter_emulators.marks import hear


def heard_turns(recording: Recording, exchanges: Sequence[Exchange], replies: Sequence[str]) -> tuple[TurnHeard, ...]:
    """Each turn of a call with emulated voices, whose words are marked; costs a few ms per second of it."""
    return tuple(
        _heard(recording, window, frames, reply)
        for window, frames, reply in zip(exchanges, _windows(recording, exchanges), replies, strict=True)
    )


def heard_built_in_turns(
    recording: Recording, exchanges: Sequence[Exchange], observed: Observed
) -> tuple[TurnHeard, ...]:
    """Each turn of a call with the built-in voice, against what it made; costs a tenth of a second per second of it."""
    return tuple(
        _heard_built_in(recording, window, frames, observed)
        for window, frames in zip(exchanges, _windows(recording, exchanges), strict=True)
    )


def phase_of(recording: Recording, exchange: Exchange, time_s: float | None) -> str:
    """What was going on at a time: the caller speaking, the pause before the answer, the bot speaking, or nothing."""
    if time_s is None:
        return ""
    start_s = start_of_speech(recording.sent, after_s=exchange.began_s, before_s=exchange.ended_s)
    end_s = end_of_speech(recording.sent, after_s=exchange.began_s, before_s=exchange.ended_s)
    if start_s is None or end_s is None or time_s < start_s:
        return "before"
    if time_s <= end_s:
        return "caller speaks"
    loud_s = [one.time_s for one in recording.frames() if end_s < one.time_s < exchange.ended_s and audible(one)]
    if not loud_s or time_s < loud_s[0]:
        return "pause"
    return "bot speaks" if time_s < loud_s[-1] else "after"


def _windows(recording: Recording, exchanges: Sequence[Exchange]) -> list[list[ReceivedFrame]]:
    """The frames of each turn. What comes late belongs to the turn in which it is heard: nothing lies between two."""
    frames = recording.frames()
    ends_s = [*(one.began_s for one in exchanges[1:]), float("inf")]
    return [
        [frame for frame in frames if one.began_s <= frame.time_s < end_s]
        for one, end_s in zip(exchanges, ends_s, strict=True)
    ]


def _heard(recording: Recording, window: Exchange, frames: Sequence[ReceivedFrame], reply: str) -> TurnHeard:
    found = words_heard(frames, reply, after_s=float("-inf"))
    return TurnHeard(
        wait_ms=_wait_ms(recording, window, frames),
        pause_ms=longest_pause_ms(frames),
        hole_ms=max(found.holes_ms, default=0.0),
        words=tuple(word.text for word in hear(_joined(frames), VOICE_HZ)),
    )


def _heard_built_in(
    recording: Recording, window: Exchange, frames: Sequence[ReceivedFrame], observed: Observed
) -> TurnHeard:
    keys = [key for key, time_s in observed.committed.items() if window.began_s <= time_s < window.ended_s]
    makings = observed.of_reply(max(keys)) if keys else []
    found = segments_found(makings, observed.texts, as_heard(frames))
    return TurnHeard(
        wait_ms=_wait_ms(recording, window, frames),
        # What is said differs from call to call, and with it the pauses: only those count that were not made.
        pause_ms=found.hole_ms,
        hole_ms=found.hole_ms,
        segments_lost=found.lost,
        segments_doubled=found.doubled,
    )


def _wait_ms(recording: Recording, window: Exchange, frames: Sequence[ReceivedFrame]) -> float | None:
    end_s = end_of_speech(recording.sent, after_s=window.began_s, before_s=window.ended_s)
    if end_s is None:
        return None
    voice_s = first_sample(frames, after_s=end_s)
    return None if voice_s is None else (voice_s - end_s) * 1000


def _joined(frames: Sequence[ReceivedFrame]) -> Pcm:
    """The sound without the silence where the sender's clock went on: a pause cuts no word in two."""
    pieces = [frame.pcm for frame in frames if frame.source != "skipped"]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
