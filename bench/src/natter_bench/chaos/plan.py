"""Who is killed, how, when, and what the caller may notice of it. Pure."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

STAGES: Final = ("vad", "stt", "llm", "tts")
BROKER: Final = "nats"
"""Not a stage, but struck like one: a node of three."""
STRUCK: Final = (*STAGES, BROKER)
SIGNALS: Final[Mapping[str, signal.Signals]] = MappingProxyType(
    {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP, "TERM": signal.SIGTERM}
)
STOPPED_FOR_S: Final = 10.0
"""From SIGSTOP to SIGCONT."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the caller may notice at most; None: not limited. No word may be lost or doubled, and no turn missed."""

    added_p50_ms: float | None = None
    added_max_ms: float | None = None
    hole_ms: float | None = None
    """Of any break in the bot's voice."""


_LIMITS: Final[Mapping[str, Limits]] = MappingProxyType(
    {
        "KILL": Limits(added_p50_ms=700.0, added_max_ms=1500.0),
        "STOP": Limits(added_max_ms=2000.0),
        "TERM": Limits(added_max_ms=1500.0, hole_ms=100.0),
    }
)
_BROKER_LIMITS: Final = Limits(added_max_ms=1000.0, hole_ms=100.0)


@dataclass(frozen=True, slots=True)
class Series:
    """One stage (or the broker) and one signal: a row of the table."""

    stage: str
    signal: str

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.signal}"

    @property
    def limits(self) -> Limits:
        """A frozen node takes as long to be noticed as a frozen worker; a dead one makes no hole, and hardly a wait."""
        if self.stage == BROKER and self.signal != "STOP":
            return _BROKER_LIMITS
        return _LIMITS[self.signal]


@dataclass(frozen=True, slots=True)
class Strike:
    """A blow to be: the signal (by name) for the worker that serves the call, and when in the turn.

    `number`: of the broker's node (from 0), all of which serve every call.
    """

    stage: str
    signal: str
    after_ms: int
    stopped_for_s: float = STOPPED_FOR_S
    number: int = 0


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """What to run: each of the signals on each of the stages, at `offsets` times of a turn that are `every_ms` apart.

    The first is `first_ms` behind the caller's first sample. `keep` takes a timeline and the sound of each call, and
    the services' logs.
    """

    stages: tuple[str, ...] = STRUCK
    signals: tuple[str, ...] = tuple(SIGNALS)
    offsets: int = 25
    every_ms: int = 200
    first_ms: int = 0
    built_in: bool = False
    keep: Path | None = None

    def series(self) -> list[Series]:
        return [Series(stage, one) for stage in self.stages for one in self.signals]

    def offsets_ms(self) -> list[int]:
        """From the caller's first sample of the struck turn."""
        return [self.first_ms + number * self.every_ms for number in range(self.offsets)]


@dataclass(frozen=True, slots=True)
class Kill:
    """A random kill of the soak: `pick` from 0 to below 1 says which of the stage's workers."""

    at_s: float
    stage: str
    pick: float


def kills(seed: int, seconds: float, every_s: float, stages: Sequence[str]) -> list[Kill]:
    """One each `every_s` (none for 0), the last one not in the last `every_s`. The same seed gives the same."""
    # Not for secrets: the same kills in every run.
    chance = random.Random(seed)
    count = math.ceil(seconds / every_s) - 1 if every_s > 0 else 0
    return [Kill(number * every_s, chance.choice(stages), chance.random()) for number in range(1, count + 1)]
