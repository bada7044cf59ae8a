"""What the gateway says of its guesses: how many answers it asked of the model, and what of them was thrown away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SAMPLE: Final = re.compile(r"^(natter_[a-z_]+)(?:\{([^}]*)\})?\s+(\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Speculation:
    """Counts since the gateway began. None: it does not count that."""

    committed: float | None = None
    """Generations asked of the model for turns that were over."""
    speculative: float | None = None
    """And for turns that might go on."""
    used: float | None = None
    """Guesses that were played."""
    wasted: float | None = None
    """Guesses that were dropped."""
    wasted_tokens: float | None = None
    wasted_characters: float | None = None
    wasted_voice_s: float | None = None

    @property
    def wasted_share(self) -> float | None:
        """Of all generations asked for, those that were guesses and dropped."""
        asked = (self.committed or 0) + (self.speculative or 0)
        return None if self.wasted is None or not asked else self.wasted / asked


def speculation_of(metrics: str) -> Speculation:
    """From the gateway's /metrics, in the Prometheus text format."""
    values: dict[tuple[str, str], float] = {}
    for name, labels, value in _SAMPLE.findall(metrics):
        told = dict(_LABEL.findall(labels))
        key = (name, told.get("kind") or told.get("outcome") or "")
        values[key] = values.get(key, 0.0) + _number(value)

    def count(name: str, label: str = "") -> float | None:
        if label and any(found == name for found, _ in values):
            # A label shows up when it is first counted.
            return values.get((name, label), 0.0)
        return values.get((name, label))

    return Speculation(
        committed=count("natter_attempts_total", "committed"),
        speculative=count("natter_attempts_total", "speculative"),
        used=count("natter_speculations_total", "used"),
        wasted=count("natter_speculations_total", "wasted"),
        wasted_tokens=count("natter_wasted_tokens_total"),
        wasted_characters=count("natter_wasted_characters_total"),
        wasted_voice_s=count("natter_wasted_voice_seconds_total"),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
