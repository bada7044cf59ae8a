"""Which leases the gateway holds with which workers, and which of them are lost: pure, with the time handed in."""

from dataclasses import dataclass, field
from typing import Final

from natter_proto import Beat, Stage

GRANT_GRACE_S: Final = 1.0
"""A lease younger than this may be missing in a worker's beat: the beat may be older than the lease."""
LATE_S: Final = 0.35
"""A worker silent for this long is asked whether it lives: its beats come each 250 ms."""
GONE_S: Final = 1.0
"""A worker silent for this long, though asked, is gone. One behind a node that stands still is back sooner."""


@dataclass(slots=True)
class WorkerLoad:
    """How busy a worker is: as it offered itself, then as its beats say."""

    now: float = 0.0
    """Leases held over capacity, 0 to 1; over 1 while takeovers fill the headroom."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A worker's hold on one stage of one session."""

    session: str
    stage: Stage
    term: int
    epoch: int
    worker: str
    provider: str
    detail: str
    decides_turns: bool = False
    """A recognizer that says itself when a turn is over."""
    final_within_ms: int = 0
    """A recognizer that leaves a finalize unanswered for longer is stuck."""
    early_final: bool = False
    """A recognizer that may be asked to finalize at a dip: closing early costs it nothing."""
    stable_interims: bool = False
    """A recognizer whose interims change little: a reply may be prepared on one."""
    final_grace_ms: int = 0
    """How long a recognizer's final is waited for when the silence is long enough; 0 where it declares nothing."""
    worker_load: WorkerLoad = field(default_factory=WorkerLoad, compare=False, repr=False)

    @property
    def load(self) -> float:
        """How busy the worker is, 0 to 1 (a little over while takeovers fill its headroom)."""
        return self.worker_load.now


@dataclass(frozen=True, slots=True)
class BeatNews:
    """What a worker's beat says that was not known."""

    unknown: tuple[HeldLease, ...] = ()
    """Leases that it does not know of (any more)."""
    unsure: tuple[HeldLease, ...] = ()
    """Leases of which frames may be missing, as its link was lost."""
    leaving: tuple[HeldLease, ...] = ()
    """Its leases, when it begins to drain."""


@dataclass(slots=True)
class _Worker:
    heard_at: float
    number: int = 0
    """Of its newest beat; 0 before the first."""
    link_losses: int = 0
    draining: bool = False
    leases: dict[tuple[str, int], tuple[HeldLease, float]] = field(
        default_factory=dict[tuple[str, int], tuple[HeldLease, float]]
    )


class LeaseBoard:
    """All leases of one gateway, by worker."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._strangers: set[str] = set()
        """Workers of which nothing is held here, though they hold something for this gateway."""

    def __len__(self) -> int:
        return sum(len(worker.leases) for worker in self._workers.values())

    def add(self, lease: HeldLease, now: float) -> None:
        worker = self._workers.setdefault(lease.worker, _Worker(now))
        worker.heard_at = max(worker.heard_at, now)
        worker.leases[lease.session, lease.epoch] = (lease, now)

    def remove(self, lease: HeldLease) -> None:
        worker = self._workers.get(lease.worker)
        if worker is not None:
            worker.leases.pop((lease.session, lease.epoch), None)
            if not worker.leases:
                del self._workers[lease.worker]

    def beats(self) -> dict[str, list[HeldLease]]:
        """Who is to get a beat now, and what it must list: a stranger gets an empty one, once for what it said."""
        strangers, self._strangers = self._strangers, set()
        names = strangers | self._workers.keys()
        return {name: self.leases_of(name) for name in names}

    def on_worker_beat(self, beat: Beat, now: float) -> BeatNews:
        """A worker says what it holds, and how it is."""
        worker = self._workers.get(beat.sender)
        if worker is None:
            if beat.held:
                # One that stood still, and was given up: it works on what nobody waits for until it is told.
                self._strangers.add(beat.sender)
            return BeatNews()
        leases = tuple(lease for lease, _ in worker.leases.values())
        for lease in leases:
            lease.worker_load.now = beat.load
        listed = {(item.session, item.epoch) for item in beat.held}
        unknown = tuple(
            lease for key, (lease, since) in worker.leases.items() if key not in listed and now - since > GRANT_GRACE_S
        )
        lost_link = worker.number > 0 and beat.link_losses > worker.link_losses
        began_to_leave = beat.draining and not worker.draining
        worker.heard_at, worker.number = now, beat.number
        worker.link_losses, worker.draining = beat.link_losses, beat.draining
        return BeatNews(unknown, leases if lost_link else (), leases if began_to_leave else ())

    def late(self, now: float) -> list[str]:
        """Workers to ask whether they live."""
        return [name for name, worker in self._workers.items() if now - worker.heard_at > LATE_S]

    def silence_s(self, name: str, now: float) -> float:
        worker = self._workers.get(name)
        return 0.0 if worker is None else now - worker.heard_at

    def on_alive(self, name: str, now: float) -> None:
        """A worker answered a ping, or nobody's silence so far counts."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.heard_at = now

    def heard_at(self, name: str) -> float | None:
        """When a worker was last heard of; None for one that holds nothing."""
        worker = self._workers.get(name)
        return None if worker is None else worker.heard_at

    def leases(self) -> list[HeldLease]:
        """All of them."""
        return [lease for worker in self._workers.values() for lease, _ in worker.leases.values()]

    def leases_of(self, name: str) -> list[HeldLease]:
        worker = self._workers.get(name)
        return [] if worker is None else [lease for lease, _ in worker.leases.values()]
