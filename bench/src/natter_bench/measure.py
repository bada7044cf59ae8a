"""What is measured, defined once for every test and every run.

Pure functions over recordings: no clock, no I/O. Times are seconds of the caller's monotonic clock.

- **End of speech**: the last sent frame above −45 dBFS. **First sample**: the first received frame above it.
- Times are those of packets: a sent frame's is when it was given to the wire, a received frame's when its packet
  arrived, before any receive buffer (a stock aiortc caller adds 80 ms, to every system).
- **Voice-to-voice**: from end of speech to first sample.
- **Missed turn**: no bot audio 5 s after the end of speech.
- **Time to silence**: from the onset of the caller's speech to the last received frame above −45 dBFS of the reply that
  it interrupts.
- **Hole**: over 60 ms missing inside a segment against the audio that tts made for it (`holes`); pauses of the voice
  itself are none. Where that audio is not at hand, `gaps` says what looks like one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from natter_bench.alignment import Alignment, align
from natter_bench.opus import FRAME_MS, Pcm
from natter_bench.recording import VOICE_HZ, ReceivedFrame

AUDIBLE_DBFS: Final = -45.0
HOLE_MS: Final = 60.0
MISSED_TURN_S: Final = 5.0

JITTER_ABSORBED_MS: Final = 40.0
"""Lateness of a packet that any receiver's buffer absorbs: less than this is no interruption of the sound."""

_FRAME_S: Final = FRAME_MS / 1000
# Quiet this long separates replies: the longest pause that a voice makes inside one is 250 ms, a sentence's end.
_REPLY_APART_S: Final = 0.6
# A voice fades over several frames; a cut falls from speech to nothing within one.
_ABRUPT_DBFS: Final = -35.0
_NOTHING_DBFS: Final = -70.0


class Heard(Protocol):
    """20 ms of sound at a time: a sent or a received frame."""

    @property
    def time_s(self) -> float:
        """When its packet was sent, or arrived."""
        ...

    @property
    def dbfs(self) -> float:
        """Its RMS level."""
        ...


def audible(frame: Heard) -> bool:
    """Whether the frame counts as sound."""
    return frame.dbfs > AUDIBLE_DBFS


def end_of_speech(
    sent: Iterable[Heard], *, after_s: float = float("-inf"), before_s: float = float("inf")
) -> float | None:
    """Time of the last audible sent frame in a window; None when there is none."""
    return max((f.time_s for f in sent if after_s <= f.time_s < before_s and audible(f)), default=None)


def start_of_speech(
    sent: Iterable[Heard], *, after_s: float = float("-inf"), before_s: float = float("inf")
) -> float | None:
    """Time of the first audible sent frame in a window; None when there is none."""
    return min((f.time_s for f in sent if after_s <= f.time_s < before_s and audible(f)), default=None)


def first_sample(received: Iterable[Heard], *, after_s: float, before_s: float = float("inf")) -> float | None:
    """Arrival of the first audible received frame after a time; None when there is none."""
    return min((f.time_s for f in received if after_s < f.time_s < before_s and audible(f)), default=None)


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange as the caller heard it."""

    end_of_speech_s: float
    first_sample_s: float | None
    """None: missed."""
    talked_over: bool
    """The bot was audible while the caller still spoke, so that this turn has no voice-to-voice time."""

    @property
    def missed(self) -> bool:
        """No bot audio within 5 s of the end of speech."""
        return self.first_sample_s is None

    @property
    def voice_to_voice_ms(self) -> float | None:
        """End of speech to first sample; None when missed or talked over."""
        if self.first_sample_s is None or self.talked_over:
            return None
        return (self.first_sample_s - self.end_of_speech_s) * 1000


def turn(
    sent: Sequence[Heard], received: Sequence[Heard], *, after_s: float, before_s: float = float("inf")
) -> Turn | None:
    """The turn in a window that holds one utterance of the caller and its reply; None when the caller said nothing."""
    start = start_of_speech(sent, after_s=after_s, before_s=before_s)
    end = end_of_speech(sent, after_s=after_s, before_s=before_s)
    if start is None or end is None:
        return None
    over = first_sample(received, after_s=start, before_s=end) is not None
    limit = min(before_s, end + MISSED_TURN_S)
    return Turn(end, first_sample(received, after_s=end, before_s=limit), over)


@dataclass(frozen=True, slots=True)
class Interruption:
    """A barge-in as the caller heard it."""

    onset_s: float
    last_audible_s: float | None
    """Last audible frame of the interrupted reply; None when nothing was playing at the onset."""
    silenced: bool
    """False: the reply went on for as long as the window."""

    @property
    def time_to_silence_ms(self) -> float | None:
        """Onset to last audible frame; None when there was nothing to silence or it was not silenced."""
        if self.last_audible_s is None or not self.silenced:
            return None
        return (self.last_audible_s - self.onset_s) * 1000


def interruption(
    sent: Sequence[Heard], received: Sequence[Heard], *, after_s: float, before_s: float = float("inf")
) -> Interruption | None:
    """The barge-in of the first speech sent in the window; None when the caller said nothing.

    What is audible until the caller's speech has ended belongs to the interrupted reply, as does what follows it
    without 600 ms of quiet. So a reply that comes back while the caller speaks is not silenced, and the answer to the
    interruption is not counted.
    """
    onset = start_of_speech(sent, after_s=after_s, before_s=before_s)
    end = end_of_speech(sent, after_s=after_s, before_s=before_s)
    if onset is None or end is None:
        return None
    times = sorted(f.time_s for f in received if onset - _REPLY_APART_S < f.time_s < before_s and audible(f))
    if not times or times[0] > end:
        return Interruption(onset, None, silenced=True)
    last = times[0]
    for time_s in times[1:]:
        if time_s > end and time_s - last > _REPLY_APART_S:
            break
        last = time_s
    if last < onset:
        # Audible shortly before, quiet by itself at the onset: at most a pause of the reply, silenced at once.
        return Interruption(onset, onset, silenced=True)
    window_end = min(before_s, max((f.time_s for f in received), default=last))
    return Interruption(onset, last, silenced=window_end - last > _REPLY_APART_S / 2)


@dataclass(frozen=True, slots=True)
class Sound:
    """Received audio on the wall clock, as a listener with a 40 ms buffer hears it: 24 kHz mono from `start_s`."""

    start_s: float
    pcm: Pcm

    def time_of(self, sample: int) -> float:
        """Clock time of a sample."""
        return self.start_s + sample / VOICE_HZ

    def sample_at(self, time_s: float) -> int:
        """Sample at a clock time, within the audio."""
        return min(len(self.pcm), max(0, round((time_s - self.start_s) * VOICE_HZ)))


def as_heard(
    frames: Sequence[ReceivedFrame], *, after_s: float = float("-inf"), before_s: float = float("inf")
) -> Sound:
    """Place received frames on the wall clock; a packet over 40 ms late becomes silence before it.

    The delay that such a stall adds stays until 200 ms of quiet let a receiver catch up.
    """
    chosen = [frame for frame in frames if after_s <= frame.time_s < before_s]
    if not chosen:
        return Sound(0.0, np.zeros(0, dtype=np.int16))
    start_s = chosen[0].time_s
    parts: list[Pcm] = []
    length = 0
    base_s = start_s - chosen[0].sample / VOICE_HZ
    quiet_s = 0.0
    for frame in chosen:
        due_s = base_s + frame.sample / VOICE_HZ
        # FEC, PLC and lost frames carry the time of the packet that showed the loss: they are late by nature.
        if frame.source == "packet":
            early_s = due_s - frame.time_s
            if -early_s * 1000 > JITTER_ABSORBED_MS or (quiet_s >= 0.2 and early_s > 0):
                base_s -= early_s
        place = max(length, round((base_s + frame.sample / VOICE_HZ - start_s) * VOICE_HZ))
        if place > length:
            parts.append(np.zeros(place - length, dtype=np.int16))
        parts.append(frame.pcm)
        length = place + len(frame.pcm)
        quiet_s = 0.0 if audible(frame) else quiet_s + _FRAME_S
    return Sound(start_s, np.concatenate(parts))


@dataclass(frozen=True, slots=True)
class Hole:
    """Over 60 ms missing inside a segment."""

    segment: int
    """Index of the segment in the list given."""
    at_ms: float
    """Place in the segment's audio."""
    length_ms: float
    kind: Literal["missing", "delayed"]
    """missing: audio of the segment was never heard. delayed: it was, after a silence that tts did not make."""


@dataclass(frozen=True, slots=True)
class SegmentsHeard:
    """How the audio that tts made came through."""

    holes: list[Hole]
    unheard: list[int]
    """Segments never heard: right for those of dropped attempts, a fault otherwise. The caller knows which."""
    cut: dict[int, float]
    """Segments that end early, with the audible milliseconds not heard at their end: right when interrupted."""
    alignments: list[Alignment | None]


def holes(segments: Sequence[Pcm], sound: Sound) -> SegmentsHeard:
    """Compare what was heard with what tts made (24 kHz mono, in the order of playing).

    Found by waveform: every loud 60 ms of a segment has to appear in the received audio, and the distance between two
    places may not grow by more than 60 ms. Audio below −45 dBFS is not looked for: pauses of the voice are no holes,
    but a pause that was heard over 60 ms longer than it was made is one. Resolution is 20 ms. Opus at 24 kb/s and
    above keeps the waveform well enough; other codecs or resampling by other clocks need not.
    """
    found: list[Hole] = []
    unheard: list[int] = []
    cut: dict[int, float] = {}
    alignments: list[Alignment | None] = []
    position = 0
    for index, segment in enumerate(segments):
        alignment = align(segment, sound.pcm, VOICE_HZ, from_sample=position, audible_dbfs=AUDIBLE_DBFS)
        alignments.append(alignment)
        if alignment is None:
            unheard.append(index)
            continue
        position = alignment.end_sample
        found.extend(Hole(index, at_ms, ms, "missing") for at_ms, ms in alignment.missing_ms if ms > HOLE_MS)
        found.extend(Hole(index, at_ms, ms, "delayed") for at_ms, ms in alignment.delays_ms if ms > HOLE_MS)
        if alignment.cut_ms > HOLE_MS:
            cut[index] = alignment.cut_ms
    return SegmentsHeard(found, unheard, cut, alignments)


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in a reply, judged without the audio that tts made."""

    at_s: float
    length_ms: float
    kind: Literal["stall", "lost", "silence"]
    """stall: packets came late. lost: packets did not come and could not be concealed. silence: packets of silence."""
    abrupt: bool
    """Speech fell to nothing within one frame, or started so: a voice does not."""

    @property
    def looks_like_hole(self) -> bool:
        """Stalls and losses are breaks for sure; silence only where it is abrupt on both sides."""
        return self.kind != "silence" or self.abrupt


def gaps(
    frames: Sequence[ReceivedFrame], *, after_s: float = float("-inf"), before_s: float = float("inf")
) -> list[Gap]:
    """Breaks of over 60 ms between audible frames of a reply: the fallback where `holes` has no reference.

    Honest about what it cannot know: silence in the packets may be the voice's own pause. It is only called abrupt,
    and so suspect, if the frames on both sides are loud (above −35 dBFS) and the silence is complete (below
    −70 dBFS); a break that fades, or falls into a pause, goes unseen. Silence of over 600 ms ends a reply
    and is no gap.
    """
    found: list[Gap] = []
    last: ReceivedFrame | None = None
    between: list[ReceivedFrame] = []
    for frame in frames:
        if not after_s <= frame.time_s < before_s:
            continue
        if not audible(frame):
            between.append(frame)
            continue
        if last is not None:
            gap = _gap(last, between, frame)
            if gap is not None:
                found.append(gap)
        last, between = frame, []
    return found


def _gap(last: ReceivedFrame, between: Sequence[ReceivedFrame], frame: ReceivedFrame) -> Gap | None:
    made_s = (frame.sample - last.sample) / VOICE_HZ - _FRAME_S
    lost_ms = sum(FRAME_MS for f in between if f.source in ("lost", "plc"))
    abrupt = bool(between) and last.dbfs > _ABRUPT_DBFS and frame.dbfs > _ABRUPT_DBFS
    abrupt = abrupt and all(f.dbfs < _NOTHING_DBFS for f in between)
    if made_s > _REPLY_APART_S:
        return None
    # A loss shows at the packet after it, so its own frames are late by its length without any stall.
    late_ms = (frame.time_s - last.time_s) * 1000 - (made_s + _FRAME_S) * 1000
    if lost_ms > HOLE_MS:
        return Gap(last.time_s, float(lost_ms), "lost", abrupt)
    if late_ms > HOLE_MS and last.source == "packet":
        return Gap(last.time_s, late_ms, "stall", abrupt)
    if made_s * 1000 > HOLE_MS and between:
        return Gap(last.time_s, made_s * 1000, "silence", abrupt)
    return None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Percentile with linear interpolation; None of nothing."""
    return float(np.percentile(np.asarray(values, dtype=np.float64), percent)) if values else None


def p50(values: Sequence[float]) -> float | None:
    """Median."""
    return percentile(values, 50)


def p95(values: Sequence[float]) -> float | None:
    """95th percentile."""
    return percentile(values, 95)
