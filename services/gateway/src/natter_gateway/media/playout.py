"""The queue between the bot's voice as it arrives and the frame that goes out now.

Voice comes in segments (pieces of the reply, played in the order of their keys), in bursts; one 20 ms frame is popped
at a time. Nothing is mixed or encoded ahead, so every change of mind takes effect with the next frame: `hold` fades out
and stops without losing anything, `resume` goes on from any sample played lately, `cut` fades out and drops the rest.

States:
    idle      nothing is queued; frames are silence
    playing   a segment is on; where its voice is late, frames are silence and count as a hole
    fading    the last 40 ms before `held` (or, after `cut`, before what comes next)
    held      silence; voice that arrives is kept

Pure: no clock, no I/O. The owner pops a frame every 20 ms.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from natter_gateway.media.fade import FADE_FRAMES, fade_in, fade_out, is_audible
from natter_gateway.media.segment import FRAME_SAMPLES, RATE_HZ, Segment, SegmentKey

MAX_QUEUED_S = 120
REWIND_S = 5
"""So much of what was played can be played again by `resume`."""
FRAME_MS = 20
_MAX_REMEMBERED = 256  # segments whose `played` is kept when no `cut` comes


class PlayoutOverflowError(Exception):
    """More voice is waiting than the bound allows. It is never dropped to make room: the attempt has to fail."""


class PlayoutOrderError(ValueError):
    """Voice for a segment that was played to its end, or should have been played before the current one."""


class State(Enum):
    """What the next frame will be; see the module's docstring."""

    IDLE = "idle"
    PLAYING = "playing"
    FADING = "fading"
    HELD = "held"


class Span(NamedTuple):
    """Which samples of a segment a frame holds."""

    key: SegmentKey
    first_sample: int
    samples: int


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """The frame holds the segment's first samples (once a segment, also when it is rewound)."""

    key: SegmentKey


@dataclass(frozen=True, slots=True)
class SegmentFinished:
    """The frame holds the segment's last samples (once a segment)."""

    key: SegmentKey
    total_samples: int


@dataclass(frozen=True, slots=True)
class HoleClosed:
    """Voice goes on after silence within a segment, since it came too late."""

    key: SegmentKey
    at_sample: int
    duration_ms: int


PlayoutEvent = SegmentStarted | SegmentFinished | HoleClosed


class PoppedFrame(NamedTuple):
    """One 20 ms frame for the caller, and what it is."""

    pcm: bytes | None
    """960 bytes (480 samples, s16le mono 24 kHz), or None: silence."""
    spans: tuple[Span, ...] = ()
    """What it holds, in order: one segment's samples, or the end of one and the start of the next."""
    events: tuple[PlayoutEvent, ...] = ()
    in_segment: bool = False
    """A segment is on (also when this frame is a hole in it)."""

    @property
    def audible(self) -> bool:
        """Whether it is above −45 dBFS. Looked at only when asked, since few frames are."""
        return self.pcm is not None and is_audible(self.pcm)


SILENCE = PoppedFrame(None)


@dataclass(slots=True)
class PlayoutCounters:
    """Since the session began."""

    frames: int = 0
    """Frames with voice that were handed out."""
    holes: int = 0
    hole_ms: int = 0
    longest_hole_ms: int = 0
    repeated_samples: int = 0
    """Pushed again though already there (after a takeover), and ignored."""


class Playout:
    """The voice queue of one session. Sample counts are at 24 kHz mono; a segment's first sample is 0."""

    def __init__(self, max_queued_s: float = MAX_QUEUED_S, rewind_s: float = REWIND_S) -> None:
        self.counters = PlayoutCounters()
        self.on_begin: Callable[[], None] = lambda: None
        """Told when voice comes behind silence: the next frame could go out now."""
        self._max_queued = round(max_queued_s * RATE_HZ)
        self._rewind = round(rewind_s * RATE_HZ)
        self._segments: dict[SegmentKey, Segment] = {}  # the current one and those that wait
        self._order: list[SegmentKey] = []  # their keys, sorted: the first is the current one
        self._done: deque[Segment] = deque()  # played ones, while they may be rewound to
        self._queued = 0
        self._played: dict[SegmentKey, int] = {}
        self._voiced = False  # the last frame was voice
        self._tail: deque[bytes] = deque()  # the fade after a cut
        self._fade_frame: int | None = None  # while fading to `held`: the next frame of the fade
        self._held = False
        self._held_at: tuple[SegmentKey, int] | None = None
        self._ramp_up = False
        self._hole_frames = 0

    @property
    def state(self) -> State:
        """What the next frame will be."""
        if self._tail or self._fade_frame is not None:
            return State.FADING
        if self._held:
            return State.HELD
        return State.PLAYING if self._order else State.IDLE

    @property
    def queued_samples(self) -> int:
        """Voice that has arrived and not been handed out."""
        return self._queued

    @property
    def played(self) -> Mapping[SegmentKey, int]:
        """How far each segment was handed out since the last `cut` (the newest 256 segments)."""
        return self._played

    @property
    def held_at(self) -> tuple[SegmentKey, int] | None:
        """Segment and sample at which the fade of the current `hold` began; None if nothing was queued then."""
        return self._held_at

    def push(self, segment_key: SegmentKey, pcm: bytes | memoryview, first_sample: int) -> None:
        """Queue voice of a segment, beginning with its sample `first_sample`.

        What is there already is ignored, so voice may be sent again. Raises `PlayoutGapError` when samples before it
        are missing, `PlayoutOverflowError` when the queue is full (nothing of `pcm` is taken), `PlayoutOrderError` when
        the segment's turn is over, `ValueError` for voice beyond the segment's end.
        """
        segment = self._segments.get(segment_key)
        if segment is None:
            if first_sample * 2 + len(pcm) <= 2 * self._played.get(segment_key, -1):
                self.counters.repeated_samples += len(pcm) // 2
                return
            segment = self._new_segment(segment_key)
        new = segment.missing_of(pcm, first_sample)
        samples = len(new) // 2
        if self._queued + samples > self._max_queued:
            raise PlayoutOverflowError(f"over {self._max_queued // RATE_HZ} s of voice are waiting")
        self.counters.repeated_samples += len(pcm) // 2 - samples
        segment.pcm += new
        self._queued += samples
        self._adopt(segment)
        if samples and not self._voiced and self._begins(segment):
            self.on_begin()

    def end(self, segment_key: SegmentKey, total_samples: int) -> None:
        """Say how long a segment is; only then playout goes beyond it. May be repeated.

        Raises `ValueError` if more was pushed or another length was given, `PlayoutOrderError` as `push` does.
        """
        segment = self._segments.get(segment_key)
        if segment is None:
            if self._played.get(segment_key) == total_samples:
                return
            segment = self._new_segment(segment_key)
        segment.set_total(total_samples)
        self._adopt(segment)

    def pop(self) -> PoppedFrame:
        """The frame that goes out now."""
        if self._tail:
            self._voiced = False
            self.counters.frames += 1
            return PoppedFrame(self._tail.popleft())
        if self._held or not self._order:
            self._voiced = False
            return SILENCE
        frame = self._next_frame()
        if self._fade_frame is not None:
            if frame.pcm is not None:
                frame = frame._replace(pcm=fade_out(frame.pcm, self._fade_frame))
            self._fade_frame += 1
            if frame.pcm is None or self._fade_frame == FADE_FRAMES:
                self._fade_frame = None
                self._held = True
        elif self._ramp_up and frame.pcm is not None:
            self._ramp_up = False
            frame = frame._replace(pcm=fade_in(frame.pcm))
        return frame

    def hold(self) -> None:
        """Fade out over 40 ms from the next frame, then play nothing until `resume` or `cut`. Nothing is lost."""
        if self._held or self._fade_frame is not None:
            return
        if self._order:
            self._held_at = (self._order[0], self._segments[self._order[0]].next_sample)
        if self._voiced and self._order:
            self._fade_frame = 0
        else:
            self._held = True

    def resume(self, segment_key: SegmentKey | None = None, from_sample: int = 0) -> None:
        """Play on after `hold`: from the given sample, by default from where the fade began.

        What lies after `held_at` means `held_at`; what lies before the kept 5 s, the earliest kept. Does nothing unless
        held or fading to it.
        """
        if not self._held and self._fade_frame is None:
            return
        self._held = False
        self._fade_frame = None
        target, self._held_at = self._held_at, None
        if target is None:
            return
        if segment_key is not None:
            target = min(target, (segment_key, max(0, from_sample)))
        self._seek(*target)

    def cut(self) -> dict[SegmentKey, int]:
        """Drop all voice, after a fade of at most 40 ms if some is on, and end a hold.

        Returns what was handed out of each segment since the last cut, not counting the fade. What is pushed from now
        on is played after the fade.
        """
        played = dict(self._played)
        if self._voiced and not self._held and not self._tail:
            for step in range(self._fade_frame or 0, FADE_FRAMES):
                pcm = self._next_frame().pcm if self._order else None
                if pcm is None:
                    break
                self.counters.frames -= 1  # counted when it goes out
                self._tail.append(fade_out(pcm, step))
        self._segments.clear()
        self._order.clear()
        self._done.clear()
        self._played.clear()
        self._queued = 0
        self._fade_frame = None
        self._held = False
        self._held_at = None
        self._ramp_up = False
        self._hole_frames = 0
        return played

    # Queue

    def _begins(self, segment: Segment) -> bool:
        """Whether a whole frame of the current segment is there, and may be played."""
        free = not self._held and self._fade_frame is None and not self._tail
        return free and not segment.started and self._order[0] == segment.key and segment.available >= FRAME_SAMPLES

    def _new_segment(self, key: SegmentKey) -> Segment:
        """A segment that is not queued yet; `_adopt` queues it once its first call went well."""
        if key in self._played:
            raise PlayoutOrderError(f"segment {key} was played to its end")
        if self._played and key < next(reversed(self._played)):
            raise PlayoutOrderError(f"segment {key} comes before {next(reversed(self._played))}, which was begun")
        return Segment(key)

    def _adopt(self, segment: Segment) -> None:
        if segment.key not in self._segments:
            self._segments[segment.key] = segment
            insort(self._order, segment.key)

    def _next_frame(self) -> PoppedFrame:
        """Take 20 ms from the current segment and, where it ends, from the ones after it.

        Never a part of a frame that more voice might still fill: less than a frame waits for the rest.
        """
        need = FRAME_SAMPLES
        parts: list[bytes] = []
        spans: list[Span] = []
        events: list[PlayoutEvent] = []
        in_segment = False
        while need and self._order:
            segment = self._segments[self._order[0]]
            count = min(segment.available, need)
            complete = segment.complete
            if count < need and not complete:
                if segment.started and need == FRAME_SAMPLES:
                    self._hole_frames += 1
                in_segment |= segment.started
                break
            in_segment = True
            self._begin(segment, count, events)
            if count:
                spans.append(Span(segment.key, segment.next_sample, count))
                parts.append(segment.take(count))
                self._queued -= count
                need -= count
                self._played[segment.key] = segment.next_sample
            if not (complete and segment.available == 0):
                segment.forget_before(self._rewind)
                break
            self._finish(segment, events)
        self._voiced = bool(parts)
        if not parts:
            return PoppedFrame(None, (), tuple(events), in_segment)
        if need:
            parts.append(bytes(2 * need))
        self.counters.frames += 1
        return PoppedFrame(parts[0] if len(parts) == 1 else b"".join(parts), tuple(spans), tuple(events), in_segment)

    def _begin(self, segment: Segment, count: int, events: list[PlayoutEvent]) -> None:
        """Note that a segment starts, or goes on after a hole (which is none if nothing more of it came)."""
        if not segment.started:
            segment.started = True
            events.append(SegmentStarted(segment.key))
            self._played[segment.key] = 0
            if len(self._played) > _MAX_REMEMBERED:
                del self._played[next(iter(self._played))]
        if self._hole_frames and count:
            hole_ms = self._hole_frames * FRAME_MS
            self.counters.holes += 1
            self.counters.hole_ms += hole_ms
            self.counters.longest_hole_ms = max(self.counters.longest_hole_ms, hole_ms)
            events.append(HoleClosed(segment.key, segment.next_sample, hole_ms))
        self._hole_frames = 0

    def _finish(self, segment: Segment, events: list[PlayoutEvent]) -> None:
        del self._segments[segment.key]
        del self._order[0]
        if not segment.finish_told:
            segment.finish_told = True
            events.append(SegmentFinished(segment.key, segment.next_sample))
        segment.forget_before(self._rewind)
        self._done.append(segment)
        kept = sum(len(done.pcm) for done in self._done) // 2
        while kept - len(self._done[0].pcm) // 2 >= self._rewind:
            kept -= len(self._done.popleft().pcm) // 2

    def _seek(self, key: SegmentKey, sample: int) -> None:
        """Make `sample` of `key` (or the earliest kept after it) the next one, and queue what follows it again."""
        while self._done and self._done[-1].key >= key:
            self._adopt(self._done.pop())
        first = self._order[0]
        for other in self._order:
            segment = self._segments[other]
            if not segment.started:
                break
            segment.seek(sample if other == key else 0)
            self._played[other] = segment.next_sample
        self._queued = sum(segment.available for segment in self._segments.values())
        self._ramp_up = self._segments[first].next_sample > 0
        self._hole_frames = 0
