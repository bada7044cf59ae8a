"""What the RTVI messages of a recording say: who said what, and where the gateway says that the time went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from natter_bench.recording import Message, Recording


@dataclass(frozen=True, slots=True)
class Latency:
    """A turn's latency by the gateway's clock; the contributions add up to the total."""

    turn: int
    total_ms: float
    contributions: dict[str, float]
    """Milliseconds by name, in the order of the pipeline: endpointing, transcription, model, text, voice, playout."""
    hidden_ms: dict[str, float] = field(default_factory=dict[str, float])
    """What a stage took beyond that, by its name, where the gateway knows it."""


def user_text(recording: Recording, *, after_s: float = float("-inf"), before_s: float = float("inf")) -> str:
    """The final transcripts of a window, joined."""
    return " ".join(
        str(data["text"]).strip()
        for data in _data(recording, "user-transcription", after_s, before_s)
        if data.get("final") and data.get("text")
    )


def bot_text(recording: Recording, *, after_s: float = float("-inf"), before_s: float = float("inf")) -> str:
    """The segments that began in a window (`bot-output` "new"), joined."""
    return " ".join(
        str(data["text"]).strip()
        for data in _data(recording, "bot-output", after_s, before_s)
        if data.get("spoken_status") == "new" and data.get("text")
    )


def latencies(recording: Recording, *, after_s: float = float("-inf"), before_s: float = float("inf")) -> list[Latency]:
    """The key `natter.latency` that rides in `metrics`; messages without it, or in another form, are passed over."""
    return [
        latency
        for message in _window(recording, "metrics", after_s, before_s)
        if (latency := latency_of(message.data)) is not None
    ]


def latency_of(data: Any) -> Latency | None:
    """`{"natter": {"turn": 1, "latency": {"total_ms": 700, "contributions": [{"name": "voice", "ms": 90}, …]}}}`."""
    natter = _dict(_dict(data).get("natter"))
    latency = _dict(natter.get("latency"))
    total = latency.get("total_ms")
    if not isinstance(total, int | float):
        return None
    contributions: dict[str, float] = {}
    hidden: dict[str, float] = {}
    parts: Any = latency.get("contributions")
    for part in cast("list[Any]", parts) if isinstance(parts, list) else []:
        name, ms = _dict(part).get("name"), _dict(part).get("ms")
        if isinstance(name, str) and isinstance(ms, int | float):
            contributions[name] = float(ms)
            hidden_ms = _dict(part).get("hidden_ms")
            if isinstance(hidden_ms, int | float):
                hidden[name] = float(hidden_ms)
    number = natter.get("turn")
    return Latency(number if isinstance(number, int) else 0, float(total), contributions, hidden)


def _data(recording: Recording, kind: str, after_s: float, before_s: float) -> Iterator[dict[str, Any]]:
    for message in _window(recording, kind, after_s, before_s):
        yield _dict(message.data)


def _window(recording: Recording, kind: str, after_s: float, before_s: float) -> list[Message]:
    return [message for message in recording.of_type(kind, after_s=after_s) if message.time_s < before_s]


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
