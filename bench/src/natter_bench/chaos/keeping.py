"""What is kept of a call for people: what happened in order, and its sound."""

from __future__ import annotations

import io
import wave
from typing import Final

from natter_bench.chaos.call import Held
from natter_bench.measure import as_heard
from natter_bench.recording import VOICE_HZ
from natter_bench.talk.keeping import timeline

_NOT_TOLD: Final = frozenset({"metrics", "bot-tts-text", "bot-llm-text"})
"""Messages that come by the dozen."""


def story(held: Held, *, heading: str) -> str:
    """What happened in order, in seconds from where the caller began to speak."""
    more: list[tuple[float, str]] = []
    for blow in held.blows:
        if blow.fell_s is not None:
            more.append((blow.fell_s, f"BLOW        {blow.strike.signal} falls on {blow.victim.name}"))
        if blow.went_on_s is not None:
            more.append((blow.went_on_s, f"BLOW        {blow.victim.name} goes on"))
    for number, turn in enumerate(held.heard.turns):
        began_s = held.exchanges[number].began_s
        wait = "-" if turn.wait_ms is None else f"{turn.wait_ms:.0f} ms"
        words = " ".join(turn.words)
        more.append((began_s, f"TURN {number + 1}      wait {wait}, longest pause {turn.pause_ms:.0f} ms: {words}"))
    lines = timeline(held.recording, held.observed, held.exchanges[0].began_s, more, leave_out=_NOT_TOLD)
    return f"{heading}\nmodel:      {held.heard.model}\ntranscript: {held.heard.transcript}\n{lines}"


def wav(held: Held) -> bytes:
    """What the caller heard, mono."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_HZ)
        file.writeframes(as_heard(held.recording.frames()).pcm.astype("<i2").tobytes())
    return buffer.getvalue()
