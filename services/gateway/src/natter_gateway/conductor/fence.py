"""Which frames of the stages count: those of the leases that serve, in their order, each once."""

from collections.abc import Callable, Mapping
from typing import Final

from natter_common.metrics import Metrics
from natter_gateway.conductor.sequence import FrameSequence
from natter_gateway.leases.board import HeldLease
from natter_proto import Header, Stage, stage_name

_Act = Callable[[], None]


class Fence:
    """One session's. `lacking` is told of a stage of whose frames some did not come: they are to be sent again."""

    def __init__(self, metrics: Metrics, lacking: Callable[[Stage], None]) -> None:
        self.leases: Final[dict[Stage, HeldLease]] = {}
        """The stages' current leases: frames of older epochs are dropped."""
        self._metrics = metrics
        self._lacking = lacking
        self._sequences: dict[Stage, tuple[HeldLease, FrameSequence[_Act]]] = {}

    def admit(self, stage: Stage, header: Header, kind: str, act: _Act) -> None:
        """A frame came on a subject of this kind: `act` on it when all before it have come, unless it is nobody's."""
        lease = self.leases.get(stage)
        if lease is None or (header.term, header.epoch) != (lease.term, lease.epoch):
            # A frame of another version may name a stage that this one does not know.
            known = stage in Stage.values() and stage != Stage.STAGE_UNSPECIFIED
            self._metrics.drop(stage_name(stage) if known else "frame", "old_epoch")
            return
        if not header.number:
            act()
            return
        sequence = self._sequence(lease)
        for each in sequence.take(kind, header.number, act):
            # Whoever goes on where this one was has another epoch: then what the frame says will come again.
            if self.leases.get(stage) != lease:
                return
            each()
        if sequence.lacks:
            self._lacking(stage)

    def told(self, lease: HeldLease, sent: Mapping[str, int]) -> None:
        """How far a worker says that it has sent."""
        if self.leases.get(lease.stage) == lease:
            sequence = self._sequence(lease)
            sequence.told(sent)
            if sequence.lacks:
                self._lacking(lease.stage)

    def lacks(self, lease: HeldLease) -> bool:
        """Whether frames of a lease that serves are missing."""
        return self.leases.get(lease.stage) == lease and self._sequence(lease).lacks

    def have(self, lease: HeldLease) -> Mapping[str, int]:
        """The number up to which all frames of a lease came, on each subject."""
        return self._sequence(lease).have if self.leases.get(lease.stage) == lease else {}

    def _dropped(self, kind: str) -> None:
        self._metrics.drop(kind, "too_many_held")

    def _sequence(self, lease: HeldLease) -> FrameSequence[_Act]:
        known = self._sequences.get(lease.stage)
        if known is None or known[0] != lease:
            known = self._sequences[lease.stage] = lease, FrameSequence[_Act](self._dropped)
        return known[1]
