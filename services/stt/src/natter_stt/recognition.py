"""What is common to recognizers that listen to a stream at a vendor's: what to send when, what was heard, what is due.

Pure: no I/O and no clock. Every method is told `now`, seconds of any clock that only goes forward. A subclass knows one
vendor's rules: what it is sent, and when a request to finalize is over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Final

from natter_common.providers import Trouble
from natter_stt.ask import Ask
from natter_stt.exchange import (
    Alive,
    Audio,
    Heard,
    Message,
    Received,
    Signal,
    Silence,
    SpeechNoticed,
    Step,
    UtteranceOver,
    VendorWord,
)
from natter_stt.provider import SAMPLE_RATE_HZ, StreamSettings, SttError, Transcript, TurnSign, Word
from natter_stt.recent import RecentAudio
from natter_stt.timeline import Timeline

MS: Final = SAMPLE_RATE_HZ // 1_000
LEAD_SAMPLES: Final = 500 * MS  # before vad's onset: soft first sounds, and something to adapt to
MOST_IN_A_MESSAGE_SAMPLES: Final = SAMPLE_RATE_HZ // 2
# While somebody speaks and audio flows, every vendor says something several times a second.
STALLED_AFTER_S: Final = 1.5
FLOWING_S: Final = 0.5  # audio that came so recently is still coming
# A request to finalize whose audio does not come is answered with what is there.
AUDIO_PATIENCE_S: Final = 0.5
# A final comes at least every 10 s: what the vendor has closed is given out when it is this long.
LONG_SAMPLES: Final = 8_000 * MS
# Speech that ended, and nobody asked for its final: a request would have come long ago.
UNASKED_S: Final = 3.0


class Recognition(ABC):
    """One session's state. What it has to say is collected by `take`; `tick` has to be called often, see `tick_s`."""

    message_samples = 0
    """Less audio waits for more, unless somebody waits for a final: each message costs both sides."""

    def __init__(self, vendor: str, settings: StreamSettings) -> None:
        self.vendor = vendor
        self.settings = settings
        self.recent = RecentAudio(settings.from_sample)
        self.lost_samples = 0
        """What was dropped before it could be sent."""
        self.answers = 0
        """Finals so far: progress that lasts."""
        self._timeline = Timeline()
        self._cursor = settings.from_sample  # next to be sent
        self._sent_to = settings.from_sample  # what was sent at least once
        self._border = settings.from_sample  # words before it are in finals
        self._closed = settings.from_sample  # through which requests were answered
        self._stretch: int | None = None  # where the speech begins that no request has closed yet
        self._parts: list[Word] = []  # closed by the vendor, not given out yet
        self._parts_end = settings.from_sample
        self._open: tuple[Word, ...] = ()  # the newest interim's
        self._covered = settings.from_sample  # what the vendor has spoken about
        self._asked: deque[Ask] = deque()
        self._out: list[Transcript] = []
        self._told: tuple[Word, ...] = ()
        self._told_through = 0
        self._revision = 0
        self._language = settings.language
        self._speaking = False
        self._spoke_at = 0.0
        self._connected = False
        self._opened_at = 0.0
        self._heard_at = 0.0
        self._sent_at = 0.0
        self._fed_at = 0.0

    # What the session says.

    def feed(self, first_sample: int, pcm: bytes, now: float) -> None:
        """The next samples of the microphone."""
        self.recent.append(first_sample, pcm)
        self._fed_at = now

    def speech(self, from_sample: int, *, speaking: bool, now: float) -> None:
        """What vad found."""
        if speaking or self._speaking:
            self._spoke_at = now
        self._speaking = speaking
        # Told only of its end: it began before this stream did, and nobody has closed it.
        if self._stretch is None and (speaking or from_sample > self._closed):
            self._begin_stretch(from_sample - LEAD_SAMPLES)
        elif not speaking and self._stretch == self._closed and not self.due:
            self._stretch = None  # its end was answered before it was told

    def finalize(self, finalize_id: int, through_sample: int, now: float) -> None:
        """Close everything through a sample."""
        ask = Ask(finalize_id, through_sample, through_sample, now)
        self._asked.append(ask)
        if self._stretch is None and through_sample > self._closed:
            self._begin_stretch(self._closed)
        self._note_ready(now)
        self._settle(now)

    def _begin_stretch(self, from_sample: int) -> None:
        self._stretch = max(from_sample, self._border, self._closed, self.recent.oldest_sample)

    # What the connection says.

    @property
    def connected(self) -> bool:
        """A connection is open."""
        return self._connected

    def opened(self, now: float) -> None:
        """A new connection is open: what no final has yet is sent (again)."""
        self._connected = True
        self._opened_at = self._heard_at = self._sent_at = now
        self._timeline = Timeline()
        self._cursor = self._resume_at()
        for ask in self._asked:
            ask.ready_at, ask.signalled = None, False
        self._open = ()

    def lost(self) -> None:
        """The connection is gone."""
        self._connected = False

    def _resume_at(self) -> int:
        """From where on audio is sent over a new connection: behind the last word that is closed."""
        said = max(self._closed, self._parts[-1].to_sample if self._parts else self._border)
        if self._stretch is not None:
            return max(said, self._stretch)
        if self.due:
            return said
        return max(said, self._cursor - LEAD_SAMPLES)  # all was quiet

    def next_step(self, now: float) -> Step | None:
        """What is to be sent next; None when there is nothing. Followed by `sent`."""
        if not self._connected:
            return None
        signal = self._signal(now)
        if signal is not None:
            return signal
        if not self._wants_audio():
            return None
        if self.recent.next_sample - self._cursor < self.message_samples and not self._asked:
            return None
        found = self.recent.read(self._cursor, MOST_IN_A_MESSAGE_SAMPLES)
        return None if found is None else Audio(*found)

    def sent(self, step: Step, now: float) -> None:
        """It was sent."""
        self._sent_at = now
        match step:
            case Audio(first_sample):
                self._timeline.sent(first_sample, step.samples)
                missed = min(self.recent.oldest_sample, first_sample) - max(self._cursor, self._sent_to)
                self.lost_samples += max(0, missed)
                self._cursor = first_sample + step.samples
                self._sent_to = max(self._sent_to, self._cursor)
                self._note_ready(now)
            case Silence(samples):
                self._timeline.silence(samples, self._cursor)
            case Signal():
                self._signalled(step, now)

    def message(self, message: Message, now: float) -> None:
        """What the vendor says."""
        self._heard_at = now
        match message:
            case Heard():
                self._heard(message, now)
            case SpeechNoticed(speaking):
                self._noticed(speaking)
            case Received(through_s):
                self._received(self._timeline.end(through_s))
            case UtteranceOver():
                if not self._asked and not self._speaking:
                    self._give_out(0, self._parts_end, now)
            case Alive():
                pass
        self._settle(now)

    # What time does.

    @property
    def due(self) -> bool:
        """Somebody speaks, or waits for a final."""
        return self._speaking or bool(self._asked) or bool(self._parts) or bool(self._open)

    @property
    def quiet(self) -> bool:
        """A moment to replace the connection at."""
        return not self.due and self._stretch is None

    @property
    def tick_s(self) -> float:
        """How soon `tick` wants to be called again."""
        return 0.05 if self.due else 0.5

    def tick(self, now: float) -> None:
        """Time has passed.

        Raises:
            SttError: the vendor is stuck.
        """
        for ask in self._asked:
            if ask.ready_at is None and now - ask.asked_at >= AUDIO_PATIENCE_S:
                ask.until = min(ask.until, self.recent.next_sample)
        self._note_ready(now)
        self._settle(now)
        self._close_unasked(now)
        if any(self._is_overdue(ask, now) for ask in self._asked):
            raise SttError(Trouble.STALLED, f"{self.vendor} does not close what was said.")
        if self._connected and self._stalled(now):
            raise SttError(Trouble.STALLED, f"{self.vendor} does not go on with what is being said.")

    def take(self) -> list[Transcript]:
        """What is to be said, in order."""
        out, self._out = self._out, []
        return out

    # One vendor's rules.

    @abstractmethod
    def _over(self, ask: Ask, now: float) -> bool:
        """Whether a request whose audio is with the vendor is over."""

    def _is_overdue(self, ask: Ask, now: float) -> bool:
        """Whether the vendor owes the answer for too long."""
        del ask, now
        return False

    def _closes(self, ask: Ask) -> int:
        """Through which sample the answer to a request has everything: less than `ask.until` if words were left out."""
        return ask.until

    def _wants_audio(self) -> bool:
        """Whether audio is sent now."""
        return True

    def _signal(self, now: float) -> Step | None:
        """What else is to be sent now, before audio."""
        del now

    def _signalled(self, signal: Signal, now: float) -> None:  # noqa: B027 - few vendors need it
        """A signal was sent."""

    def _noticed(self, speaking: bool) -> None:  # noqa: B027 - few vendors need it
        """The vendor noticed that somebody began or ceased to speak."""

    def _received(self, through: int) -> None:  # noqa: B027 - few vendors need it
        """The vendor has everything before this sample."""

    def _stalled(self, now: float) -> bool:
        """Whether the vendor makes no progress though somebody speaks."""
        if not self._speaking or now - self._fed_at > FLOWING_S:
            return False
        return now - max(self._heard_at, self._spoke_at, self._opened_at) > STALLED_AFTER_S

    # What was heard.

    def _heard(self, heard: Heard, now: float) -> None:
        self._language = heard.language or self._language
        words = self._new(self._place(heard.words))
        end = self._timeline.end(heard.to_s)
        self._covered = max(self._covered, end)
        if heard.final:
            self._parts += words
            self._parts_end = max(self._parts_end, end)
            self._open = ()
            self._settle(now)
            if (
                self._parts
                and not self._asked
                and self._parts[-1].to_sample - self._parts[0].from_sample > LONG_SAMPLES
            ):
                self._give_out(0, self._parts_end, now)
        else:
            self._open = words
        self._interim()

    def _place(self, words: Iterable[VendorWord]) -> tuple[Word, ...]:
        """The words by samples of the session."""
        line = self._timeline
        return tuple(
            Word(
                word.text,
                begin := line.begin(word.from_s),
                max(begin + 1, line.end(word.to_s)),
                word.confidence,
                word.estimated,
            )
            for word in words
        )

    def _new(self, words: Iterable[Word]) -> tuple[Word, ...]:
        """Those that lie behind what was closed."""
        border = max(self._border, self._parts[-1].to_sample if self._parts else self._border)
        return tuple(word for word in words if word.from_sample + word.to_sample >= 2 * border)

    def _interim(self, sign: TurnSign = TurnSign.NONE) -> None:
        words = (*self._parts, *self._open)
        through = max(self._covered, words[-1].to_sample if words else 0)
        # The same words, heard through a later sample, are news: nothing else was said up to there.
        news = words and (words != self._told or through > self._told_through)
        if sign is TurnSign.NONE and not (news and self.settings.interim_interval_ms):
            return
        self._told, self._told_through = words, through
        self._revision += 1
        self._out.append(
            Transcript(
                words,
                final=False,
                through_sample=through,
                revision=self._revision,
                took_ms=max(0, self.recent.next_sample - self._covered) / MS,
                language=self._language,
                sign=sign,
            )
        )

    def _give_out(
        self, finalize_id: int, through: int, now: float, since: float | None = None, sign: TurnSign = TurnSign.NONE
    ) -> None:
        """Make a final of what the vendor has closed; without words only if it answers or says something."""
        words = tuple(self._parts)
        self._parts = []
        self._told, self._revision = (), 0
        if words:
            self._border = max(self._border, words[-1].to_sample)
        if not words and not finalize_id and sign is TurnSign.NONE:
            return
        self.answers += 1
        through = max(through, words[-1].to_sample if words else 0)
        took_ms = 0.0 if since is None else (now - since) * 1_000
        self._out.append(Transcript(words, True, through, finalize_id, 0, took_ms, self._language, sign))

    # Requests.

    def _note_ready(self, now: float) -> None:
        for ask in self._asked:
            if ask.ready_at is None and self._connected and (self._cursor >= ask.until or ask.until <= self._closed):
                ask.ready_at = now

    def _settle(self, now: float) -> None:
        """Answer the requests that are over, in order."""
        while self._asked:
            ask = self._asked[0]
            if ask.until > self._closed and (ask.ready_at is None or not self._over(ask, now)):
                return
            self._answer(ask, now)

    def _answer(self, ask: Ask, now: float, sign: TurnSign = TurnSign.NONE) -> None:
        if self._asked and self._asked[0] is ask:
            self._asked.popleft()
        closed = self._closes(ask)
        left_out = closed < ask.until
        self._closed = max(self._closed, closed)
        through = closed if left_out else ask.through
        self._give_out(ask.id, through, now, ask.asked_at if ask.ready_at is None else ask.ready_at, sign)
        if self._asked:
            return
        # Speech that goes on has begun again here.
        self._stretch = self._closed if self._speaking or self._open or left_out else None

    def _accept_open(self) -> None:
        """The vendor owes the final of these words: they count as they are."""
        self._parts += self._open
        if self._parts:
            self._parts_end = max(self._parts_end, self._parts[-1].to_sample)
        self._open = ()

    def _close_unasked(self, now: float) -> None:
        if self._speaking or self._asked or now - max(self._spoke_at, self._opened_at) < UNASKED_S:
            return
        if self._parts or self._open:
            self._accept_open()
            self._give_out(0, self._parts_end, now)
        if self._stretch is not None and self._cursor >= self.recent.next_sample:
            self._closed = max(self._closed, self._stretch)
            self._stretch = None
