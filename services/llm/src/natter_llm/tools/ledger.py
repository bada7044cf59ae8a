"""Which calls a session has seen, so that none runs twice: pure."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from natter_proto import ToolResult

MOST_CALLS: Final = 256


class Standing(Enum):
    NEW = auto()
    RUNNING = auto()
    DONE = auto()


@dataclass(slots=True)
class _Entry:
    result: ToolResult | None = None


class ToolLedger:
    """The newest calls of one session by id. Running ones are never forgotten, so the bound holds for those done."""

    def __init__(self, most_calls: int = MOST_CALLS) -> None:
        self._most_calls: Final = most_calls
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, call_id: str) -> Standing:
        """Note an order. NEW: run it, and say `settle` whatever becomes of it. The others: never run it again."""
        entry = self._entries.get(call_id)
        if entry is not None:
            return Standing.RUNNING if entry.result is None else Standing.DONE
        self._entries[call_id] = _Entry()
        self._forget()
        return Standing.NEW

    def settle(self, call_id: str, result: ToolResult) -> bool:
        """Note what became of a call; False when that was noted before, or the call is unknown: the first counts."""
        entry = self._entries.get(call_id)
        if entry is None or entry.result is not None:
            return False
        entry.result = result
        return True

    def result(self, call_id: str) -> ToolResult | None:
        """What became of a call; None while it runs, or when it is not known."""
        entry = self._entries.get(call_id)
        return None if entry is None else entry.result

    def _forget(self) -> None:
        surplus = len(self._entries) - self._most_calls
        if surplus > 0:
            for call_id in [key for key, entry in self._entries.items() if entry.result is not None][:surplus]:
                del self._entries[call_id]
