"""Which frames of the stages count: those of the leases that serve, with none missing before them."""

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from natter_common.metrics import Metrics
from natter_gateway.conductor.sequence import FrameSequence
from natter_gateway.leases.board import HeldLease
from natter_proto import Header, Stage, stage_name


class Fence:
    """One session's. `missing` is told of a stage of whose frames some did not come."""

    def __init__(self, metrics: Metrics, missing: Callable[[Stage], None]) -> None:
        self.leases: Final[dict[Stage, HeldLease]] = {}
        """The stages' current leases: frames of older epochs are dropped."""
        self._metrics = metrics
        self._missing = missing
        self._sequences = defaultdict[Stage, FrameSequence](FrameSequence)

    def admits(self, stage: Stage, header: Header, kind: str) -> bool:
        """Whether to act on a frame that came on a subject of this kind."""
        lease = self.leases.get(stage)
        if lease is None or (header.term, header.epoch) != (lease.term, lease.epoch):
            # A frame of another version may name a stage that this one does not know.
            known = stage in Stage.values() and stage != Stage.STAGE_UNSPECIFIED
            self._metrics.drop(stage_name(stage) if known else "frame", "old_epoch")
            return False
        if self._sequences[stage].lacks(kind, header):
            self._missing(stage)
        # Whoever goes on where this one was has another epoch: then what the frame says will come again.
        return self.leases.get(stage) == lease
