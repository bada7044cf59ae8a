"""At most one reply that is prepared ahead of the turn's end: kept, handed over or counted as waste."""

import asyncio
from collections.abc import Callable

from natter_common.metrics import Metrics
from natter_gateway.conductor.generation import Generation
from natter_gateway.conductor.guess_box import GuessBox
from natter_gateway.latency import Mark
from natter_gateway.turns.events import AttemptKey
from natter_proto import Reply, Voice


class Guessing:
    """`failed` is told of a guess that got too long to keep."""

    def __init__(self, metrics: Metrics, failed: Callable[[AttemptKey], None]) -> None:
        self._metrics = metrics
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._box: GuessBox | None = None

    @property
    def key(self) -> AttemptKey | None:
        """The guess that is kept."""
        return None if self._box is None else self._box.key

    def begin(self, generation: Generation) -> None:
        """A reply is to be prepared."""
        self._box = GuessBox(generation)
        self._box.marks.began(Mark.MODEL, self._now_ms())
        self._metrics.attempts.labels("speculative").inc()

    def keeps(self, frame: Reply | Voice) -> bool:
        """Whether a frame is of the guess: it waits for the turn's end."""
        box = self._box
        if box is None or (frame.header.turn, frame.header.attempt) != box.key:
            return False
        if not box.keep(frame, self._now_ms()):
            self._failed(box.key)
        return True

    def hand_over(self, key: AttemptKey) -> GuessBox | None:
        """What was prepared is the reply."""
        box, self._box = self._box, None
        if box is None or box.key != key:
            return None
        self._metrics.speculations.labels("used").inc()
        return box

    def drop(self) -> None:
        """What was prepared is waste."""
        box, self._box = self._box, None
        if box is None:
            return
        waste = box.waste
        self._metrics.speculations.labels("wasted").inc()
        self._metrics.wasted_tokens.inc(waste.tokens)
        self._metrics.wasted_characters.inc(waste.characters)
        self._metrics.wasted_voice.inc(waste.voice_s)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
