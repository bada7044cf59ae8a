"""Which session uses which slot of a model server, so that each finds its own prompt cache again. Pure."""

from __future__ import annotations

from collections import OrderedDict


class SlotTable:
    """Hands out ``slots`` slots to sessions; the one idle for longest changes hands.

    Args:
        slots: how many there are.
        waiting: how many users may queue for one slot, besides the one that works.
    """

    def __init__(self, slots: int, waiting: int = 1) -> None:
        self._free = list(reversed(range(slots)))
        self._most = 1 + waiting
        self._users = [0] * slots
        # Session to slot, the least recently used first.
        self._owners: OrderedDict[str, int] = OrderedDict()

    @property
    def busy(self) -> int:
        """How many users there are, waiting ones included."""
        return sum(self._users)

    def acquire(self, session: str) -> int | None:
        """A slot for ``session``, its own where it has one; None when too many wait already."""
        slot = self._owners.get(session)
        if slot is None and (slot := self._idle_slot()) is not None:
            self._owners[session] = slot
        if slot is None:
            # All are at work: wait for one, and leave it to its owner afterwards.
            slot = min(range(len(self._users)), key=self._users.__getitem__)
        if self._users[slot] >= self._most:
            return None
        if session in self._owners:
            self._owners.move_to_end(session)
        self._users[slot] += 1
        return slot

    def release(self, slot: int) -> None:
        """One user of ``slot`` is done."""
        self._users[slot] -= 1

    def _idle_slot(self) -> int | None:
        if self._free:
            return self._free.pop()
        for owner, slot in self._owners.items():
            if self._users[slot] == 0:
                del self._owners[owner]
                return slot
        return None
