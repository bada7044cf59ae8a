"""One reply as the caller gets it: its segments, what of them was played, which words were heard. Pure.

Frames of 20 ms are handed out; a word counts as heard when its middle was handed out at least the output delay ago
(half the round trip and 80 ms of buffers on the caller's side).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from natter_gateway.media.playout import FRAME_MS, PoppedFrame, SegmentFinished, SegmentStarted
from natter_gateway.media.segment import RATE_HZ
from natter_gateway.turns.events import AttemptKey, Modality

CALLER_BUFFER_MS: Final = 80
GRANT_AHEAD_MS: Final = 5_000
"""Voice is made this far ahead of what is played."""
_CHARACTERS_PER_S: Final = 14.0


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a segment's shown text, and where it lies in the voice (24 kHz samples)."""

    text: str
    from_sample: int
    to_sample: int

    @property
    def middle_sample(self) -> int:
        return (self.from_sample + self.to_sample) // 2

    def later(self, samples: int) -> "SpokenWord":
        """The same word, so much later."""
        return SpokenWord(self.text, self.from_sample + samples, self.to_sample + samples)


@dataclass(frozen=True, slots=True)
class SegmentShown:
    """A segment begins to be heard; in a text reply: it is shown."""

    segment_id: int
    text: str
    spoken: bool


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """More of a segment was heard: `heard` is a prefix of its text, `words` are the new ones."""

    segment_id: int
    heard: str
    rest: str
    words: str


@dataclass(frozen=True, slots=True)
class SegmentHeard:
    """All of a segment was heard."""

    segment_id: int
    text: str


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """The first frame of the reply's voice is handed out."""


@dataclass(frozen=True, slots=True)
class ReplyHeard:
    """All of the reply was heard."""


@dataclass(frozen=True, slots=True)
class Unvoiced:
    """What another voice has to say of a segment: all of it, or the rest."""

    number: int
    text: str
    spoken: str


ReplyNews = VoiceBegan | SegmentShown | WordsHeard | SegmentHeard
ReplyNotice = ReplyNews | ReplyHeard


@dataclass(slots=True)
class _Segment:
    segment_id: int
    text: str
    spoken: str
    words: list[SpokenWord] = field(default_factory=list[SpokenWord])
    word_ends: list[int] = field(default_factory=list[int])
    """Where each word ends in `text`."""
    total_samples: int | None = None
    received_samples: int = 0
    base_samples: int = 0
    """Where in the segment the voice that is speaking now began: not 0 after one that broke off."""
    played_samples: int = 0
    words_heard: int = 0
    shown: bool = False
    heard: bool = False


@dataclass(frozen=True, slots=True)
class _Handed:
    """What a frame did, waiting for the output delay to pass."""

    at_ms: float
    segment: int
    sample: int
    finished: bool


class Reply:
    """The reply of one attempt. `first_segment_id` is the session-wide number of its first segment."""

    def __init__(self, key: AttemptKey, modality: Modality, first_segment_id: int) -> None:
        self.key: Final = key
        self.modality: Final = modality
        self._first_id = first_segment_id
        self._segments: dict[int, _Segment] = {}
        self._in_flight: deque[_Handed] = deque()
        self._delay_ms: float = CALLER_BUFFER_MS
        self._segment_count: int | None = None
        self._began = False
        self._complete = False
        self._frames_heard = 0

    @property
    def began(self) -> bool:
        """Whether voice of it was handed out."""
        return self._began

    @property
    def ended(self) -> bool:
        """Whether the model has said all of it."""
        return self._segment_count is not None

    @property
    def next_segment_id(self) -> int:
        return self._first_id + len(self._segments)

    @property
    def segment_count(self) -> int:
        """Segments that have come so far."""
        return len(self._segments)

    @property
    def text(self) -> str:
        """All text that has come, heard or not."""
        return _join(segment.text for segment in self._segments.values())

    @property
    def heard_text(self) -> str:
        """What the caller heard (in a text reply: was shown)."""
        if self.modality is Modality.TEXT:
            return self.text
        return _join(_heard_part(segment) for segment in self._segments.values())

    @property
    def heard_ms(self) -> int:
        """How much voice was heard."""
        return self._frames_heard * FRAME_MS

    def word_begin(self, number: int, sample: int) -> int:
        """Where the word begins that is being said at a sample of a segment; the sample, where none is."""
        segment = self._segments.get(number)
        words = segment.words if segment is not None else []
        return next((word.from_sample for word in words if word.from_sample < sample < word.to_sample), sample)

    @property
    def granted(self) -> int:
        """Segments 1 to this one may be voiced: about 5 s ahead of what is played."""
        if self.modality is Modality.TEXT:
            return 0
        ahead_ms = 0.0
        for number in sorted(self._segments):
            if ahead_ms >= GRANT_AHEAD_MS:
                return number - 1
            ahead_ms += _left_ms(self._segments[number])
        return len(self._segments) + (1 if ahead_ms < GRANT_AHEAD_MS else 0)

    def set_round_trip(self, round_trip_ms: float) -> None:
        """The caller's network changed."""
        self._delay_ms = round_trip_ms / 2 + CALLER_BUFFER_MS

    def add_segment(self, number: int, text: str, spoken: str) -> list[ReplyNotice]:
        """The model finished a piece. One that came before is ignored."""
        if number in self._segments or number != len(self._segments) + 1:
            return []
        segment = _Segment(self._first_id + number - 1, text.strip(), spoken)
        self._segments[number] = segment
        if self.modality is not Modality.TEXT:
            return []
        segment.shown = segment.heard = True
        return [SegmentShown(segment.segment_id, segment.text, spoken=False)]

    def add_words(self, number: int, words: Sequence[SpokenWord]) -> None:
        """Word times of a segment, as its voice arrives."""
        segment = self._segments.get(number)
        if segment is None:
            return
        position = segment.word_ends[-1] if segment.word_ends else 0
        for word in words:
            found = segment.text.find(word.text, position)
            if found < 0:
                continue
            position = found + len(word.text)
            segment.words.append(word.later(segment.base_samples))
            segment.word_ends.append(position)

    def place(self, number: int, sample: int) -> int:
        """Where a sample, as who speaks now numbers it, lies in its segment."""
        segment = self._segments.get(number)
        return sample if segment is None else segment.base_samples + sample

    def add_voice(self, number: int, first_sample: int, samples: int) -> None:
        """Voice of a segment has come, numbered by who speaks now."""
        segment = self._segments.get(number)
        if segment is not None:
            end = segment.base_samples + first_sample + samples
            segment.received_samples = max(segment.received_samples, end)

    def set_total(self, number: int, total_samples: int) -> int:
        """All voice of a segment has come, as who speaks now numbers it; returns how many samples it has in all."""
        segment = self._segments.get(number)
        if segment is None:
            return total_samples
        segment.total_samples = segment.base_samples + total_samples
        return segment.total_samples

    @property
    def voiced(self) -> int:
        """Segments 1 to this one have all their voice."""
        count = 0
        while count + 1 in self._segments and self._segments[count + 1].total_samples is not None:
            count += 1
        return count

    def hand_over_voice(self) -> tuple[list[tuple[int, int]], list[Unvoiced]]:
        """The voice broke off and another goes on: what it has to say, behind the last word that has come whole.

        The first list has segments whose words are all there, with their samples: they are complete as they are.
        """
        complete: list[tuple[int, int]] = []
        rest: list[Unvoiced] = []
        for number, segment in self._segments.items():
            if segment.total_samples is not None:
                continue
            left = segment.text[segment.word_ends[-1] :].strip() if segment.word_ends else segment.text
            if segment.words and not any(character.isalnum() for character in left):
                segment.total_samples = segment.received_samples
                complete.append((number, segment.total_samples))
                continue
            segment.base_samples = segment.received_samples
            spoken = spoken_rest(segment.text, segment.spoken, len(segment.words)) if segment.words else segment.spoken
            rest.append(Unvoiced(number, left, spoken))
        return complete, rest

    def end(self, segment_count: int) -> list[ReplyNotice]:
        """The model has said all: the reply has this many segments."""
        self._segment_count = max(segment_count, len(self._segments))
        return self._check_complete()

    @property
    def due_ms(self) -> float | None:
        """When to call `advance` at the latest, if no frame comes before.

        Frames advance the reply as they go out, so that only the last one of them needs a timer: one for each would
        wake the process as often again as the voice itself does.
        """
        return self._in_flight[-1].at_ms + self._delay_ms if self._in_flight else None

    def on_frame(self, frame: PoppedFrame, at_ms: float) -> list[ReplyNotice]:
        """A frame is handed out."""
        notices: list[ReplyNotice] = []
        for event in frame.events:
            if isinstance(event, SegmentStarted) and event.key[:2] == self.key:
                notices += self._on_started(event.key[2])
        for span in frame.spans:
            if span.key[:2] == self.key:
                end = span.first_sample + span.samples
                self._segments[span.key[2]].played_samples = end
                self._in_flight.append(_Handed(at_ms, span.key[2], end, finished=False))
        for event in frame.events:
            if isinstance(event, SegmentFinished) and event.key[:2] == self.key:
                self._in_flight.append(_Handed(at_ms, event.key[2], event.total_samples, finished=True))
        return notices + self.advance(at_ms)

    def so_far(self) -> list[ReplyNews]:
        """All that was shown and heard of it, told anew."""
        notices: list[ReplyNews] = [VoiceBegan()] if self._began else []
        for segment in self._segments.values():
            if not segment.shown:
                continue
            spoken = self.modality is not Modality.TEXT
            notices.append(SegmentShown(segment.segment_id, segment.text, spoken))
            if segment.heard and spoken:
                notices.append(SegmentHeard(segment.segment_id, segment.text))
            elif spoken and (heard := _heard_part(segment)):
                notices.append(WordsHeard(segment.segment_id, heard, segment.text[len(heard) :], heard))
        return notices

    def advance(self, now_ms: float) -> list[ReplyNotice]:
        """Time passes: what was handed out long enough ago was heard."""
        notices: list[ReplyNotice] = []
        while self._in_flight and now_ms - self._in_flight[0].at_ms >= self._delay_ms:
            notices += self._on_heard(self._in_flight.popleft())
        return notices

    def _on_started(self, number: int) -> list[ReplyNotice]:
        segment = self._segments[number]
        notices: list[ReplyNotice] = []
        if not self._began:
            self._began = True
            notices.append(VoiceBegan())
        if not segment.shown:
            segment.shown = True
            notices.append(SegmentShown(segment.segment_id, segment.text, spoken=True))
        return notices

    def _on_heard(self, handed: _Handed) -> list[ReplyNotice]:
        segment = self._segments[handed.segment]
        if handed.finished:
            segment.heard = True
            segment.words_heard = len(segment.words)
            return [SegmentHeard(segment.segment_id, segment.text), *self._check_complete()]
        self._frames_heard += 1
        before = segment.words_heard
        while segment.words_heard < len(segment.words) and (
            segment.words[segment.words_heard].middle_sample < handed.sample
        ):
            segment.words_heard += 1
        if segment.words_heard == before:
            return []
        heard = segment.text[: segment.word_ends[segment.words_heard - 1]]
        new = segment.text[segment.word_ends[before - 1] if before else 0 : len(heard)]
        return [WordsHeard(segment.segment_id, heard, segment.text[len(heard) :], new.strip())]

    def _check_complete(self) -> list[ReplyNotice]:
        if self._complete or self._segment_count is None or len(self._segments) < self._segment_count:
            return []
        if not all(segment.heard for segment in self._segments.values()):
            return []
        self._complete = True
        return [ReplyHeard()]


def spoken_rest(text: str, spoken: str, words: int) -> str:
    """What is left to say of `spoken` when the first `words` words of `text` were said.

    The two differ where something is shown that is not said as it is written.
    """
    shown, said = text.split(), spoken.split()
    if len(shown) == len(said):
        return " ".join(said[words:])
    done = 0
    for kind, first, stop, said_first, said_stop in SequenceMatcher(None, shown, said, autojunk=False).get_opcodes():
        if stop <= words:
            done = said_stop
        elif first < words:
            done = said_first + (words - first if kind == "equal" else 0)
    return " ".join(said[done:])


def _heard_part(segment: _Segment) -> str:
    if segment.heard:
        return segment.text
    return segment.text[: segment.word_ends[segment.words_heard - 1]] if segment.words_heard else ""


def _left_ms(segment: _Segment) -> float:
    if segment.heard:
        return 0.0
    total_ms = (
        segment.total_samples * 1000 / RATE_HZ
        if segment.total_samples is not None
        else 1000 * len(segment.spoken) / _CHARACTERS_PER_S
    )
    return max(0.0, total_ms - segment.played_samples * 1000 / RATE_HZ)


def _join(parts: Iterable[str]) -> str:
    return " ".join(part for part in parts if part)
