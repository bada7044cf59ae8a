"""Latency of the turn that is being answered: marks as they come, told once the answer is heard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.conductor.page import Page
from natter_gateway.latency import AttemptMarks, LatencyMarks, Mark, TurnLatency


@dataclass(frozen=True, slots=True)
class Accepted:
    """A spoken turn that is over. Times in milliseconds of the gateway's clock."""

    turn: int
    speech_end_ms: float
    """Arrival of its last sound."""
    silence_met_at_ms: float
    asked_at_ms: float
    """When recognition was asked for its final."""
    final_at_ms: float
    """When it last answered a request; before `asked_at_ms`: not this one."""


class TurnLatencyMeter:
    """At most one turn is being measured; a turn that is never answered aloud is forgotten."""

    def __init__(self, page: Page, metrics: Metrics, log: Log) -> None:
        self.on_told: Callable[[TurnLatency], None] = lambda _latency: None
        """Told of each turn that was measured."""
        self._page: Final = page
        self._metrics: Final = metrics
        self._log: Final = log
        self._marks: LatencyMarks | None = None

    @property
    def waiting(self) -> bool:
        """Whether the first audible frame is still to come."""
        return self._marks is not None

    def begin(self, accepted: Accepted, now_ms: float, marks: AttemptMarks) -> None:
        """A spoken turn is to be answered.

        `marks`: of the attempt that answers it, as far as it got. It belongs to the meter from here on.
        """
        self._marks = LatencyMarks(accepted.turn, accepted.speech_end_ms, marks)
        self._marks.mark(Mark.ENDPOINTING, accepted.silence_met_at_ms)
        self._marks.began(Mark.TRANSCRIPTION, accepted.asked_at_ms)
        answered = accepted.final_at_ms >= accepted.asked_at_ms
        self._marks.mark(Mark.TRANSCRIPTION, accepted.final_at_ms if answered else now_ms)

    def forget(self) -> None:
        """The turn ended without an audible answer, or none is measured."""
        self._marks = None

    def began(self, mark: Mark, at_ms: float) -> None:
        """The work for a mark began; the first time counts. Text and voice follow on the mark before."""
        if self._marks is not None:
            self._marks.began(mark, at_ms)

    def mark(self, mark: Mark, now_ms: float) -> None:
        """Something happened; the first time counts."""
        if self._marks is not None:
            self._marks.mark(mark, now_ms)

    def audible(self, at_ms: float) -> None:
        """The first audible frame is given to RTP: tell the page, the histogram and the log."""
        if self._marks is None:
            return
        self._marks.mark(Mark.PLAYOUT, at_ms)
        latency = self._marks.result()
        self._marks = None
        if latency is not None:
            self._tell(latency)

    def _tell(self, latency: TurnLatency) -> None:
        self._page.latency(latency)
        self.on_told(latency)
        histogram = self._metrics.stage_latency
        for mark, value_ms in latency.contributions_ms.items():
            histogram.labels("gateway", "turn", mark.value).observe(value_ms / 1000)
        for mark, value_ms in latency.hidden_ms.items():
            histogram.labels("gateway", "turn", f"{mark.value}_hidden").observe(value_ms / 1000)
        histogram.labels("gateway", "turn", "voice_to_voice").observe(latency.total_ms / 1000)
        self._log.info(
            "turn answered",
            turn=latency.turn,
            total_ms=round(latency.total_ms),
            **{f"{mark.value}_ms": round(value) for mark, value in latency.contributions_ms.items()},
            **{f"{mark.value}_hidden_ms": round(value) for mark, value in latency.hidden_ms.items()},
        )
