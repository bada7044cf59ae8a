"""Texts for a client that comes back: kept in order, bounded. Pure but for the count."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from natter_gateway.rtvi import outgoing

MAX_MISSED: Final = 512


class Missed:
    """The oldest comes first. Over the bound those go first that later ones make up for, then the oldest."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        """`dropped` is called for each text that goes."""
        self._dropped: Final = dropped
        self._texts: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def first(self) -> str:
        """Raises `IndexError` where there is none."""
        return self._texts[0]

    def pop(self) -> str:
        """Take the first away. Raises `IndexError` where there is none."""
        return self._texts.popleft()

    def add(self, text: str) -> None:
        """Behind all others."""
        self._texts.append(text)
        self._fit()

    def put_before(self, texts: Iterable[str]) -> None:
        """Before all others, in their order."""
        self._texts = deque([*texts, *self._texts])
        self._fit()

    def take_all(self) -> list[str]:
        """Take all of them away."""
        taken, self._texts = [*self._texts], deque[str]()
        return taken

    def _fit(self) -> None:
        if len(self._texts) <= MAX_MISSED:
            return
        kept = deque(text for text in self._texts if not outgoing.is_passing(text))
        while len(kept) > MAX_MISSED:
            kept.popleft()
        for _ in range(len(self._texts) - len(kept)):
            self._dropped()
        self._texts = kept
