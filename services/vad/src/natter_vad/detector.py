"""From probabilities of speech to what happened: onset, speech, dip, pause, resume. Pure: no clock, no I/O.

    quiet --two windows over threshold--> onset | resume --min_speech_duration_ms of speech--> speech
      ^                                         |                                                |
      |                                         +------------> dip_ms of quiet: dip <------------+
      |                                                           |       |
      +- false_onset | pause <-- min_silence_duration_ms of quiet +       +-- speech again: goes_on

Every onset or resume ends with a dip and then, at the same sample, with `pause` if `speech` was reported, else with
`false_onset`: the sound was too short to count as speech by itself (a click, a cough, or a very short word). `speech`
may also come after a dip, without a `goes_on`: it counts windows, and the last of them end behind the voice.

Where speech ends, the model says to a window and some 60 ms late. Who knows better (see `loudness`) may say how far
there was anything to hear, and the end is put back there, by at most `FADE_SAMPLES`. In noise the model's word
fades more slowly, and is doubted sooner.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from natter_vad.silero import SAMPLE_RATE_HZ, WINDOW_SAMPLES

# Once somebody speaks, windows down to this much under the threshold still belong to the speech: voices sink at the end
# of words, and a border right at the threshold would cut them to pieces.
HYSTERESIS = 0.15
_LEAST_RELEASE = 0.01
# The model calls up to this much speech that follows the end of a voice. Where it says so for longer, it hears what
# loudness does not (a whisper after a shout), and is believed.
FADE_SAMPLES = 128 * SAMPLE_RATE_HZ // 1_000
# The same in noise, where its word fades more slowly.
FADE_IN_NOISE_SAMPLES = 256 * SAMPLE_RATE_HZ // 1_000
# In noise the soft parts of words are not heard either: a dip is none while the model is as sure of speech as this. It
# says 0.99 and more of nearly all that lies inside of words, and begins to doubt some 40 ms after their end.
SURE_IN_NOISE = 0.98


class DetectorEvent(enum.Enum):
    """What a session's detector reports."""

    ONSET = "onset"
    SPEECH = "speech"
    PAUSE = "pause"
    RESUME = "resume"
    FALSE_ONSET = "false_onset"
    DIP = "dip"
    GOES_ON = "goes_on"


@dataclass(frozen=True, slots=True)
class Detection:
    """One event.

    Attributes:
        event: what happened.
        sample: where. onset, resume and speech: the first sample of the first window of that speech; dip, pause and
            false_onset: the sample after the speech; goes_on: the first of the window in which it goes on.
        decided_at_sample: the audio up to here was needed to know it.
        probability: onset, resume, speech, goes_on: that the last window is speech. dip, pause, false_onset: 0.
    """

    event: DetectorEvent
    sample: int
    decided_at_sample: int
    probability: float


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What a bot may set.

    Attributes:
        threshold: the least probability of a window that begins speech, 0..1.
        min_speech_duration_ms: speech needed before `speech` is reported.
        min_silence_duration_ms: quiet needed before `pause` or `false_onset` is reported.
        dip_ms: quiet needed before `dip` is reported; with more than min_silence_duration_ms both come at once.
        resume_within_ms: speech this soon after the end of the speech before is `resume`, later it is `onset`.

    Raises:
        ValueError: a value out of range.
    """

    threshold: float = 0.5
    min_speech_duration_ms: int = 250
    min_silence_duration_ms: int = 200
    resume_within_ms: int = 2_000
    dip_ms: int = 50

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold {self.threshold} is not between 0 and 1")
        for name, value, least, most in (
            ("min_speech_duration_ms", self.min_speech_duration_ms, 0, 5_000),
            ("min_silence_duration_ms", self.min_silence_duration_ms, 50, 5_000),
            ("resume_within_ms", self.resume_within_ms, 0, 60_000),
            ("dip_ms", self.dip_ms, 32, 5_000),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} {value} is not between {least} and {most}")


def _samples(duration_ms: int) -> int:
    return duration_ms * SAMPLE_RATE_HZ // 1_000


@dataclass(slots=True)
class _Utterance:
    """Speech that has begun and not paused."""

    start: int
    end: int  # the sample after its speech
    speech_samples: int
    reported: bool = False  # `speech` was reported
    dipped: bool = False  # `dip` was reported, and no `goes_on` since


class Detector:
    """One session's state machine. Windows come in order; what is missing between them counts as quiet."""

    def __init__(self, settings: DetectorSettings | None = None) -> None:
        settings = DetectorSettings() if settings is None else settings
        self._threshold = settings.threshold
        self._release = max(settings.threshold - HYSTERESIS, _LEAST_RELEASE)
        self._min_speech = _samples(settings.min_speech_duration_ms)
        self._min_silence = _samples(settings.min_silence_duration_ms)
        self._resume_within = _samples(settings.resume_within_ms)
        self._dip = _samples(settings.dip_ms)
        self._judged = 0  # every sample before it is known to be speech or quiet
        self._last = 0.0  # the model's word on the last that was judged
        self._audible_end: int | None = None
        self._in_noise = False
        self._quiet_since = 0
        self._candidate: int | None = None  # start of a single window over the threshold
        self._utterance: _Utterance | None = None
        self._spoke_until: int | None = None  # end of the last speech that was long enough to be reported

    @property
    def judged_through_sample(self) -> int:
        """How far the audio has been judged: the progress of the session's detection."""
        return self._judged

    @property
    def speaking(self) -> bool:
        """An onset or resume was reported, and neither pause nor false_onset since."""
        return self._utterance is not None

    @property
    def quiet_since_sample(self) -> int | None:
        """Since when nobody speaks, as far as audio was judged; None while `speaking`."""
        return self._quiet_since if self._utterance is None else None

    def audible(self, end_sample: int, *, in_noise: bool = False) -> None:
        """There was something to hear up to `end_sample`, and nothing since, in all audio that has come.

        To be told before the windows of that audio. Never told: the model alone says where speech ends. `in_noise`: the
        softest parts of a voice may be among what was not heard.
        """
        self._audible_end = end_sample
        self._in_noise = in_noise

    def window(self, first_sample: int, probability: float) -> list[Detection]:
        """Take the model's word on the 512 samples from `first_sample`.

        Raises:
            ValueError: the window lies before audio that was judged already.
        """
        if first_sample < self._judged:
            raise ValueError(f"window at {first_sample} after {self._judged} was judged")
        found = self.quiet(first_sample) if first_sample > self._judged else []
        end = self._judged = first_sample + WINDOW_SAMPLES
        self._last = probability
        if self._utterance is not None:
            if probability >= self._release:
                self._go_on(self._utterance, first_sample, probability, found)
            self._settle(end, found)
        elif probability < self._threshold:
            self._candidate = None
        elif self._candidate is None:
            self._candidate = first_sample
        else:
            self._begin(self._candidate, end, probability, found)
        return found

    def quiet(self, to_sample: int) -> list[Detection]:
        """Everything up to `to_sample` holds no speech: the microphone was muted, or samples are missing for good."""
        found: list[Detection] = []
        if to_sample > self._judged:
            self._judged = to_sample
            self._candidate = None
            self._last = 0.0
            self._settle(to_sample, found)
        return found

    def received(self, through_sample: int) -> list[Detection]:
        """Audio up to `through_sample` has come, and every whole window of it was judged.

        So the rules for dip and pause are met to the frame instead of to the window: when the speaker was quiet for all
        whole windows, and the part of a window on top fills the duration, there is no need to wait for the rest of it.
        """
        found: list[Detection] = []
        self._settle(min(through_sample, self._judged + WINDOW_SAMPLES - 1), found)
        return found

    def stalled(self) -> list[Detection]:
        """No audio comes any more (the caller muted, or is away): open speech ends where it was last heard."""
        found: list[Detection] = []
        self._candidate = None
        if self._utterance is not None:
            self._end(self._utterance, self._judged, found)
        return found

    def _begin(self, start: int, end: int, probability: float, found: list[Detection]) -> None:
        resumes = self._spoke_until is not None and start - self._spoke_until <= self._resume_within
        event = DetectorEvent.RESUME if resumes else DetectorEvent.ONSET
        self._candidate = None
        self._utterance = _Utterance(start, end, end - start)
        found.append(Detection(event, start, end, probability))
        self._report_speech(self._utterance, probability, found)

    def _report_speech(self, utterance: _Utterance, probability: float, found: list[Detection]) -> None:
        if not utterance.reported and utterance.speech_samples >= self._min_speech:
            utterance.reported = True
            found.append(Detection(DetectorEvent.SPEECH, utterance.start, self._judged, probability))

    def _go_on(self, utterance: _Utterance, first_sample: int, probability: float, found: list[Detection]) -> None:
        """Take a window of speech in."""
        through = first_sample + WINDOW_SAMPLES
        heard = through if self._audible_end is None else min(self._audible_end, through)
        fade = FADE_IN_NOISE_SAMPLES if self._in_noise else FADE_SAMPLES
        end = heard if heard >= through - fade else through
        if end > utterance.end:
            if utterance.dipped:
                utterance.dipped = False
                goes_on = max(first_sample, utterance.end)
                found.append(Detection(DetectorEvent.GOES_ON, goes_on, through, probability))
            utterance.end = end
        utterance.speech_samples += WINDOW_SAMPLES
        self._report_speech(utterance, probability, found)

    def _settle(self, quiet_through: int, found: list[Detection]) -> None:
        """See what the quiet since the end of speech amounts to."""
        utterance = self._utterance
        if utterance is None:
            return
        quiet = quiet_through - utterance.end
        sure = self._in_noise and self._last >= SURE_IN_NOISE
        if not utterance.dipped and not sure and quiet >= self._dip:
            self._report_dip(utterance, quiet_through, found)
        hushed = self._last < (self._threshold if self._in_noise else self._release)
        if hushed and quiet >= self._min_silence:
            self._end(utterance, quiet_through, found)

    def _report_dip(self, utterance: _Utterance, decided_at: int, found: list[Detection]) -> None:
        utterance.dipped = True
        found.append(Detection(DetectorEvent.DIP, utterance.end, decided_at, 0.0))

    def _end(self, utterance: _Utterance, decided_at: int, found: list[Detection]) -> None:
        self._utterance = None
        self._quiet_since = decided_at
        if not utterance.dipped:
            self._report_dip(utterance, decided_at, found)
        if utterance.reported:
            self._spoke_until = utterance.end
        event = DetectorEvent.PAUSE if utterance.reported else DetectorEvent.FALSE_ONSET
        found.append(Detection(event, utterance.end, decided_at, 0.0))
