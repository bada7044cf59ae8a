"""Deepgram's emulator, asked to finalize while somebody goes on speaking: no word is lost or doubled. No clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import count

import pytest
from deepgram.listen.v1.types import ListenV1Results
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_emulators.deepgram.listen import Listen, ListenOptions, Message
from natter_emulators.marks import MarkedWord, speak
from natter_stt.deepgram.link import understand
from natter_stt.deepgram.listen import ListenRecognition
from natter_stt.exchange import Audio, Signal, Silence
from natter_stt.provider import StreamSettings, Transcript

MS = 16
FRAME = 320
LEAD = 500 * MS
TEXT = "one two three four five six seven eight"
# Words, then a second of quiet; behind half a second of quiet.
SPEECH = speak(TEXT, 16_000)
PCM = bytes(2 * LEAD) + SPEECH.pcm.astype("<i2").tobytes() + bytes(2 * 1_000 * MS)
WORDS = [MarkedWord(word.text, LEAD + word.from_sample, LEAD + word.to_sample) for word in SPEECH.words]
END = WORDS[-1].to_sample


class Wire:
    """A session's recognition and the vendor's emulator, with a clock of 20 ms frames."""

    def __init__(self, *, interim_ms: int = 100, final_ms: int = 100) -> None:
        self.core = ListenRecognition(StreamSettings())
        self.said: list[tuple[float, Transcript]] = []
        self.now = 100.0
        self._vendor = Listen(ListenOptions(interim_results=True, endpointing_ms=100, punctuate=True), "test")
        self._interim_s, self._final_s = interim_ms / 1_000, final_ms / 1_000
        self._coming: list[tuple[float, int, Message]] = []
        self._order = count()
        self._last_due = 0.0
        self.core.opened(self.now)
        self._pump()

    def _pump(self) -> None:
        while (step := self.core.next_step(self.now)) is not None:
            match step:
                case Audio():
                    self._tell(self._vendor.feed(step.pcm))
                case Silence(samples):
                    self._tell(self._vendor.feed(bytes(2 * samples)))
                case Signal.FINALIZE:
                    self._tell(self._vendor.finalize())
                case _:
                    pass
            self.core.sent(step, self.now)
        self.said += [(self.now, transcript) for transcript in self.core.take()]

    def _tell(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message["type"] == "Results":
                delay_s = self._final_s if message["is_final"] else self._interim_s
                # One connection: nothing overtakes.
                self._last_due = max(self._last_due, self.now + delay_s)
                heapq.heappush(self._coming, (self._last_due, next(self._order), message))

    def frame(self) -> None:
        """20 ms of the call."""
        first = self.core.recent.next_sample
        self.core.feed(first, PCM[2 * first : 2 * (first + FRAME)] or bytes(2 * FRAME), self.now)
        self._pump()
        self.now += 0.02
        while self._coming and self._coming[0][0] <= self.now:
            _, _, message = heapq.heappop(self._coming)
            self.core.message(understand(ListenV1Results.model_validate(message)), self.now)
            self._pump()
        self.core.tick(self.now)
        self._pump()

    def run_to(self, sample: int) -> None:
        while self.core.recent.next_sample < sample:
            self.frame()

    def speech(self, *, speaking: bool) -> None:
        self.core.speech(LEAD, speaking=speaking, now=self.now)
        self._pump()

    def finalize(self, finalize_id: int, through: int) -> None:
        self.core.finalize(finalize_id, through, self.now)
        self._pump()

    @property
    def finals(self) -> list[Transcript]:
        return [transcript for _, transcript in self.said if transcript.final]

    @property
    def words(self) -> str:
        return " ".join(final.text for final in self.finals if final.text).lower()


def talk(asked_at: Sequence[int], *, final_ms: int = 100, pause_asks: bool = True) -> Wire:
    """A turn with early finalizes at these samples (each through 50 ms before), a pause, and a second of quiet."""
    wire = Wire(final_ms=final_ms)
    wire.run_to(LEAD + 100 * MS)
    wire.speech(speaking=True)
    for finalize_id, sample in enumerate(sorted(asked_at), 1):
        wire.run_to(sample)
        wire.finalize(finalize_id, sample - 50 * MS)
    wire.run_to(max([END + 250 * MS, *asked_at]))
    wire.speech(speaking=False)
    if pause_asks:
        wire.finalize(len(asked_at) + 1, END + 50 * MS)
    wire.run_to(wire.core.recent.next_sample + 1_000 * MS)
    return wire


def check(wire: Wire, asked: int) -> None:
    assert wire.words == TEXT
    assert [final.finalize_id for final in wire.finals if final.finalize_id] == list(range(1, asked + 1))
    for final in wire.finals:
        before = [word.text for word in WORDS if word.to_sample + 10 * MS < final.through_sample]
        told = [word.text for one in wire.finals[: wire.finals.index(final) + 1] for word in one.words]
        assert told[: len(before)] == before  # through_sample is no lie


def test_between_words_each_final_has_its_words() -> None:
    borders = [WORDS[at].to_sample + 70 * MS for at in (1, 3, 5)]
    wire = talk(borders)
    check(wire, 4)


def test_in_mid_word_the_word_is_left_to_the_next_and_the_final_says_so() -> None:
    # It knows that a word is over 60 ms behind its end.
    inside = [WORDS[at].to_sample + 30 * MS for at in (2, 4, 6)]
    wire = talk(inside)
    check(wire, 4)
    assert wire.finals[0].text.lower() == "one two"
    assert wire.finals[0].through_sample <= WORDS[2].from_sample


def test_one_asked_while_the_former_is_unanswered_is_answered_after_it() -> None:
    first = WORDS[2].to_sample + 70 * MS
    wire = talk([first, first + 40 * MS, first + 80 * MS], final_ms=250)
    check(wire, 4)


@pytest.mark.parametrize("early_ms", [40, 70, 130])
def test_the_last_words_come_without_another_request(early_ms: int) -> None:
    """Asked at the dip that becomes the pause, early enough to cut the last word off."""
    wire = talk([END + (early_ms - 50) * MS], pause_asks=False)
    check(wire, 1)


def test_an_interim_covers_the_dip_though_its_words_are_known() -> None:
    wire = talk([], pause_asks=True)
    covering = [said for _, said in wire.said if said.through_sample >= END]
    assert covering
    assert covering[0].text.lower() == TEXT


@settings(max_examples=25, deadline=None)
@given(
    asked_at=st.lists(st.integers(LEAD + 300 * MS, END + 150 * MS), min_size=1, max_size=4),
    final_ms=st.integers(20, 280),
    pause_asks=st.booleans(),
)
def test_whenever_it_is_asked_no_word_is_lost_or_doubled(
    asked_at: list[int], final_ms: int, *, pause_asks: bool
) -> None:
    if not pause_asks:
        asked_at = [*asked_at, END + 60 * MS]
    check(talk(asked_at, final_ms=final_ms, pause_asks=pause_asks), len(asked_at) + pause_asks)
