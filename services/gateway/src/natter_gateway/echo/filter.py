"""Swallows vad's reports of the bot's own voice, and notices a caller who speaks on top. Pure: no clock, no I/O."""

import enum
import math
from collections import deque
from typing import Final, NamedTuple

from natter_gateway.echo.envelope import LAGS, SLOT_MS, Levels, MicSlots, PlayoutEnvelope
from natter_gateway.echo.level import SILENCE_DBFS
from natter_gateway.echo.model import SUSPECTED_GAIN_DB, EchoHistory, EchoPath
from natter_proto import MIC_FRAME_SAMPLES, Speech, SpeechEvent

AUDIBLE_DBFS: Final = -45.0
"""Voice below it makes no echo that anybody would take for speech."""
_LISTEN_MS: Final = LAGS * SLOT_MS + 200
"""So long after the last voice its echo may still be in the air."""
_SUSPECT_EVERY: Final = 2
_LEARN_EVERY: Final = (5, 15)
"""Mic frames between two looks at the past: while no echo is known for sure, and once one is."""
_FIRST_LAGS: Final = (2, 20)
"""Without a round trip an echo comes back after 40 to 400 ms; of an unknown one nothing else is believed at once."""
_MARGIN_DB: Final = (6.0, 9.0)
"""A mic level this much over what the echo should be is somebody else: the least, and the most for an unsteady echo."""
_TAIL_DB: Final = 2.0
"""A room's echo fades by so much in a slot, at least."""
_OVER_NOISE_DB: Final = 6.0
_JITTER_SLOTS: Final = 3
"""An echo's delay changes by so much: packets of both ways jitter, and buffers between them begin anew."""
_UNECHOED_FRAMES: Final = 3
"""So many frames of the bot's voice without an echo where it should be: there are headphones."""
_BREAK_FRAMES: Final = 3
_BREAK_WITHIN: Final = 4
"""So many frames, of so many, tell a caller from a stray sound of the echo."""
_FADED_DB: Final = 10.0
_FADED_FRAMES: Final = 40
"""An echo that is missing by so much for so long of the bot's voice is no more: headphones are on."""
_REMEMBERED_FRAMES: Final = 75
_WITHHELD_SAMPLES: Final = 1500 * 16
_ENDS: Final = (SpeechEvent.SPEECH_EVENT_PAUSE, SpeechEvent.SPEECH_EVENT_FALSE_ONSET)
_EXPLAINED: Final = 0.8
"""Of what passed for a caller, so much has to be no louder than an echo that is known by now."""


class _Kind(enum.Enum):
    """What a mic frame is."""

    QUIET = "quiet"
    ECHO = "echo"
    """No louder than the echo should be."""
    CALLER = "caller"


class _Frame(NamedTuple):
    end_sample: int
    dbfs: float
    before: Levels
    """Of the playout, as `PlayoutEnvelope.before` gives them."""
    kind: _Kind


class _Utterance(enum.Enum):
    """What vad's newest utterance is for those behind the filter."""

    NONE = "none"
    """It is over."""
    PASSED = "passed"
    SWALLOWED = "swallowed"


class EchoFilter:
    """Stands between vad and the turn machine of one session.

    Every onset (or resume) that comes out ends with exactly one pause or false onset, as vad's do. While no echo was
    ever heard nothing is swallowed or late, but for one case that nobody can tell apart: a soft voice that begins like
    the bot's just did. It is let out as soon as it goes on otherwise.

    What passed before the echo was known is taken back: it ends where it began, and `own_words` tells that what
    recognition makes of it is the bot's.

    Times are the gateway's, in milliseconds; levels are dBFS of 20 ms frames.
    """

    def __init__(self, *, min_speech_ms: int = 250, min_silence_ms: int = 200) -> None:
        """The bot's settings of vad: they hold for speech on top of an echo, which vad can't judge, as well."""
        self._min_speech_frames: Final = math.ceil(min_speech_ms / SLOT_MS)
        self._min_silence_frames: Final = math.ceil(min_silence_ms / SLOT_MS)
        self._playout: Final = PlayoutEnvelope()
        self._slots = MicSlots()
        self._history: Final = EchoHistory()
        self._path: EchoPath | None = None
        self._sure = False
        self._suspicious = True
        self._unechoed_frames = 0
        self._first_lags = _FIRST_LAGS
        self._frames: Final[deque[_Frame]] = deque(maxlen=_REMEMBERED_FRAMES)
        self._audible_until_ms = -math.inf
        self._until_learning = 0
        self._faded_frames = 0
        self._expected_dbfs = SILENCE_DBFS
        self._utterance = _Utterance.NONE
        self._newest_passed = True
        self._onset_sample = 0
        self._end_sample: int | None = 0
        # Of the newest utterance that was swallowed on suspicion only: its onset, that it is speech, and its end.
        self._withheld: list[Speech] = []
        self._own_from_sample: int | None = None
        self._vad: Speech | None = None
        # Of the utterance that is open: what those behind the filter know of it.
        self._told_speech = False
        self._broke_through = False
        self._caller_frames = 0
        self._quiet_frames = 0
        self._caller_sample = 0

    @property
    def path(self) -> EchoPath | None:
        """How the bot's voice comes back, as far as that is known; None without an echo."""
        return self._path

    def own_words(self, through_sample: int) -> bool:
        """Whether what is recognised up to a sample (0: of what goes on now) is the bot's, and no caller's."""
        own = self._own_from_sample
        return own is not None and (through_sample == 0 or through_sample > own)

    def listening(self, at_ms: float) -> bool:
        """Whether mic levels are needed now; else `heard` does nothing and need not be called."""
        return at_ms - self._audible_until_ms <= _LISTEN_MS

    def set_round_trip(self, round_trip_ms: float) -> None:
        """The caller's network: where a first echo may be."""
        slots = min(round(round_trip_ms / SLOT_MS), LAGS - _FIRST_LAGS[1])
        self._first_lags = (_FIRST_LAGS[0], _FIRST_LAGS[1] + slots)

    def reconnected(self) -> None:
        """A new connection: mic samples come with another delay, perhaps of another microphone."""
        self._slots = MicSlots()
        self._suspicious = self._path is None
        self._unechoed_frames = 0

    def played(self, dbfs: float, at_ms: float) -> None:
        """A frame of the bot's voice was handed to RTP. Not called for silence."""
        self._playout.played(dbfs, at_ms)
        if dbfs > AUDIBLE_DBFS:
            self._audible_until_ms = at_ms

    def heard(self, dbfs: float, end_sample: int, at_ms: float) -> list[Speech]:
        """A mic frame came, not muted. Returns what a caller on top of the echo means to those behind."""
        if not self.listening(at_ms):
            return []
        before = self._playout.before(self._slots.slot(end_sample, at_ms))
        self._history.add(dbfs, before)
        kind = self._judge(dbfs, before)
        self._frames.append(_Frame(end_sample, dbfs, before, kind))
        self._note_fading(dbfs)
        self._until_learning -= 1
        corrected: list[Speech] = []
        if self._until_learning <= 0:
            self._learn(before)
            self._until_learning = _SUSPECT_EVERY if self._suspicious else _LEARN_EVERY[self._sure]
            corrected = self._take_back() if self._path is not None else self._release(end_sample)
        return corrected + self._on_frame(self._frames[-1].kind, end_sample)

    def speech(self, frame: Speech, at_ms: float) -> list[Speech]:
        """A report of vad. Returns what of it is for those behind: it, or nothing, or its end in another form."""
        self._vad = frame
        match frame.event:
            case SpeechEvent.SPEECH_EVENT_ONSET | SpeechEvent.SPEECH_EVENT_RESUME:
                return self._on_onset(frame, at_ms)
            case SpeechEvent.SPEECH_EVENT_PAUSE | SpeechEvent.SPEECH_EVENT_FALSE_ONSET:
                return self._on_end(frame)
            case SpeechEvent.SPEECH_EVENT_SPEECH:
                return self._on_speech(frame)
            case _:
                # Estimates come after the pause, too.
                return [frame] if self._newest_passed else []

    # --- Mic frames

    def _learn(self, before: Levels) -> None:
        self._history.update_floor()
        path = self._history.path(self._first_lags)
        if path is not None:
            self._take(path, sure=True)
            self._suspicious = False
            self._withheld.clear()
        elif self._suspicious:
            # Nothing is known yet, and it may begin like an echo. Does it go on like one?
            self._take(self._history.suspected_path(self._first_lags))
            self._unechoed_frames += bool(before[self._first_lags[1] - 1] > AUDIBLE_DBFS)
            self._suspicious = self._path is not None or self._unechoed_frames < _UNECHOED_FRAMES

    def _take(self, path: EchoPath | None, *, sure: bool = False) -> None:
        new = (self._path is None) != (path is None) or self._sure != sure
        self._path, self._sure = path, sure
        if new:
            # Of what was heard lately nobody knew what it was.
            self._expected_dbfs = SILENCE_DBFS
            known = [frame._replace(kind=self._judge(frame.dbfs, frame.before)) for frame in self._frames]
            self._frames.clear()
            self._frames.extend(known)

    def _take_back(self) -> list[Speech]:
        """What passed for a caller was the echo that is known now."""
        if not self._newest_passed or self._broke_through:
            return []
        onset = self._onset_sample
        end = self._frames[-1].end_sample if self._end_sample is None else self._end_sample
        meant = [frame for frame in self._frames if onset < frame.end_sample <= end]
        if len(meant) * MIC_FRAME_SAMPLES * 2 < end - onset:
            # Said while nobody listened for an echo.
            return []
        callers = sum(frame.kind is _Kind.CALLER for frame in meant)
        echoes = sum(frame.kind is _Kind.ECHO for frame in meant)
        if not echoes or callers > (echoes + callers) * (1 - _EXPLAINED):
            return []
        self._own_from_sample = self._onset_sample
        if self._utterance is not _Utterance.PASSED:
            # It is over, but not what recognition has to say of it.
            self._newest_passed = False
            return []
        ended = self._made(self._end_event(), self._onset_sample)
        self._open(passed=False)
        return [ended]

    def _release(self, end_sample: int) -> list[Speech]:
        """It began like an echo, and was none: what was swallowed for it is told after all, unless it is long ago."""
        released = list(self._withheld)
        self._withheld.clear()
        if not released or end_sample - released[0].sample > _WITHHELD_SAMPLES:
            return []
        released[0].event = SpeechEvent.SPEECH_EVENT_ONSET
        self._open(passed=True)
        self._own_from_sample = None
        self._told_speech = len(released) > 1 and released[1].event == SpeechEvent.SPEECH_EVENT_SPEECH
        if released[-1].event in _ENDS:
            self._utterance = _Utterance.NONE
        return released

    def _judge(self, dbfs: float, before: Levels) -> _Kind:
        """What the next mic frame is."""
        floor = self._history.floor_dbfs
        path = self._path
        if path is None:
            self._expected_dbfs = SILENCE_DBFS
        else:
            near = before[max(0, path.delay_slots - _JITTER_SLOTS) : path.delay_slots + _JITTER_SLOTS + 1]
            # How loud what is only suspected may be nobody knows.
            gain_db = path.gain_db if self._sure else SUSPECTED_GAIN_DB - _MARGIN_DB[1]
            # Of so few values numpy's own takes four times as long.
            self._expected_dbfs = max(max(near.tolist()) + gain_db, self._expected_dbfs - _TAIL_DB)
        if path is None or self._expected_dbfs < floor - 3:
            return _Kind.CALLER if dbfs > floor + _OVER_NOISE_DB else _Kind.QUIET
        margin = min(max(_MARGIN_DB[0], 2.5 * path.spread_db), _MARGIN_DB[1]) if self._sure else _MARGIN_DB[1]
        together = 10 * math.log10(10 ** (self._expected_dbfs / 10) + 10 ** (floor / 10))
        return _Kind.CALLER if dbfs > together + margin else _Kind.ECHO

    def _note_fading(self, dbfs: float) -> None:
        if self._path is None or self._expected_dbfs < self._history.floor_dbfs + _FADED_DB:
            return
        if dbfs > self._expected_dbfs - _FADED_DB:
            self._faded_frames = max(0, self._faded_frames - 2)
            return
        self._faded_frames += 1
        if self._faded_frames >= _FADED_FRAMES:
            self._path = None
            self._sure = self._suspicious = False
            self._faded_frames = 0

    def _on_frame(self, kind: _Kind, end_sample: int) -> list[Speech]:
        match self._utterance:
            case _Utterance.SWALLOWED:
                lately = list(self._frames)[-_BREAK_WITHIN:]
                callers = [frame for frame in lately if frame.kind is _Kind.CALLER]
                if len(callers) < _BREAK_FRAMES:
                    return []
                return [self._break_through(callers)]
            case _Utterance.PASSED if self._broke_through or self._path is not None:
                return self._follow(kind, end_sample)
            case _:
                return []

    def _break_through(self, callers: list[_Frame]) -> Speech:
        self._open(passed=True)
        self._own_from_sample = None
        self._withheld.clear()
        self._broke_through = True
        self._caller_frames = len(callers)
        self._caller_sample = callers[-1].end_sample
        return self._made(SpeechEvent.SPEECH_EVENT_ONSET, callers[0].end_sample - MIC_FRAME_SAMPLES)

    def _follow(self, kind: _Kind, end_sample: int) -> list[Speech]:
        """The caller speaks while the echo keeps vad from hearing when that ends."""
        if kind is _Kind.CALLER:
            self._caller_frames += 1
            self._quiet_frames = 0
            self._caller_sample = end_sample
            if self._broke_through and not self._told_speech and self._caller_frames >= self._min_speech_frames:
                self._told_speech = True
                return [self._made(SpeechEvent.SPEECH_EVENT_SPEECH, end_sample)]
            return []
        self._quiet_frames = self._quiet_frames + 1 if kind is _Kind.ECHO else 0
        if self._quiet_frames < self._min_silence_frames:
            return []
        ended = self._made(self._end_event(), self._caller_sample)
        self._open(passed=False)
        return [ended]

    # --- Vad's reports

    def _on_onset(self, frame: Speech, at_ms: float) -> list[Speech]:
        if self._utterance is _Utterance.PASSED:
            # A new worker tells again what is known.
            return [frame]
        resumes_echo = not self._newest_passed
        self._open(passed=not self._is_echo(frame, at_ms))
        self._onset_sample, self._end_sample = frame.sample, None
        self._caller_sample = frame.through_sample
        if self._utterance is _Utterance.SWALLOWED:
            if self._own_from_sample is None:
                self._own_from_sample = frame.sample
            self._withheld = [] if self._sure else [_copy(frame)]
            return []
        self._withheld.clear()
        self._own_from_sample = None
        if resumes_echo and frame.event == SpeechEvent.SPEECH_EVENT_RESUME:
            # What it goes on from was the bot's.
            return [self._made(SpeechEvent.SPEECH_EVENT_ONSET, frame.sample)]
        return [frame]

    def _is_echo(self, frame: Speech, at_ms: float) -> bool:
        if not self.listening(at_ms):
            return False
        if self._path is None and self._suspicious:
            self._history.update_floor()
            self._take(self._history.suspected_path(self._first_lags))
        if self._path is None:
            return False
        meant = [each for each in self._frames if frame.sample < each.end_sample <= frame.through_sample]
        kinds = [each.kind for each in meant]
        return kinds.count(_Kind.CALLER) < _BREAK_FRAMES and kinds.count(_Kind.ECHO) * 2 >= max(1, len(kinds))

    def _on_speech(self, frame: Speech) -> list[Speech]:
        if self._utterance is _Utterance.SWALLOWED and len(self._withheld) == 1:
            self._withheld.append(_copy(frame))
        if self._utterance is not _Utterance.PASSED or self._broke_through:
            return []
        # A new worker tells again what is known, or of the next utterance if the end of this one was lost.
        self._told_speech = True
        return [frame]

    def _on_end(self, frame: Speech) -> list[Speech]:
        utterance, self._utterance = self._utterance, _Utterance.NONE
        self._end_sample = frame.sample
        if utterance is _Utterance.SWALLOWED and self._withheld:
            self._withheld.append(_copy(frame))
        if utterance is not _Utterance.PASSED:
            return []
        if frame.event == self._end_event():
            return [frame]
        return [self._made(self._end_event(), frame.sample)]

    def _open(self, *, passed: bool) -> None:
        self._utterance = _Utterance.PASSED if passed else _Utterance.SWALLOWED
        self._newest_passed = passed
        self._told_speech = self._broke_through = False
        self._caller_frames = self._quiet_frames = 0

    def _end_event(self) -> SpeechEvent:
        told = self._told_speech
        return SpeechEvent.SPEECH_EVENT_PAUSE if told else SpeechEvent.SPEECH_EVENT_FALSE_ONSET

    def _made(self, event: SpeechEvent, sample: int) -> Speech:
        """A report in vad's name: of its lease, about what it could not tell."""
        made = Speech(
            event=event, sample=sample, through_sample=self._frames[-1].end_sample if self._frames else sample
        )
        if self._vad is not None:
            made.header.CopyFrom(self._vad.header)
            # Of speech; whether the turn is complete nobody knows here.
            made.probability = 0.0 if event == SpeechEvent.SPEECH_EVENT_PAUSE else self._vad.probability
        return made


def _copy(frame: Speech) -> Speech:
    copied = Speech()
    copied.CopyFrom(frame)
    return copied
