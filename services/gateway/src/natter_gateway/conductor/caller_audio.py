"""Which mic samples the caller's turn lies in: for recognition, for replay to a new worker, for latency."""

from typing import Final

from natter_gateway.conductor.frames import CallerSpeech
from natter_gateway.turns.states import CallerState, Interjecting, Pausing, Quiet, Stirring, Talking, Weighing

_SOFT_BEGINNING_SAMPLES: Final = 500 * 16
"""Words may begin so long before detection is sure of speech: recognizers go back so far from its onset."""
_BEFORE_SPEECH_SAMPLES: Final = 300 * 16
"""Detection was sure a little later than the sound began."""


def sound_from_sample(caller: CallerState) -> int | None:
    """Where the caller's newest sound began: a detector has to hear it to tell its end. None: there is none."""
    match caller:
        case Quiet():
            return None
        case Pausing(speech_sample=sample):
            pass
        case Stirring(sample) | Talking(sample) | Interjecting(sample) | Weighing(sample):
            pass
    return max(0, sample - _BEFORE_SPEECH_SAMPLES)


class CallerAudio:
    """Sample numbers at 16 kHz, as detection and recognition report them."""

    def __init__(self) -> None:
        self.speech_to_sample = 0
        """End of the last speech window before a pause."""
        self.asked_final: tuple[int, int] = (0, 0)
        """The last finalize request: its id, and the sample to close through."""
        self._turn_from_sample = 0
        self._closed_through_sample = 0

    def on_speech(self, sample: int, caller: CallerState) -> None:
        """Speech begins at `sample`, while the caller was as `caller` says."""
        if isinstance(caller, Quiet):
            self._turn_from_sample = sample

    def on_final(self, through_sample: int) -> None:
        """Recognition has closed everything before."""
        self._closed_through_sample = max(self._closed_through_sample, through_sample)

    @property
    def settled_through_sample(self) -> int:
        """What lies before needs no worker any more: recognition has closed it, or it was speech that is over."""
        return max(self.speech_to_sample, self._closed_through_sample)

    def speech(self, caller: CallerState) -> CallerSpeech:
        """What recognition has to know now."""
        if isinstance(caller, (Talking, Stirring, Interjecting)):
            return CallerSpeech(speaking=True, from_sample=self._unclosed(caller.sample), to_sample=0)
        if isinstance(caller, Pausing) and not caller.firm:
            return CallerSpeech(speaking=True, from_sample=self._unclosed(caller.speech_sample), to_sample=0)
        return CallerSpeech(speaking=False, from_sample=0, to_sample=self.speech_to_sample)

    def _unclosed(self, sample: int) -> int:
        """Where speech began that is in no final yet: a pause may lie behind it whose final is still owed."""
        if self._closed_through_sample >= self.asked_final[1]:
            return sample
        return min(sample, max(self._turn_from_sample, self._closed_through_sample))

    def replay_from_sample(self, caller: CallerState) -> int | None:
        """Where a new recognizer has to begin to read; None: with what comes now."""
        if isinstance(caller, Quiet):
            return None
        return max(0, self._turn_from_sample - _SOFT_BEGINNING_SAMPLES, self._closed_through_sample)
