"""A segment whose voice comes piece by piece with a time for each character: given out by whole words. Pure.

Times of characters are what tells that a word is complete, and that the segment is: when each letter of what was to be
said has come, and the audio that it lies in. Where the letters that come are others (a vendor that tells only its own
reading), nothing more is given out before the end, and somebody else has to know when that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from natter_tts.provider import RATE_HZ, SpokenWord, VoiceChunk
from natter_tts.shape import FADE_SAMPLES, FRAME_SAMPLES, LEAD_SAMPLES, Chunker, Samples, pause_samples, sound_span
from natter_tts.words import TimedWord, letters, place_words

# Times come in whole milliseconds and are rounded as each vendor likes.
_ROUNDING_SAMPLES: Final = RATE_HZ * 30 // 1000
_MS_SAMPLES: Final = RATE_HZ // 1000
# Of a word that is not complete so much may be given out ahead: cut off there and said again from its start, it is no
# word heard twice.
HEAD_START_SAMPLES: Final = 2 * FRAME_SAMPLES
# Of a letter that has not come, unless those before it were longer.
_LETTER_SAMPLES: Final = RATE_HZ * 70 // 1000
# Samples of a word in the made-up time in which shown words are laid over spoken ones before any audio is there.
_UNIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class TimedCharacter:
    """A character and where it lies in the piece of audio that it came with."""

    text: str
    from_ms: int
    to_ms: int


class AlignedSegment:
    """One segment of a reply: audio and characters in, chunks out.

    What was given out ends with a whole word, to the frame of 20 ms below its end; `cut` gives the rest of that frame.
    Only the first word is begun before it is whole: by `HEAD_START_SAMPLES`, once its rest will come while they play.

    Args:
        text: as shown.
        spoken: as said.
        speed: how many times faster than it plays the voice comes, at least; 0 where nobody knows.
    """

    def __init__(self, text: str, spoken: str, speed: float = 0.0) -> None:
        self._speed = speed
        self._longest_piece = 0
        self._text = text
        self._spoken = spoken
        said = [word for word in map(letters, spoken.split()) if word]
        self._expected = "".join(said)
        self._ends = np.cumsum([len(word) for word in said]).tolist()
        marks = [TimedWord(word, n * _UNIT, (n + 1) * _UNIT) for n, word in enumerate(said)]
        self._plan = list(place_words(text, marks))
        self._matched = True
        self._letters = 0
        self._said: list[TimedWord] = []
        self._open_from: int | None = None
        self._characters: list[tuple[str, int, int]] = []
        # Behind the last letter: how many marks are to come, how many have; and the end of the last that sounds.
        self._final_marks = sum(not character.isspace() for character in _behind_letters(spoken))
        self._marks = 0
        self._sounds_to = 0
        self._audio = np.zeros(0, np.int16)
        self._start: int | None = None
        self._pushed = 0
        self._listed = 0
        self._placed: list[SpokenWord] = []
        self._chunker = Chunker()

    @property
    def has_letters(self) -> bool:
        """There is something to say."""
        return bool(self._expected)

    @property
    def matched(self) -> bool:
        """Letters come with the audio, and each was the one that was to be said: `whole` can be waited for."""
        return self._matched and (self._letters > 0 or not len(self._audio))

    @property
    def missing(self) -> str:
        """The letters that have not come, of a segment that is `matched`."""
        return self._expected[self._letters :]

    @property
    def begun(self) -> bool:
        """Letters have come, and each was the one that was to be said."""
        return self._matched and self._letters > 0

    @property
    def whole(self) -> bool:
        """Every letter has come, and the audio that it lies in."""
        return self._matched and self._letters == len(self._expected) and self._complete_words() == len(self._ends)

    @property
    def sounded_out(self) -> bool:
        """`whole`, and what follows the last letter (a full stop, in which the voice dies away) has come too.

        A mark is told with the audio in which it begins, and may go on in the next.
        """
        return self.whole and self._marks >= self._final_marks and self._sounds_to <= len(self._audio) + _MS_SAMPLES

    @property
    def received_samples(self) -> int:
        """How much audio has come."""
        return len(self._audio)

    def feed(self, pcm: bytes, characters: Sequence[TimedCharacter]) -> list[VoiceChunk]:
        """Take a piece of audio and the characters whose times count from its beginning; return what became ready."""
        base = len(self._audio)
        self._longest_piece = max(self._longest_piece, len(pcm) // 2)
        self._audio = np.concatenate([self._audio, np.frombuffer(pcm, "<i2")])
        for character in characters:
            begin = base + character.from_ms * RATE_HZ // 1000
            end = max(begin, base + character.to_ms * RATE_HZ // 1000)
            self._characters.append((character.text, begin, end))
            if not character.text.isspace():
                self._marks = 0 if letters(character.text) else self._marks + 1
                self._sounds_to = max(self._sounds_to, end)
            for letter in letters(character.text):
                self._take_letter(letter, begin, end)
        if self._start is None and (span := sound_span(_as_float(self._audio))) is not None:
            self._start = self._pushed = max(0, span[0] - LEAD_SAMPLES)
        if not self._matched or self._start is None:
            return []
        complete = self._complete_words()
        if not complete:
            ahead = self._start + HEAD_START_SAMPLES
            return self._push(ahead) if self._first_word_in_time(ahead) else []
        self._place(complete)
        end = min(self._said[complete - 1].to_sample, len(self._audio))
        frames = (end - self._start) // FRAME_SAMPLES
        return self._push(max(self._pushed, self._start + frames * FRAME_SAMPLES))

    def finish(self) -> list[VoiceChunk]:
        """Nothing follows: the rest up to the pause behind the last sound, and the end."""
        if self._start is None:
            words = self._all_words(0)
            return [VoiceChunk(0, b"", tuple(words[self._listed :]), end=True)]
        span = sound_span(_as_float(self._audio[self._start :]))
        sound_end = self._start + (span[1] if span is not None else 0)
        kept = max(self._pushed, min(len(self._audio), sound_end + pause_samples(self._spoken)))
        silence = sound_end + pause_samples(self._spoken) - kept
        self._placed = self._all_words(kept - self._start)
        chunks = self._push(kept, fade=True, silence=max(0, silence))
        total = self._chunker.sent_samples
        rest = tuple(self._placed[self._listed :])
        return [*chunks, VoiceChunk(total, b"", rest, end=True, total_samples=total)]

    def cut(self) -> list[VoiceChunk]:
        """Nothing follows, and it is not whole: what is missing up to the end of the last complete word."""
        complete = self._complete_words() if self._matched else 0
        if self._start is None or not complete:
            return []
        end = min(self._said[complete - 1].to_sample, len(self._audio))
        return self._push(end, fade=True) if end > self._pushed else []

    def _take_letter(self, letter: str, begin: int, end: int) -> None:
        if not self._matched:
            return
        if self._letters == len(self._expected) or letter != self._expected[self._letters]:
            self._matched = False
            return
        self._letters += 1
        first = self._open_from if self._open_from is not None else begin
        self._open_from = first
        if self._letters == self._ends[len(self._said)]:
            self._said.append(TimedWord("", first, end))
            self._open_from = None

    def _first_word_in_time(self, ahead: int) -> bool:
        """Will the rest of the first word be there before what lies before sample ``ahead`` was played?"""
        begun = self._open_from
        if begun is None or not self._speed or self._pushed >= ahead or len(self._audio) < ahead:
            return False
        letter = max(_LETTER_SAMPLES, (len(self._audio) - begun) // self._letters)
        # The piece that brings the end of the word has to be there as a whole.
        missing = letter * (self._ends[0] - self._letters) + self._longest_piece
        return missing / self._speed <= HEAD_START_SAMPLES

    def _complete_words(self) -> int:
        """How many words of what is said have all their letters and their audio."""
        there = len(self._audio) + _ROUNDING_SAMPLES
        complete = len(self._said)
        while complete and self._said[complete - 1].to_sample > there:
            complete -= 1
        return complete

    def _place(self, complete: int) -> None:
        """Give shown words their true times as far as what is said of them is complete."""
        while len(self._placed) < len(self._plan):
            word = self._plan[len(self._placed)]
            if word.to_sample > complete * _UNIT:
                return
            begin = self._true_sample(word.from_sample, at_end=word.from_sample == word.to_sample)
            end = self._true_sample(word.to_sample, at_end=True)
            self._append(word.text, begin, end, estimated=word.estimated)

    def _append(self, text: str, begin: int, end: int, *, estimated: bool) -> None:
        start = self._start or 0
        least = self._placed[-1].to_sample if self._placed else 0
        begin = max(least, begin - start)
        self._placed.append(SpokenWord(text, begin, max(begin, end - start), estimated))

    def _true_sample(self, mark: int, *, at_end: bool) -> int:
        index, part = divmod(mark, _UNIT)
        if at_end and part == 0:
            if index:
                return self._said[index - 1].to_sample
            return self._said[0].from_sample if self._said else 0
        word = self._said[index]
        return word.from_sample + (word.to_sample - word.from_sample) * part // _UNIT

    def _all_words(self, most: int) -> list[SpokenWord]:
        """Every shown word, at ``most`` up to that sample: by the plan, or, if it failed, by what was really read."""
        if self._matched and len(self._said) == len(self._ends):
            self._place(len(self._said))
        if len(self._placed) < len(self._plan):
            after = (self._start or 0) + (self._placed[-1].to_sample if self._placed else 0)
            missing = " ".join(self._text.split()[len(self._placed) :])
            read = [word for word in self._read() if word.from_sample >= after]
            if not read and most > 0:
                read = [TimedWord(missing, after, (self._start or 0) + most)]
            for word in place_words(missing, read, estimated=True):
                self._append(word.text, word.from_sample, word.to_sample, estimated=True)
        return [
            SpokenWord(word.text, min(word.from_sample, most), min(word.to_sample, most), word.estimated)
            for word in self._placed
        ]

    def _read(self) -> list[TimedWord]:
        """Words as the vendor read them: its characters, split at white space."""
        words: list[TimedWord] = []
        text, begin, end = "", 0, 0
        for character, first, last in [*self._characters, (" ", 0, 0)]:
            if not character.isspace():
                begin = begin if text else first
                text, end = text + character, last
            elif text:
                words.append(TimedWord(text, begin, end))
                text = ""
        return words

    def _push(self, end: int, *, fade: bool = False, silence: int = 0) -> list[VoiceChunk]:
        """Give out audio up to ``end``; with ``fade`` it is the last, and ``silence`` follows."""
        piece = _as_float(self._audio[self._pushed : end])
        if self._start is not None and self._pushed == self._start > 0:
            ramp = np.linspace(0.0, 1.0, min(FADE_SAMPLES, len(piece)), dtype=np.float32)
            piece[: len(ramp)] *= ramp
        if fade:
            ramp = np.linspace(1.0, 0.0, min(FADE_SAMPLES, len(piece)), dtype=np.float32)
            piece[len(piece) - len(ramp) :] *= ramp
        self._pushed = end
        pcm = np.rint(piece * 32768.0).astype("<i2").tobytes() + bytes(2 * silence)
        ready = self._chunker.feed(pcm) + (self._chunker.finish() if fade else [])
        return [VoiceChunk(first, chunk, self._begun(first + len(chunk) // 2)) for first, chunk in ready]

    def _begun(self, before: int) -> tuple[SpokenWord, ...]:
        """Words not listed yet that begin before sample ``before``."""
        stop = self._listed
        while stop < len(self._placed) and self._placed[stop].from_sample < before:
            stop += 1
        words = tuple(self._placed[self._listed : stop])
        self._listed = stop
        return words


def _behind_letters(spoken: str) -> str:
    """What follows the last letter or digit."""
    end = len(spoken)
    while end and not letters(spoken[end - 1]):
        end -= 1
    return spoken[end:]


def _as_float(pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> Samples:
    return pcm.astype(np.float32) / np.float32(32768.0)
