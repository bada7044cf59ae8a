"""One caller's speech detection: microphone spans in, speech reports out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from natter_common.mic import MicSpan
from natter_common.worker import BadLeaseError, Outlet, Reached, StageSession
from natter_proto import Lease, Speech, SpeechEvent
from natter_vad.batcher import Batcher
from natter_vad.detector import Detection, Detector, DetectorEvent, DetectorSettings
from natter_vad.end_of_turn import EndOfTurn, Estimate, Question
from natter_vad.estimator import Estimator
from natter_vad.loudness import Loudness
from natter_vad.mic_tail import MicTail
from natter_vad.silero import WINDOW_SAMPLES
from natter_vad.windows import Windower

# A microphone that says nothing at all for this long is off: open speech ends. Looked at in steps, and a step that came
# late counts for nothing: the loop stood still, and what it missed is still to be read.
STALL_STEP_S: Final = 0.1
STALL_STEPS: Final = 4
_LATE_S: Final = 0.1

# What begins a word may lie this much before the model is sure of speech.
ONSET_SAMPLES: Final = 4 * WINDOW_SAMPLES

_EVENTS: Final = {
    DetectorEvent.ONSET: SpeechEvent.SPEECH_EVENT_ONSET,
    DetectorEvent.SPEECH: SpeechEvent.SPEECH_EVENT_SPEECH,
    DetectorEvent.PAUSE: SpeechEvent.SPEECH_EVENT_PAUSE,
    DetectorEvent.RESUME: SpeechEvent.SPEECH_EVENT_RESUME,
    DetectorEvent.FALSE_ONSET: SpeechEvent.SPEECH_EVENT_FALSE_ONSET,
    DetectorEvent.DIP: SpeechEvent.SPEECH_EVENT_DIP,
    DetectorEvent.GOES_ON: SpeechEvent.SPEECH_EVENT_GOES_ON,
}
_SPEAKS_AGAIN: Final = (DetectorEvent.ONSET, DetectorEvent.RESUME, DetectorEvent.GOES_ON)


class LeaseSettings(BaseModel):
    """What a bot may set of vad (see `DetectorSettings`). Unknown keys are left to newer versions.

    Attributes:
        end_of_turn: who says that a turn is complete: the model, where the worker has it, or 600 ms of silence.
    """

    model_config = ConfigDict(extra="ignore")

    threshold: float = Field(default=0.5, gt=0, lt=1)
    min_speech_duration_ms: int = Field(default=250, ge=0, le=5_000)
    min_silence_duration_ms: int = Field(default=200, ge=50, le=5_000)
    dip_ms: int = Field(default=50, ge=32, le=5_000)
    end_of_turn: Literal["model", "silence"] = "model"


def lease_settings(lease: Lease) -> LeaseSettings:
    """The settings of a lease; raises `BadLeaseError` on what can't be."""
    try:
        return LeaseSettings.model_validate_json(lease.settings or "{}")
    except ValidationError as error:
        problems = "; ".join(f"vad.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadLeaseError("bad_settings", problems) from error


class VadSession(StageSession):
    """Joins windower, batcher, detector and end of turn for one lease. A `Judge` for its lane in the batcher."""

    def __init__(self, lease: Lease, outlet: Outlet, batcher: Batcher, estimator: Estimator | None) -> None:
        """`estimator` is None in a worker that has no model for the end of turns."""
        settings = lease_settings(lease)
        self._detector = Detector(
            DetectorSettings(
                settings.threshold,
                settings.min_speech_duration_ms,
                settings.min_silence_duration_ms,
                dip_ms=settings.dip_ms,
            )
        )
        modelled = estimator is not None and settings.end_of_turn == "model"
        self._end_of_turn = EndOfTurn("model" if modelled else "silence")
        self._desk = estimator.open() if estimator is not None and modelled else None
        self._tail = MicTail() if modelled else None
        self._loudness = Loudness()
        self._outlet = outlet
        self._batcher = batcher
        self._windower = Windower()
        self._lane = batcher.open(self)
        # A few reports for each window at most: it is bounded by the audio that is pending.
        self._found: deque[Speech] = deque()
        self._wake = asyncio.Event()
        self._spans = 0
        self._reached = lease.from_sample

    async def on_mic(self, span: MicSpan) -> None:
        self._spans += 1
        if not span.muted:
            self._loudness.push(span.first_sample, span.pcm)
        self._detector.audible(self._loudness.audible_end_sample, in_noise=self._loudness.in_noise)
        if self._tail is not None:
            self._tail.push(span.first_sample, span.pcm)
        for _ in range(self._lane.push(self._windower.push(span.first_sample, span.pcm, muted=span.muted))):
            self._outlet.metrics.drop("mic", "vad_behind")

    def window(self, first_sample: int, probability: float) -> None:
        self._report(self._detector.window(first_sample, probability))

    def quiet(self, to_sample: int) -> None:
        self._report(self._detector.quiet(to_sample))

    def idle(self) -> None:
        received = self._windower.next_sample or 0
        self._reached = max(self._reached, received)
        self._report(self._detector.received(received))
        if (quiet_since := self._detector.quiet_since_sample) is not None:
            self._loudness.nobody_spoke(quiet_since, self._detector.judged_through_sample - ONSET_SAMPLES)
        match self._end_of_turn.received(received):
            case Question() as question:
                self._ask(question)
            case Estimate() as estimate:
                self._say_estimate(estimate)
            case None:
                pass

    def _ask(self, question: Question) -> None:
        if self._desk is not None and self._tail is not None:
            pcm = self._tail.read(question.from_sample, question.through_sample)
            self._desk.ask(
                pcm, question.through_sample - question.sample, lambda answer: self._answered(question, answer)
            )

    def _answered(self, question: Question, probability: float) -> None:
        estimate = self._end_of_turn.answered(question, probability)
        if estimate is not None:
            self._say_estimate(estimate)

    def _say_estimate(self, estimate: Estimate) -> None:
        event = SpeechEvent.SPEECH_EVENT_ESTIMATE
        self._say(event, estimate.sample, estimate.probability, estimate.through_sample)

    def _report(self, found: list[Detection]) -> None:
        for detection in found:
            self._end_of_turn.detected(detection)
            if self._desk is not None and detection.event in _SPEAKS_AGAIN:
                self._desk.withdraw()
            pauses = detection.event is DetectorEvent.PAUSE
            probability = self._end_of_turn.probability if pauses else detection.probability
            self._say(_EVENTS[detection.event], detection.sample, probability, detection.decided_at_sample)

    def _say(self, event: SpeechEvent, sample: int, probability: float, through_sample: int) -> None:
        self._found.append(Speech(event=event, sample=sample, probability=probability, through_sample=through_sample))
        self._wake.set()

    async def run(self) -> None:
        """Send what was found, and end speech when no audio comes any more."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(), name="vad-send")
            tasks.create_task(self._watch(), name="vad-stall-watch")

    async def close(self) -> None:
        self._batcher.close(self._lane)
        if self._desk is not None:
            self._desk.close()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._found:
                await self._outlet.speech(self._found.popleft())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        seen, steps = -1, 0
        while True:
            due = loop.time() + STALL_STEP_S
            await asyncio.sleep(STALL_STEP_S)
            if self._spans != seen or loop.time() - due > _LATE_S:
                seen, steps = self._spans, 0
                continue
            steps += 1
            if steps == STALL_STEPS:
                self._report(self._detector.stalled())

    def reached(self) -> Reached:
        return Reached(sample=self._reached)
