"""Speech detection by loudness alone."""

from array import array
from typing import Final

from natter_common.mic import MicSpan
from natter_common.worker import Input, Outlet, Reached, StageDefinition, StageSession
from natter_proto import MIC_FRAME_SAMPLES, Lease, Speech, SpeechEvent, Stage

_WINDOW_BYTES: Final = MIC_FRAME_SAMPLES * 2
_LOUD: Final = 300
"""Mean deviation of a window with speech, of 32,768."""
_EVERY: Final = 8
"""Only each eighth sample is looked at."""
_ONSET_WINDOWS: Final = 2
_SPEECH_SAMPLES: Final = 16 * 250
_DIP_SAMPLES: Final = 16 * 40
_PAUSE_SAMPLES: Final = 16 * 200


class EnergyDetector:
    """Windows of 20 ms in, speech events out. Pure."""

    def __init__(self) -> None:
        self._onset: int | None = None
        """Where the speech began that is going on."""
        self._confirmed = False
        self._dipped = False
        """A dip was told, and nothing since."""
        self._heard_before = False
        self._loud_from: int | None = None
        self._loud_windows = 0
        self._loud_to = 0

    def push(self, window: bytes, first_sample: int) -> list[Speech]:
        end = first_sample + len(window) // 2
        if _is_loud(window):
            self._loud_windows += 1
            if self._loud_from is None:
                self._loud_from = first_sample
            self._loud_to = end
        else:
            self._loud_windows = 0
            if self._onset is None:
                self._loud_from = None
        return self._events(end)

    def _events(self, end: int) -> list[Speech]:
        if self._onset is None:
            if self._loud_from is None or self._loud_windows < _ONSET_WINDOWS:
                return []
            self._onset = self._loud_from
            event = SpeechEvent.SPEECH_EVENT_RESUME if self._heard_before else SpeechEvent.SPEECH_EVENT_ONSET
            return [_event(event, self._onset, end)]
        events: list[Speech] = []
        quiet = end - self._loud_to
        if not self._confirmed and self._loud_to - self._onset >= _SPEECH_SAMPLES:
            self._confirmed = self._heard_before = True
            events.append(_event(SpeechEvent.SPEECH_EVENT_SPEECH, self._onset, end))
        if self._dipped and not quiet:
            self._dipped = False
            events.append(_event(SpeechEvent.SPEECH_EVENT_GOES_ON, end - MIC_FRAME_SAMPLES, end))
        elif not self._dipped and quiet >= _DIP_SAMPLES:
            self._dipped = True
            # Whether the turn is complete is not known before the pause, as with the model.
            events.append(_event(SpeechEvent.SPEECH_EVENT_DIP, self._loud_to, end, probability=0.0))
        if quiet >= _PAUSE_SAMPLES:
            event = SpeechEvent.SPEECH_EVENT_PAUSE if self._confirmed else SpeechEvent.SPEECH_EVENT_FALSE_ONSET
            events.append(_event(event, self._loud_to, end))
            self._onset = self._loud_from = None
            self._confirmed = self._dipped = False
        return events


class VadSession(StageSession):
    """One session's detector."""

    def __init__(self, _lease: Lease, outlet: Outlet) -> None:
        self._outlet = outlet
        self._detector = EnergyDetector()
        self._sample = 0

    async def on_mic(self, span: MicSpan) -> None:
        for start in range(0, len(span.pcm), _WINDOW_BYTES):
            window = span.pcm[start : start + _WINDOW_BYTES]
            for event in self._detector.push(window, span.first_sample + start // 2):
                await self._outlet.speech(event)
        self._sample = span.end_sample

    def reached(self) -> Reached:
        return Reached(sample=self._sample)


def definition() -> StageDefinition:
    return StageDefinition(Stage.STAGE_VAD, Input.MIC, {"local": "emulated speech detection"}, VadSession)


def _event(event: SpeechEvent, sample: int, end: int, probability: float = 1.0) -> Speech:
    return Speech(event=event, sample=sample, probability=probability, through_sample=end)


def _is_loud(window: bytes) -> bool:
    samples = array("h", window)[::_EVERY]
    return sum(map(abs, samples)) > _LOUD * len(samples)
