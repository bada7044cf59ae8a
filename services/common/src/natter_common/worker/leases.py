"""Which leases a worker holds, and when one ends: pure, with the time handed in."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from natter_proto import Lease, LeaseClass

GATEWAY_SILENCE_S: Final = 15.0
"""A gateway silent for this long is gone, and with it its leases."""
MISSING_GRACE_S: Final = 3.0
"""A lease younger than this may be missing in a gateway's beat: the beat may be older than the confirm's answer."""
_ROUNDING: Final = 1e-6
_ALL_ALIKE: Final[Mapping[str, float]] = MappingProxyType({})


class TakeResult(Enum):
    TAKEN = "taken"
    AGAIN = "again"
    """The same lease is held already: the confirm was repeated."""
    STALE = "stale"
    """A lease of a newer term or epoch is held."""
    FULL = "full"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, order=True)
class LeaseKey:
    """Names a lease among all: a session's stage, with the fencing numbers."""

    session: str
    term: int
    epoch: int


@dataclass(slots=True)
class _Held:
    lease: Lease
    taken_at: float
    share: float


@dataclass(slots=True)
class _Gateway:
    heard_at: float
    keys: set[LeaseKey] = field(default_factory=set[LeaseKey])


class LeaseBook:
    """The leases of one worker. `capacity` new sessions fit; takeovers may fill a quarter more.

    `shares` says for each provider how much of one session's room a session takes; without it, 1.
    """

    def __init__(self, capacity: int, shares: Mapping[str, float] = _ALL_ALIKE) -> None:
        self.capacity: Final = capacity
        self._shares: Final = shares
        self._takeover_capacity: Final = capacity + math.ceil(capacity / 4)
        self._held: dict[LeaseKey, _Held] = {}
        self._gateways: dict[str, _Gateway] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def load(self) -> float:
        """What is held over capacity; over 1 while takeovers fill the headroom."""
        return self._used / self.capacity

    @property
    def _used(self) -> float:
        return sum(held.share for held in self._held.values())

    def has_room(self, lease_class: LeaseClass, provider: str) -> bool:
        if self.draining:
            return False
        takeover = lease_class == LeaseClass.LEASE_CLASS_TAKEOVER
        limit = self._takeover_capacity if takeover else self.capacity
        # Sums of tenths are not exact.
        return self._used + self._share(provider) <= limit + _ROUNDING

    def _share(self, provider: str) -> float:
        return self._shares.get(provider, 1.0)

    def take(self, lease: Lease, now: float) -> tuple[TakeResult, LeaseKey | None]:
        """Take a lease. The second value is the older lease of the session that this one replaces."""
        key = key_of(lease)
        if key in self._held:
            return TakeResult.AGAIN, None
        older = next((held for held in self._held if held.session == key.session), None)
        if older is not None and (older.term, older.epoch) > (key.term, key.epoch):
            return TakeResult.STALE, None
        if older is None and not self.has_room(lease.lease_class, lease.provider):
            return (TakeResult.DRAINING if self.draining else TakeResult.FULL), None
        if older is not None:
            self.end(older)
        self._held[key] = _Held(lease, now, self._share(lease.provider))
        gateway = self._gateways.setdefault(lease.gateway, _Gateway(now))
        gateway.keys.add(key)
        gateway.heard_at = max(gateway.heard_at, now)
        return TakeResult.TAKEN, older

    def end(self, key: LeaseKey) -> bool:
        """Forget a lease; False when it was not held."""
        held = self._held.pop(key, None)
        if held is None:
            return False
        gateway = self._gateways[held.lease.gateway]
        gateway.keys.discard(key)
        if not gateway.keys:
            del self._gateways[held.lease.gateway]
        return True

    def gateways(self) -> dict[str, list[LeaseKey]]:
        """Who is to get a beat, and what it must list."""
        return {name: sorted(gateway.keys) for name, gateway in self._gateways.items()}

    def on_gateway_beat(self, gateway: str, listed: Collection[LeaseKey], now: float) -> list[LeaseKey]:
        """A gateway says what it holds here; returns the leases that it does not know of (any more)."""
        known = self._gateways.get(gateway)
        if known is None:
            return []
        known.heard_at = now
        return [
            key for key in sorted(known.keys) if key not in listed and now - self._held[key].taken_at > MISSING_GRACE_S
        ]

    def on_link_back(self, now: float) -> None:
        """The own link was away: nobody's silence before now counts."""
        for gateway in self._gateways.values():
            gateway.heard_at = now

    def silent(self, now: float) -> list[LeaseKey]:
        """Leases whose gateway has said nothing for too long."""
        return [
            key
            for gateway in self._gateways.values()
            if now - gateway.heard_at > GATEWAY_SILENCE_S
            for key in sorted(gateway.keys)
        ]


def key_of(lease: Lease) -> LeaseKey:
    return LeaseKey(lease.session, lease.term, lease.epoch)
