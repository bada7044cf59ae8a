"""What one attempt has asked of the model and got: all that a worker needs to begin it, or to go on with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from natter_gateway.context import Entry, ToolRecord
from natter_gateway.turns.events import AttemptKey, Modality
from natter_proto import ToolCall


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment as the model made it."""

    number: int
    text: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Step:
    """A generation that ended at tools."""

    said: str
    records: tuple[ToolRecord, ...]


class Generation:
    """One attempt's text so far, over all its steps; `step` counts generations from 0, one more behind each round."""

    def __init__(self, key: AttemptKey, context: Sequence[Entry], summary: str, text: str, modality: Modality) -> None:
        self.key: Final = key
        self.context: Final = context
        self.summary: Final = summary
        self.text: Final = text
        self.modality: Final = modality
        self.done: list[Step] = []
        self.pieces: list[Piece] = []
        """Segments of this step."""
        self.running = True
        """The model is at it: neither at its end nor at tools."""
        self._shown = 0
        self._skip = 0

    @property
    def step(self) -> int:
        return len(self.done)

    @property
    def said(self) -> str:
        """The text of this step's segments."""
        return "".join(piece.text for piece in self.pieces)

    def new_text(self, delta: str) -> str:
        """The part of a delta that the page does not have yet: a worker that goes on makes the last segment again."""
        skipped = min(self._skip, len(delta))
        self._skip -= skipped
        self._shown += len(delta) - skipped
        return delta[skipped:]

    def restart(self) -> None:
        """Another worker goes on behind the segments that are there."""
        self._skip = max(0, self._shown - len(self.said))

    def call_ids(self, calls: Sequence[ToolCall]) -> list[str]:
        """Ids for the calls at which this step ends: turn.step.index."""
        return [f"{self.key[0]}.{self.step}.{index}" for index in range(len(calls))]

    def end_step(self, records: tuple[ToolRecord, ...]) -> None:
        """The tools of this step are through: the next generation carries their results."""
        self.done.append(Step(self.said, records))
        self.pieces = []
        self.running = True
        self._shown = self._skip = 0
