"""What the built-in recognizer is asked for one session, and what is made of its answers. Pure: no clock, no I/O.

The model takes whole pieces of audio, so somebody has to say which. Only speech that vad found is looked at (with
200 ms in front, for the soft sounds that vad misses). From there:

- an interim about every 500 ms while somebody speaks, skipped when the last took over a third of that;
- an interim at each dip of 60 ms as well: when it turns out to be the pause, the request to finalize finds its answer
  ready or under way, as nothing was said since. Meanwhile the interim is told again, as it holds all that was said
  through a later sample: whoever prepares an answer has to know that no word is missing;
- a final when it is asked for, and at the quietest place of the last 4 s when 8 s are open: the model garbles longer
  pieces.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from natter_stt.local.loudness import NOTHING, Stretch, loud_between, quietest_sample
from natter_stt.local.ring import BLOCK_SAMPLES, AudioRing
from natter_stt.local.words import is_mistrusted, spread
from natter_stt.provider import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Transcript, Word

_MS: Final = SAMPLE_RATE_HZ // 1_000
LEAD_SAMPLES: Final = 200 * _MS  # before vad's onset
TAIL_SAMPLES: Final = 100 * _MS  # behind the end that was asked for: the last sound fades longer than vad hears it
DIP_MS: Final = 60
# Who waits longer than this for an answer, or for the last dip's, has longer dips looked at only.
BUSY_MS: Final = 170
BUSY_DIP_BLOCKS: Final = 5
SETTLED_SAMPLES: Final = 40 * _MS  # an interim that ends closer behind the last sound may have cut it off
KEEP_UP_SAMPLES: Final = 40 * _MS  # so often an interim is told again while it is quiet
KEEP_UP_FOR_SAMPLES: Final = 400 * _MS  # in noise vad hears the end up to 210 ms later, and then 200 ms are a pause
SPEAKING_BLOCKS: Final = 3  # so much quiet is no reason yet to hold an interim back
OPEN_AT_MOST_SAMPLES: Final = 8_000 * _MS
BORDER_FROM_SAMPLES: Final = 4_000 * _MS
APART_SAMPLES: Final = 1_000 * _MS  # speech this long after the last sound is not joined to it
LANGUAGE: Final = "en"


class JobKind(enum.IntEnum):
    """What a piece of audio is transcribed for, the most urgent first."""

    FINAL = 0
    DIP = 1
    INTERIM = 2


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Have the model read a piece of audio; the answer goes to `Segmenter.result`."""

    job: int
    kind: JobKind
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Promote:
    """A job asked for as an interim has become a final: it goes first."""

    job: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for a job any more; an answer to it is ignored."""

    job: int


Action = Transcribe | Promote | Cancel | Transcript


@dataclass(slots=True)
class _Attempt:
    """The newest interim of the open stretch, asked for or answered."""

    job: int
    kind: JobKind
    to_sample: int
    stretch: Stretch
    text: str | None = None
    took_ms: float = 0.0
    told_through: int = 0


@dataclass(slots=True)
class _Final:
    """A final that waits for its text, or for those before it."""

    through_sample: int
    finalize_id: int
    stretch: Stretch
    job: int = 0
    text: str | None = None
    took_ms: float = 0.0


def _ignore(_what: str) -> None:
    """Count nothing."""


Place = Callable[[str, Stretch], tuple[Word, ...]]
"""Finds where in a stretch the words of a text lie."""


class Segmenter:
    """One session's machine. Every method returns what is to be done now, in order."""

    def __init__(
        self,
        from_sample: int = 0,
        interim_interval_ms: int = 500,
        count: Callable[[str], None] = _ignore,
        place: Place = spread,
        language: str = LANGUAGE,
        dip_ms: int = DIP_MS,
    ) -> None:
        """Make a machine.

        Args:
            from_sample: what lies before is not transcribed.
            interim_interval_ms: 0 for no interims (dips are transcribed all the same, for the finals' sake).
            count: told of each `interim`, `dip`, `final`, `reused`, `skipped`, `mistrusted`.
            place: finds the words' places; by default they are spread over the loud parts.
            language: of the transcripts, as a two-letter code.
            dip_ms: quiet that is transcribed up to, by level alone; at least 40.
        """
        self._dip_blocks = -(-dip_ms * _MS // BLOCK_SAMPLES)
        self._place = place
        self._language = language
        self._ring = AudioRing(from_sample)
        self._interval_ms = interim_interval_ms
        self._count = count
        self._border = from_sample  # everything before it was given to finals
        self._start: int | None = None  # where the open stretch begins
        self._speaking = False
        self._unaware = True  # vad has said nothing yet
        self._asked_at = from_sample  # how far the microphone was when the last interim was due
        self._attempt: _Attempt | None = None
        self._took_ms = 0.0
        self._revision = 0
        self._waiting: deque[tuple[int, int]] = deque()  # finalize id, sample that has not come yet
        self._finals: deque[_Final] = deque()
        self._jobs = 0

    @property
    def next_sample(self) -> int:
        """The sample that is expected next."""
        return self._ring.next_sample

    @property
    def waiting(self) -> bool:
        """A request to finalize waits for its audio."""
        return bool(self._waiting)

    def feed(self, first_sample: int, pcm: bytes) -> list[Action]:
        """Take the microphone's next samples."""
        if len(pcm) % BYTES_PER_SAMPLE:
            raise ValueError(f"{len(pcm)} bytes are no whole number of samples")
        actions: list[Action] = []
        self._ring.append(first_sample, pcm)
        while self._waiting and self._waiting[0][1] <= self._ring.next_sample:
            finalize_id, through = self._waiting.popleft()
            self._finish(through, finalize_id, actions)
        self._listen(actions)
        return actions

    def speech(self, from_sample: int, *, speaking: bool) -> list[Action]:
        """Take what vad found: somebody speaks since `from_sample`, or not any more."""
        actions: list[Action] = []
        if self._unaware and not speaking:
            # A takeover in the pause: of this speech what lies behind the border is in no final yet.
            self._start = max(self._border, from_sample - LEAD_SAMPLES)
        self._unaware = False
        resumed, self._speaking = speaking and not self._speaking, speaking
        if resumed:
            begin = max(self._border, from_sample - LEAD_SAMPLES, self._ring.oldest_sample)
            if self._start is not None and self._last_sound(self._start) + APART_SAMPLES < begin:
                self._close(begin, 0, actions, goes_on=False)
            if self._start is None:
                self._start = begin
            self._asked_at = max(self._asked_at, from_sample, self._start)
            self._listen(actions)  # the word of vad comes later than the audio
        elif not speaking:
            attempt = self._attempt
            if attempt is not None and attempt.text is None and not self._covers(attempt):
                self._drop_attempt(actions)
        return actions

    def finalize(self, finalize_id: int, through_sample: int) -> list[Action]:
        """Close everything through a sample, once it has come."""
        actions: list[Action] = []
        if self._unaware:
            self._start, self._unaware = self._border, False
        if self._waiting or through_sample > self._ring.next_sample:
            self._waiting.append((finalize_id, through_sample))
        else:
            self._finish(through_sample, finalize_id, actions)
        return actions

    def overdue(self) -> list[Action]:
        """The audio that finalize requests wait for does not come: close what is there."""
        actions: list[Action] = []
        while self._waiting:
            finalize_id, through = self._waiting.popleft()
            self._finish(through, finalize_id, actions)
        return actions

    def result(self, job: int, text: str, took_ms: float) -> list[Action]:
        """Take the model's text for a job, and the time from asking to having it."""
        actions: list[Action] = []
        attempt = self._attempt
        if attempt is not None and attempt.job == job:
            attempt.text, attempt.took_ms = text, took_ms
            self._took_ms = took_ms
            through = self._ring.next_sample if self._covers(attempt) else attempt.to_sample
            self._emit_interim(attempt, through, actions)
        for final in self._finals:
            if final.job == job and final.text is None:
                final.text, final.took_ms = text, took_ms
        self._emit_finals(actions)
        return actions

    def _listen(self, actions: list[Action]) -> None:
        if self._speaking:
            self._force_borders(self._ring.next_sample, actions)
            self._maybe_interim(actions)

    def _last_sound(self, start: int) -> int:
        return max(start, loud_between(self._ring, start, self._ring.next_sample).end_sample)

    def _covers(self, attempt: _Attempt) -> bool:
        """Nothing was said since the attempt's audio ended."""
        return self._start is not None and self._last_sound(self._start) + SETTLED_SAMPLES <= attempt.to_sample

    def _force_borders(self, until: int, actions: list[Action]) -> None:
        while self._start is not None and until - self._start >= OPEN_AT_MOST_SAMPLES:
            end = self._start + OPEN_AT_MOST_SAMPLES
            self._close(quietest_sample(self._ring, self._start + BORDER_FROM_SAMPLES, end), 0, actions, goes_on=True)

    def _maybe_interim(self, actions: list[Action]) -> None:
        if self._start is None:
            return
        now = self._ring.next_sample
        stretch = loud_between(self._ring, self._start, now)
        if not stretch.loud_blocks:
            return
        quiet, attempt = stretch.quiet_at_end, self._attempt
        if quiet >= (max(self._dip_blocks, BUSY_DIP_BLOCKS) if self._busy else self._dip_blocks):
            if attempt is not None and attempt.to_sample >= stretch.end_sample + SETTLED_SAMPLES:
                due = now - attempt.told_through >= KEEP_UP_SAMPLES
                if due and attempt.text and now - stretch.end_sample <= KEEP_UP_FOR_SAMPLES:
                    self._emit_interim(attempt, now, actions)
                return
            self._ask(JobKind.DIP, self._start, stretch, actions)
        elif quiet < SPEAKING_BLOCKS and self._interval_ms and now - self._asked_at >= self._interval_ms * _MS:
            if (attempt is not None and attempt.text is None) or self._took_ms > self._interval_ms / 3:
                self._asked_at = now
                self._took_ms = 0.0  # the one after has its chance
                self._count("skipped")
            else:
                self._ask(JobKind.INTERIM, self._start, stretch, actions)

    @property
    def _busy(self) -> bool:
        attempt = self._attempt
        open_dip = attempt is not None and attempt.kind is JobKind.DIP and attempt.text is None
        return open_dip or self._took_ms > BUSY_MS

    def _ask(self, kind: JobKind, start: int, stretch: Stretch, actions: list[Action]) -> None:
        self._drop_attempt(actions)
        now = self._asked_at = self._ring.next_sample
        self._jobs += 1
        self._attempt = _Attempt(self._jobs, kind, now, stretch)
        self._count(kind.name.lower())
        actions.append(Transcribe(self._jobs, kind, self._ring.read(start, now)))

    def _drop_attempt(self, actions: list[Action]) -> None:
        if self._attempt is not None and self._attempt.text is None:
            actions.append(Cancel(self._attempt.job))
        self._attempt = None

    def _finish(self, through: int, finalize_id: int, actions: list[Action]) -> None:
        """Answer a request to finalize, whose audio is there (or does not come)."""
        self._force_borders(min(through, self._ring.next_sample), actions)
        self._close(through, finalize_id, actions, goes_on=self._speaking)

    def _close(self, through: int, finalize_id: int, actions: list[Action], *, goes_on: bool) -> None:
        """Everything before `through` becomes a final. `goes_on`: what comes behind it is speech as well."""
        start = self._start
        if start is None or through <= start:
            self._finals.append(_Final(through, finalize_id, NOTHING, text=""))
        else:
            self._finals.append(self._final(start, through, finalize_id, actions, goes_on=goes_on))
            self._attempt = None
            self._revision = 0
            self._start = self._border if goes_on else None
            self._asked_at = max(self._asked_at, self._border)
        self._emit_finals(actions)

    def _final(self, start: int, through: int, finalize_id: int, actions: list[Action], *, goes_on: bool) -> _Final:
        """Give the open stretch to a final, and move the border behind what it takes."""
        attempt, now = self._attempt, self._ring.next_sample
        tail = min(now, through + TAIL_SAMPLES)
        heard = loud_between(self._ring, start, tail if attempt is None else max(tail, attempt.to_sample))
        if attempt is not None and heard.end_sample + SETTLED_SAMPLES <= attempt.to_sample and heard.end_sample <= tail:
            self._count("reused")
            if attempt.text is None:
                actions.append(Promote(attempt.job))
            self._border = max(self._border, min(max(attempt.to_sample, through), tail))
            return _Final(through, finalize_id, heard, attempt.job, attempt.text, attempt.took_ms)
        self._drop_attempt(actions)
        end = min(now, through) if goes_on else tail
        stretch = loud_between(self._ring, start, end)
        self._border = max(self._border, end)
        if not stretch.loud_blocks:
            return _Final(through, finalize_id, stretch, text="")
        self._jobs += 1
        self._count("final")
        actions.append(Transcribe(self._jobs, JobKind.FINAL, self._ring.read(start, end)))
        return _Final(through, finalize_id, stretch, self._jobs)

    def _emit_interim(self, attempt: _Attempt, through: int, actions: list[Action]) -> None:
        attempt.told_through = through
        # Once a pause began nobody wants an interim any more: the final is next.
        if self._speaking and self._interval_ms and attempt.text and not self._mistrusts(attempt.text, attempt.stretch):
            self._revision += 1
            words = self._place(attempt.text, attempt.stretch)
            actions.append(
                Transcript(
                    words,
                    final=False,
                    through_sample=through,
                    revision=self._revision,
                    took_ms=attempt.took_ms,
                    language=self._language,
                )
            )

    def _emit_finals(self, actions: list[Action]) -> None:
        while self._finals and (text := self._finals[0].text) is not None:
            final = self._finals.popleft()
            words = () if self._mistrusts(text, final.stretch) else self._place(text, final.stretch)
            if words or final.finalize_id:  # a border of its own that holds nothing is nobody's business
                actions.append(
                    Transcript(
                        words,
                        final=True,
                        through_sample=final.through_sample,
                        finalize_id=final.finalize_id,
                        took_ms=final.took_ms,
                        language=self._language,
                    )
                )

    def _mistrusts(self, text: str, stretch: Stretch) -> bool:
        mistrusted = is_mistrusted(text, stretch.loud_blocks * BLOCK_SAMPLES // _MS)
        if mistrusted and text.strip():
            self._count("mistrusted")
        return mistrusted
