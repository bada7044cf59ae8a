"""One caller's speech detection: microphone spans in, speech reports out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from natter_common.mic import MicSpan
from natter_common.worker import BadLeaseError, Outlet, Reached, StageSession
from natter_proto import Lease, Speech, SpeechEvent
from natter_vad.batcher import Batcher
from natter_vad.detector import Detection, Detector, DetectorEvent, DetectorSettings
from natter_vad.windows import Windower

# A microphone that says nothing at all for this long is off: open speech ends. Looked at in steps, and a step that came
# late counts for nothing: the loop stood still, and what it missed is still to be read.
STALL_STEP_S: Final = 0.1
STALL_STEPS: Final = 4
_LATE_S: Final = 0.1

_EVENTS: Final = {
    DetectorEvent.ONSET: SpeechEvent.SPEECH_EVENT_ONSET,
    DetectorEvent.SPEECH: SpeechEvent.SPEECH_EVENT_SPEECH,
    DetectorEvent.PAUSE: SpeechEvent.SPEECH_EVENT_PAUSE,
    DetectorEvent.RESUME: SpeechEvent.SPEECH_EVENT_RESUME,
    DetectorEvent.FALSE_ONSET: SpeechEvent.SPEECH_EVENT_FALSE_ONSET,
}


class LeaseSettings(BaseModel):
    """What a bot may set of vad (see `DetectorSettings`). Unknown keys are left to newer versions."""

    model_config = ConfigDict(extra="ignore")

    threshold: float = Field(default=0.5, gt=0, lt=1)
    min_speech_duration_ms: int = Field(default=250, ge=0, le=5_000)
    min_silence_duration_ms: int = Field(default=200, ge=50, le=5_000)


def detector_settings(lease: Lease) -> DetectorSettings:
    """The settings of a lease; raises `BadLeaseError` on what can't be."""
    try:
        settings = LeaseSettings.model_validate_json(lease.settings or "{}")
    except ValidationError as error:
        problems = "; ".join(f"vad.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadLeaseError("bad_settings", problems) from error
    return DetectorSettings(settings.threshold, settings.min_speech_duration_ms, settings.min_silence_duration_ms)


class VadSession(StageSession):
    """Joins windower, batcher and detector for one lease. A `Judge` for its lane in the batcher."""

    def __init__(self, lease: Lease, outlet: Outlet, batcher: Batcher) -> None:
        self._detector = Detector(detector_settings(lease))
        self._outlet = outlet
        self._batcher = batcher
        self._windower = Windower()
        self._lane = batcher.open(self)
        # A detection follows at least 64 ms after the one before: it is bounded by the audio that is pending.
        self._found: deque[Detection] = deque()
        self._wake = asyncio.Event()
        self._spans = 0
        self._reached = lease.from_sample

    async def on_mic(self, span: MicSpan) -> None:
        self._spans += 1
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

    def _report(self, found: list[Detection]) -> None:
        if found:
            self._found.extend(found)
            self._wake.set()

    async def run(self) -> None:
        """Send what was found, and end speech when no audio comes any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(), name="vad-send")
                tasks.create_task(self._watch(), name="vad-stall-watch")
        finally:
            self._batcher.close(self._lane)

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._found:
                detection = self._found.popleft()
                await self._outlet.speech(
                    Speech(
                        event=_EVENTS[detection.event],
                        sample=detection.sample,
                        probability=detection.probability,
                        through_sample=detection.decided_at_sample,
                    )
                )

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
