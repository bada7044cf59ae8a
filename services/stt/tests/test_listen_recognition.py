from __future__ import annotations

import pytest

from natter_common.providers import Trouble
from natter_stt.deepgram.listen import KEEP_ALIVE_S, ListenRecognition
from natter_stt.exchange import Alive, Audio, Heard, Message, Signal, Silence, Step, UtteranceOver, VendorWord
from natter_stt.provider import StreamSettings, SttError, Transcript
from natter_stt.recognition import Recognition

MS = 16


def heard(words: str, from_s: float, to_s: float, *, final: bool = False, from_finalize: bool = False) -> Heard:
    """Words spread evenly over the time."""
    texts = words.split()
    step = (to_s - from_s) / max(1, len(texts))
    timed = tuple(VendorWord(text, from_s + at * step, from_s + (at + 1) * step) for at, text in enumerate(texts))
    return Heard(timed, from_s, to_s, final, from_finalize)


class Bench:
    """A recognition with a virtual clock and a connection that takes everything at once."""

    def __init__(self, core: Recognition) -> None:
        self.core = core
        self.now = 100.0
        self.steps: list[Step] = []
        self.said: list[Transcript] = []
        core.opened(self.now)
        self.pump()

    def pump(self) -> None:
        while (step := self.core.next_step(self.now)) is not None:
            self.steps.append(step)
            self.core.sent(step, self.now)
        self.said += self.core.take()

    def feed(self, duration_ms: int, *, ticks: bool = True) -> None:
        """Audio in real time."""
        for _ in range(duration_ms // 20):
            self.core.feed(self.core.recent.next_sample, bytes(640), self.now)
            self.pump()
            self.now += 0.02
            if ticks:
                self.core.tick(self.now)
                self.pump()

    def wait(self, seconds: float) -> None:
        """Time without audio."""
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.core.tick(self.now)
            self.pump()

    def speech(self, from_sample: int, *, speaking: bool) -> None:
        self.core.speech(from_sample, speaking=speaking, now=self.now)
        self.pump()

    def finalize(self, finalize_id: int, through: int) -> None:
        self.core.finalize(finalize_id, through, self.now)
        self.pump()

    def hear(self, message: Message) -> None:
        self.core.message(message, self.now)
        self.pump()

    @property
    def finals(self) -> list[tuple[int, str]]:
        return [(transcript.finalize_id, transcript.text) for transcript in self.said if transcript.final]

    @property
    def sent(self) -> list[tuple[int, int]]:
        """The runs of samples that were sent."""
        runs: list[tuple[int, int]] = []
        for step in self.steps:
            if isinstance(step, Audio):
                if runs and runs[-1][1] == step.first_sample:
                    runs[-1] = (runs[-1][0], step.first_sample + step.samples)
                else:
                    runs.append((step.first_sample, step.first_sample + step.samples))
        return runs


def listening() -> Bench:
    """One second of speech is being sent: sample 16,000 on, with 0.5 s before it and 0.1 s of silence in front."""
    bench = Bench(ListenRecognition(StreamSettings()))
    bench.feed(1_000)
    bench.speech(16_000, speaking=True)
    bench.feed(1_000)
    return bench


def test_audio_goes_out_around_speech_only_and_keep_alives_between() -> None:
    bench = listening()
    assert isinstance(bench.steps[0], Silence)
    bench.hear(heard("one two", 0.6, 1.6))
    bench.finalize(1, 32_000)
    bench.hear(heard("one two", 0.6, 1.6, final=True, from_finalize=True))
    bench.speech(16_000, speaking=False)
    bench.feed(9_000)
    assert bench.sent == [(8_000, 32_000)]
    assert bench.steps.count(Signal.KEEP_ALIVE) == int(9.0 / KEEP_ALIVE_S)
    bench.speech(170_000, speaking=True)
    bench.feed(100)
    assert bench.sent[1][0] == 162_000


def test_all_closed_parts_are_one_final_and_interims_hold_them() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.0, final=True))
    bench.hear(heard("three", 1.0, 1.4))
    assert [transcript.text for transcript in bench.said] == ["one two", "one two three"]
    assert [transcript.revision for transcript in bench.said] == [1, 2]
    bench.finalize(7, 31_000)
    assert bench.steps[-1] is Signal.FINALIZE
    assert bench.finals == []
    bench.hear(heard("three four", 1.0, 1.5, final=True, from_finalize=True))
    assert bench.finals == [(7, "one two three four")]
    final = bench.said[-1]
    assert final.through_sample >= 31_000
    # 0.1 s of greeting and 0.5 s of lead lie before the speech.
    assert abs(final.words[0].from_sample - 16_000) <= 1
    assert final.words[-1].to_sample == 16_000 + 900 * MS


def test_the_same_words_heard_through_a_later_sample_are_told_again() -> None:
    bench = listening()
    one = VendorWord("one", 0.6, 0.9)
    for to_s in (1.0, 1.25, 1.25):
        bench.hear(Heard((one,), 0.6, to_s, final=False))
    bench.hear(Heard((one,), 0.6, 1.5, final=True))
    assert [(said.text, said.through_sample, said.revision) for said in bench.said] == [
        ("one", 8_000 + 900 * MS, 1),
        ("one", 8_000 + 1_150 * MS, 2),
        ("one", 8_000 + 1_400 * MS, 3),
    ]


def test_an_answer_that_leaves_words_out_says_so_and_they_come_without_another_request() -> None:
    bench = listening()
    bench.finalize(1, 32_000)
    bench.hear(heard("one", 0.6, 1.1, final=True, from_finalize=True))
    assert [(said.text, said.through_sample) for said in bench.said if said.final] == [("one", 8_000 + 1_000 * MS)]
    bench.speech(16_000, speaking=False)
    bench.hear(heard("two", 1.1, 1.6))
    assert len(bench.finals) == 1
    bench.hear(heard("two", 1.1, 1.6, final=True))
    assert bench.finals == [(1, "one"), (0, "two")]


def test_a_finalize_that_the_vendor_left_out_does_not_shift_the_answers() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.6, final=True))
    bench.finalize(1, 32_600)
    bench.feed(200)
    bench.hear(heard("", 1.6, 1.65, final=True))  # it reaches what was asked for: no from_finalize follows
    assert bench.finals == [(1, "one two")]
    bench.feed(500)
    bench.finalize(2, 43_000)
    bench.hear(heard("three", 1.7, 2.3, final=True, from_finalize=True))
    assert bench.finals == [(1, "one two"), (2, "three")]


def test_a_final_that_reaches_the_pause_answers_and_its_late_from_finalize_answers_nobody_else() -> None:
    bench = listening()
    bench.finalize(1, 32_000)
    bench.hear(heard("one two", 0.6, 1.6, final=True))
    assert bench.finals == [(1, "one two")]
    bench.feed(500)
    bench.finalize(2, 40_000)
    bench.hear(heard("", 1.6, 1.6, final=True, from_finalize=True))
    assert len(bench.finals) == 1
    bench.hear(heard("three", 1.6, 2.0, final=True, from_finalize=True))
    assert bench.finals == [(1, "one two"), (2, "three")]


def test_one_that_the_vendor_had_closed_before_is_answered_at_once() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.6, final=True))
    bench.finalize(1, 31_500)
    assert bench.finals == [(1, "one two")]
    assert Signal.FINALIZE not in bench.steps


def test_after_300_ms_what_was_heard_counts_and_is_not_said_again() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.5))
    bench.finalize(1, 32_000)
    bench.wait(0.28)
    assert bench.finals == []
    bench.wait(0.06)
    assert bench.finals == [(1, "one two")]
    bench.hear(heard("one two", 0.6, 1.55, final=True, from_finalize=True))
    bench.wait(4.0)
    assert bench.finals == [(1, "one two")]


def test_little_sound_that_nothing_came_of_is_over_after_300_ms() -> None:
    bench = Bench(ListenRecognition(StreamSettings()))
    bench.feed(1_000)
    bench.speech(16_000, speaking=True)
    bench.feed(300)
    bench.finalize(1, 20_000)
    bench.wait(0.34)
    assert bench.finals == [(1, "")]


def test_a_vendor_that_owes_words_is_stuck_after_500_ms() -> None:
    bench = listening()
    bench.finalize(1, 32_000)
    bench.wait(0.46)
    with pytest.raises(SttError) as caught:
        bench.wait(0.1)
    assert caught.value.code == Trouble.STALLED
    assert bench.finals == []


def test_silence_of_the_vendor_while_somebody_speaks_is_noticed_after_a_second_and_a_half() -> None:
    bench = listening()
    bench.feed(400)
    with pytest.raises(SttError) as caught:
        bench.feed(200)
    assert caught.value.code == Trouble.STALLED
    alive = listening()
    alive.hear(Alive())
    alive.feed(1_400)


def test_a_new_connection_gets_what_no_closed_part_holds_and_the_request_again() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.1, final=True))
    bench.hear(heard("three", 1.1, 1.5))
    bench.finalize(5, 32_000)
    bench.core.lost()
    bench.feed(200, ticks=False)
    bench.steps.clear()
    bench.core.opened(bench.now)
    bench.pump()
    assert bench.sent == [(16_000 + 500 * MS, 35_200)]
    assert bench.steps.count(Signal.FINALIZE) == 1
    bench.hear(heard("three four", 0.0, 0.5, final=True, from_finalize=True))
    assert bench.finals == [(5, "one two three four")]
    assert bench.said[-1].words[2].from_sample == 16_000 + 500 * MS


def test_a_takeover_in_the_pause_hears_what_no_final_has() -> None:
    bench = Bench(ListenRecognition(StreamSettings(from_sample=24_000)))
    bench.core.feed(24_000, bytes(2 * 16_000), bench.now)
    bench.speech(20_000, speaking=False)
    bench.finalize(9, 36_000)
    assert bench.sent == [(24_000, 40_000)]
    bench.hear(heard("late words", 0.2, 0.7, final=True, from_finalize=True))
    assert bench.finals == [(9, "late words")]


def test_finalize_waits_for_its_audio_and_not_for_ever() -> None:
    bench = listening()
    bench.finalize(1, 35_000)
    assert Signal.FINALIZE not in bench.steps
    bench.feed(200)
    assert Signal.FINALIZE in bench.steps
    bench.hear(heard("one two", 0.6, 1.8, final=True, from_finalize=True))
    bench.finalize(2, 99_000)
    bench.wait(1.0)
    assert [finalize_id for finalize_id, _ in bench.finals] == [1, 2]
    assert bench.said[-1].through_sample == 99_000


def test_a_request_for_what_is_closed_is_answered_at_once() -> None:
    bench = listening()
    bench.finalize(1, 32_000)
    bench.hear(heard("one two", 0.6, 1.6, final=True, from_finalize=True))
    bench.finalize(2, 30_000)
    assert bench.finals == [(1, "one two"), (2, "")]


def test_long_speech_gets_finals_of_its_own() -> None:
    bench = listening()
    bench.feed(400)
    for second in range(2, 12):
        bench.hear(heard("word another", second - 1, second, final=True))
        bench.feed(1_000)
    assert bench.finals[0][0] == 0
    assert len(bench.finals[0][1].split()) >= 16


def test_an_utterance_that_nobody_asks_for_is_given_out() -> None:
    bench = listening()
    bench.hear(heard("one two", 0.6, 1.6, final=True))
    bench.speech(16_000, speaking=False)
    bench.hear(UtteranceOver())
    assert bench.finals == [(0, "one two")]
    bench.feed(4_000)
    before = bench.sent[-1][1]
    bench.feed(1_000)
    assert bench.sent[-1][1] == before


def test_no_interims_when_none_are_wanted() -> None:
    bench = Bench(ListenRecognition(StreamSettings(interim_interval_ms=0)))
    bench.speech(0, speaking=True)
    bench.feed(500)
    bench.hear(heard("one", 0.1, 0.5))
    assert bench.said == []


def test_audio_that_could_not_be_sent_is_counted() -> None:
    core = ListenRecognition(StreamSettings())
    core.speech(0, speaking=True, now=1.0)
    for second in range(20):
        core.feed(second * 16_000, bytes(32_000), 1.0 + second)
    bench = Bench(core)
    assert core.lost_samples == 5 * 16_000
    assert bench.sent[0][0] == 5 * 16_000
