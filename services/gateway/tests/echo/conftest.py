"""A caller's room: the bot's voice comes back into the microphone, and somebody may speak on top. In virtual time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from natter_bench.speech import Voice, say
from natter_gateway.echo import EchoFilter, level_dbfs
from natter_proto import Speech, SpeechEvent

FRAME_MS: Final = 20
MIC_FRAME: Final = 320
VOICE_FRAME: Final = 480
BEGINS: Final = (SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_RESUME)
ENDS: Final = (SpeechEvent.SPEECH_EVENT_PAUSE, SpeechEvent.SPEECH_EVENT_FALSE_ONSET)
_ONSET_FRAMES: Final = 4
"""A detector with windows of 32 ms that needs two of them says it no sooner."""
Samples = NDArray[np.float64]


def speech_16k(text: str, gain_db: float = 0.0, voice: Voice | None = None) -> Samples:
    """Somebody's words at 16 kHz."""
    return say(text, voice=voice).at(16_000).pcm.astype(np.float64) * 10 ** (gain_db / 20)


class EnergyVad:
    """Calls loud what is over −50 dBFS: worse than any real detector, which leaves the more to the filter."""

    def __init__(self) -> None:
        self._begun = False
        self._loud = self._quiet = 0
        self._told = False
        self._spoke = False
        self._start = 0

    def frame(self, dbfs: float, end_sample: int) -> Iterator[Speech]:
        loud = dbfs > -50
        self._quiet = 0 if loud else self._quiet + 1
        self._loud = self._loud + 1 if loud else self._loud if self._begun else 0
        if self._loud == 1 and loud and not self._begun:
            self._start = end_sample - MIC_FRAME
        if not self._begun and self._loud >= _ONSET_FRAMES:
            self._begun, self._told = True, False
            event = SpeechEvent.SPEECH_EVENT_RESUME if self._spoke else SpeechEvent.SPEECH_EVENT_ONSET
            yield Speech(event=event, sample=self._start, through_sample=end_sample)
        if self._begun and not self._told and self._loud >= 12:
            self._told = self._spoke = True
            yield Speech(event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=self._start, through_sample=end_sample)
        if self._begun and self._quiet >= 10:
            event = SpeechEvent.SPEECH_EVENT_PAUSE if self._told else SpeechEvent.SPEECH_EVENT_FALSE_ONSET
            self._begun, self._loud = False, 0
            yield Speech(event=event, sample=end_sample - 10 * MIC_FRAME, through_sample=end_sample)


@dataclass
class Room:
    """`echo_db`: the bot's voice in the microphone, None for headphones; `delay_ms`: after it was handed out."""

    echo_db: float | None = -20.0
    delay_ms: int = 180
    noise_dbfs: float = -65.0
    echo: EchoFilter = field(default_factory=EchoFilter)
    reported: list[tuple[float, Speech]] = field(default_factory=list)
    """By vad, with the time."""
    passed: list[tuple[float, Speech]] = field(default_factory=list)
    """By the filter."""

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._vad = EnergyVad()
        self._in_air: list[Samples] = []
        self._frames = 0

    @property
    def now_ms(self) -> float:
        return 5_000.0 + self._frames * FRAME_MS

    def frame(self, voice: bytes | None, sound: Samples, caller: Samples) -> None:
        """20 ms: what is handed out to play (and its sound at 16 kHz), and the caller's own voice."""
        if voice is not None:
            self.echo.played(level_dbfs(voice), self.now_ms + self._random.uniform(0, 4))
        self._in_air.append(sound)
        mic = self._random.normal(0, 32768 * 10 ** (self.noise_dbfs / 20), MIC_FRAME) + caller
        back = len(self._in_air) - 1 - self.delay_ms // FRAME_MS
        if self.echo_db is not None and back >= 0:
            mic += self._in_air[back] * 10 ** (self.echo_db / 20)
        dbfs = level_dbfs(np.clip(mic, -32768, 32767).astype("<i2").tobytes())
        self._frames += 1
        end_sample = self._frames * MIC_FRAME
        arrival_ms = self.now_ms + self._random.uniform(0, 15)
        self._take(self.echo.heard(dbfs, end_sample, arrival_ms))
        for report in self._vad.frame(dbfs, end_sample):
            self.reported.append((self.now_ms, report))
            self._take(self.echo.speech(report, arrival_ms))

    def _take(self, passed: list[Speech]) -> None:
        self.passed += [(self.now_ms, report) for report in passed]

    def play(self, text: str, caller: Samples | None = None, caller_at_ms: int = 0) -> float:
        """The bot says `text`, and 1.2 s are quiet after it. Returns when the caller's voice began."""
        voice = say(text)
        pcm = voice.at(24_000).pcm.astype("<i2")
        sound = voice.at(16_000).pcm.astype(np.float64)
        began_ms = self.now_ms + caller_at_ms
        silence = np.zeros(MIC_FRAME)
        count = len(pcm) // VOICE_FRAME
        for number in range(count + 60):
            own = silence
            if caller is not None:
                at = (number * FRAME_MS - caller_at_ms) * 16
                own = caller[at : at + MIC_FRAME] if 0 <= at <= len(caller) - MIC_FRAME else silence
            if number < count:
                frame = pcm[number * VOICE_FRAME : (number + 1) * VOICE_FRAME].tobytes()
                self.frame(frame, sound[number * MIC_FRAME : (number + 1) * MIC_FRAME], own)
            else:
                self.frame(None, silence, own)
        return began_ms

    def onsets(self, since_ms: float = 0.0) -> list[float]:
        """When the filter told of speech."""
        return [at for at, report in self.passed if report.event in BEGINS and at >= since_ms]


@pytest.fixture
def new_room() -> type[Room]:
    """Makes rooms."""
    return Room


@pytest.fixture
def spoken() -> Callable[..., Samples]:
    """Makes callers' words."""
    return speech_16k
