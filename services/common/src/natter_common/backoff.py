"""How long to wait before the next try: pure."""

import random
from typing import Final

FIRST_S: Final = 0.25
MOST_S: Final = 30.0


class Backoff:
    """Doubles from try to try up to a limit; each wait is drawn from its upper half, so that nobody comes in step."""

    def __init__(self, first_s: float = FIRST_S, most_s: float = MOST_S, source: random.Random | None = None) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._source = source or random.Random()
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(2 * ceiling_s, self._most_s)
        return self._source.uniform(ceiling_s / 2, ceiling_s)

    def reset(self) -> None:
        """It worked: the next trouble is waited for as if it were the first."""
        self._ceiling_s = self._first_s
