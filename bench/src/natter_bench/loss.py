"""Which packets the simulated network takes. Decisions depend on the packet's index alone, so that runs repeat."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Protocol


class Loss(Protocol):
    """Asked once for each audio packet of one direction, in order, from 0."""

    def loses(self, index: int) -> bool:
        """Whether packet `index` is taken."""
        ...

    @property
    def percent(self) -> int:
        """About how much is lost for good, for the encoder's FEC: what a receiver would report."""
        ...


@dataclass(frozen=True, slots=True)
class NoLoss:
    """A network that loses nothing."""

    percent: int = 0

    def loses(self, index: int) -> bool:
        """Never."""
        return False


@dataclass(slots=True)
class RandomLoss:
    """Each packet is lost with probability `fraction`, independently; the same seed loses the same packets."""

    fraction: float
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < 1:
            raise ValueError(f"a loss is a fraction from 0 to below 1, not {self.fraction}")
        self._random = random.Random(self.seed)

    def loses(self, index: int) -> bool:
        """One draw a packet."""
        return self._random.random() < self.fraction

    @property
    def percent(self) -> int:
        """The fraction, rounded up."""
        return -int(-self.fraction * 100 // 1)


@dataclass(frozen=True, slots=True)
class LosePackets:
    """Exactly these packets are lost, counted from the first of the direction."""

    indexes: frozenset[int]
    percent: int = 0

    def loses(self, index: int) -> bool:
        """Whether it is one of them."""
        return index in self.indexes
