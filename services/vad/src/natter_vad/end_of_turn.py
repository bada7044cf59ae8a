"""When to ask whether a turn is complete, and what became of it. Pure: no clock, no I/O.

Each quiet is asked about once, after `ASK_AFTER_MS`: later than its dip, as most dips lie inside words and are over by
then, and early enough that the answer is there before 200 ms of quiet. Asked again at 200 or at 600 ms the model was
measured to be no better at telling ends from pauses (at 600 ms worse: it takes the silence itself for an end), so how
long a silence counts whatever the model says is the conductor's to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from natter_vad.detector import Detection, DetectorEvent
from natter_vad.silero import SAMPLE_RATE_HZ

ASK_AFTER_MS: Final = 80
SILENCE_MS: Final = 600
"""Without the model, this much quiet ends a turn."""
HEARD_MS: Final = 200
"""The most of a quiet that the model is given."""
CONTEXT_MS: Final = 500
"""What was heard before the first word tells the model what silence sounds like here."""

Mode = Literal["model", "silence"]


def _samples(duration_ms: int) -> int:
    return duration_ms * SAMPLE_RATE_HZ // 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """Is the turn complete?

    Attributes:
        from_sample: where the turn begins, with some room in front.
        sample: the end of its speech.
        through_sample: the end of the audio to judge.
    """

    from_sample: int
    sample: int
    through_sample: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer for the quiet since `sample`, from audio up to `through_sample`."""

    sample: int
    through_sample: int
    probability: float


class EndOfTurn:
    """One session's questions. Follows the detector's events."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._ask_after = _samples(ASK_AFTER_MS if mode == "model" else SILENCE_MS)
        self._turn_from = 0
        self._quiet_from: int | None = None
        self._asked = False
        self._probability = 0.0

    @property
    def probability(self) -> float:
        """The newest answer for the present quiet; 0 while there is none."""
        return self._probability

    def detected(self, detection: Detection) -> None:
        """Follow one event of the detector."""
        match detection.event:
            case DetectorEvent.ONSET:
                self._turn_from = max(0, detection.sample - _samples(CONTEXT_MS))
                self._end_quiet()
            case DetectorEvent.RESUME | DetectorEvent.GOES_ON:
                self._end_quiet()
            case DetectorEvent.DIP:
                self._quiet_from = detection.sample
            case DetectorEvent.SPEECH | DetectorEvent.PAUSE | DetectorEvent.FALSE_ONSET:
                pass

    def received(self, through_sample: int) -> Question | Estimate | None:
        """Audio up to `through_sample` was judged: is something to be asked, or known without?"""
        quiet_from = self._quiet_from
        if quiet_from is None or self._asked or through_sample - quiet_from < self._ask_after:
            return None
        self._asked = True
        if self._mode == "model":
            # Behind (after a takeover) there may be more, which the model would take for an end by itself.
            return Question(self._turn_from, quiet_from, min(through_sample, quiet_from + _samples(HEARD_MS)))
        self._probability = 1.0
        return Estimate(quiet_from, through_sample, 1.0)

    def answered(self, question: Question, probability: float) -> Estimate | None:
        """The model's word; None if that quiet is over."""
        if question.sample != self._quiet_from:
            return None
        self._probability = probability
        return Estimate(question.sample, question.through_sample, probability)

    def _end_quiet(self) -> None:
        self._quiet_from = None
        self._asked = False
        self._probability = 0.0
