from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_stt.local.segmenter import Action, Cancel, JobKind, Promote, Segmenter, Transcribe
from natter_stt.provider import Transcript

MS = 16


def loud(duration_ms: int) -> bytes:
    return (np.random.default_rng(2).normal(0, 3_000, duration_ms * MS)).astype("<i2").tobytes()


def quiet(duration_ms: int) -> bytes:
    return bytes(duration_ms * MS * 2)


class Bench:
    """Feeds a segmenter in 20 ms frames and keeps what it wants."""

    def __init__(self, from_sample: int = 0, interim_interval_ms: int = 500) -> None:
        self.counts: list[str] = []
        self.segmenter = Segmenter(from_sample, interim_interval_ms, self.counts.append)
        self.actions: list[Action] = []

    def feed(self, pcm: bytes, *, answer_ms: float | None = None) -> None:
        """Feed audio. `answer_ms`: answer each job at once, saying that it took so long."""
        for at in range(0, len(pcm), 640):
            self.take(self.segmenter.feed(self.segmenter.next_sample, pcm[at : at + 640]), answer_ms)

    def take(self, actions: list[Action], answer_ms: float | None = None) -> None:
        self.actions += actions
        if answer_ms is not None:
            for action in actions:
                if isinstance(action, Transcribe):
                    self.answer(action.job, f"some words {action.job}", answer_ms)

    def answer(self, job: int, text: str, took_ms: float = 50) -> None:
        self.take(self.segmenter.result(job, text, took_ms))

    @property
    def jobs(self) -> list[Transcribe]:
        return [action for action in self.actions if isinstance(action, Transcribe)]

    @property
    def transcripts(self) -> list[Transcript]:
        return [action for action in self.actions if isinstance(action, Transcript)]

    @property
    def finals(self) -> list[Transcript]:
        return [transcript for transcript in self.transcripts if transcript.final]


def test_nothing_is_transcribed_before_vad_found_speech() -> None:
    bench = Bench()
    bench.feed(loud(3_000))
    assert bench.actions == []


def test_interims_come_every_500_ms_of_speech_and_grow() -> None:
    bench = Bench()
    bench.feed(quiet(1_000))
    bench.take(bench.segmenter.speech(1_000 * MS, speaking=True))
    bench.feed(loud(2_100), answer_ms=80)
    assert [job.kind for job in bench.jobs] == [JobKind.INTERIM] * 4
    assert [len(job.pcm) // 32 for job in bench.jobs] == [700, 1_200, 1_700, 2_200]
    assert [(t.final, t.revision, t.through_sample // MS) for t in bench.transcripts] == [
        (False, 1, 1_500),
        (False, 2, 2_000),
        (False, 3, 2_500),
        (False, 4, 3_000),
    ]
    word = bench.transcripts[0].words[0]
    assert word.estimated
    assert 1_000 <= word.from_sample // MS < word.to_sample // MS <= 1_500


def test_an_interim_is_skipped_when_the_last_took_over_a_third_or_is_not_back() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(2_100), answer_ms=200)
    assert len(bench.jobs) == 2
    assert bench.counts.count("skipped") == 2
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(2_100))
    assert len(bench.jobs) == 1
    assert bench.counts.count("skipped") == 3


def test_a_pause_finds_its_final_ready() -> None:
    bench = Bench()
    bench.feed(quiet(500))
    bench.take(bench.segmenter.speech(500 * MS, speaking=True))
    bench.feed(loud(1_200) + quiet(200), answer_ms=60)
    assert [job.kind for job in bench.jobs] == [JobKind.INTERIM, JobKind.INTERIM, JobKind.DIP]
    bench.take(bench.segmenter.speech(500 * MS, speaking=False))
    bench.take(bench.segmenter.finalize(7, 1_700 * MS))
    assert len(bench.jobs) == 3
    final = bench.finals[0]
    assert (final.finalize_id, final.through_sample, final.text) == (7, 1_700 * MS, f"some words {bench.jobs[2].job}")
    assert "reused" in bench.counts


def test_a_dip_is_transcribed_after_60_ms_and_its_interim_keeps_up_with_the_quiet() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(400) + quiet(60))
    (dip,) = bench.jobs
    assert (dip.kind, len(dip.pcm) // 32) == (JobKind.DIP, 460)
    bench.feed(quiet(40))
    bench.answer(dip.job, "No, wait.")
    bench.feed(quiet(1_000))
    told = bench.transcripts
    # Answered after 100 ms: nothing was said meanwhile. Then every 40 ms, and not for ever.
    assert [transcript.through_sample // MS for transcript in told] == [500, *range(540, 801, 40)]
    assert {transcript.text for transcript in told} == {"No, wait."}
    assert [transcript.revision for transcript in told] == list(range(1, len(told) + 1))
    assert bench.jobs == [dip]


def test_while_the_model_is_busy_only_longer_dips_are_transcribed() -> None:
    dip = quiet(60) + loud(100)
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(300) + dip * 2)
    assert len(bench.jobs) == 1  # the first dip's answer has not come
    bench.answer(bench.jobs[0].job, "So", took_ms=60)
    bench.feed(dip)
    assert len(bench.jobs) == 2
    bench.answer(bench.jobs[1].job, "So what", took_ms=300)
    bench.feed(dip)
    assert len(bench.jobs) == 2
    bench.feed(quiet(100))
    assert len(bench.jobs) == 3


def test_an_interim_that_was_overtaken_by_speech_says_how_far_it_heard() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(400) + quiet(60) + loud(100))
    bench.answer(bench.jobs[0].job, "No,")
    assert [transcript.through_sample // MS for transcript in bench.transcripts] == [460]
    bench.feed(quiet(40))
    assert len(bench.transcripts) == 1


def test_noise_in_the_quiet_is_no_speech_and_the_dip_is_the_final() -> None:
    noise = np.random.default_rng(3).normal(0, 300, 3_000 * MS).astype("<i2")
    voice = np.frombuffer(loud(1_000), "<i2")
    sound = noise.copy()
    sound[1_000 * MS : 2_000 * MS] += voice
    bench = Bench()
    bench.feed(sound[: 1_100 * MS].tobytes())
    bench.take(bench.segmenter.speech(1_000 * MS, speaking=True))
    bench.feed(sound[1_100 * MS : 2_200 * MS].tobytes(), answer_ms=50)
    bench.take(bench.segmenter.speech(1_000 * MS, speaking=False))
    bench.take(bench.segmenter.finalize(1, 2_100 * MS))
    assert [job.kind for job in bench.jobs] == [JobKind.INTERIM, JobKind.INTERIM, JobKind.DIP]
    assert len(bench.finals) == 1
    assert "reused" in bench.counts


def test_a_final_waits_for_the_interim_that_is_under_way_and_pushes_it() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(400) + quiet(200))
    bench.take(bench.segmenter.speech(0, speaking=False))
    bench.take(bench.segmenter.finalize(1, 400 * MS))
    job = bench.jobs[0]
    assert job.kind is JobKind.DIP
    assert Promote(job.job) in bench.actions
    assert bench.finals == []
    bench.answer(job.job, "No, wait.")
    assert [final.text for final in bench.transcripts] == ["No, wait."]


def test_speech_after_the_last_interim_makes_a_new_final_and_calls_the_interim_off() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(700))
    bench.take(bench.segmenter.finalize(1, 640 * MS))
    interim, final = bench.jobs
    assert (interim.kind, final.kind) == (JobKind.INTERIM, JobKind.FINAL)
    assert Cancel(interim.job) in bench.actions
    bench.answer(interim.job, "too late")
    assert bench.transcripts == []
    bench.answer(final.job, "in time")
    assert [transcript.text for transcript in bench.transcripts] == ["in time"]


def test_no_interim_once_a_pause_began() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(480))
    bench.take(bench.segmenter.speech(0, speaking=False))
    bench.feed(quiet(2_000))
    assert bench.jobs == []


def test_finalize_waits_for_its_audio() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(300))
    bench.take(bench.segmenter.finalize(1, 400 * MS))
    assert bench.segmenter.waiting
    assert bench.jobs == []
    bench.feed(loud(100))
    assert not bench.segmenter.waiting
    assert len(bench.jobs[0].pcm) == 400 * MS * 2


def test_audio_that_never_comes_is_not_waited_for_for_ever() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(300))
    bench.take(bench.segmenter.finalize(1, 400 * MS))
    bench.take(bench.segmenter.overdue(), answer_ms=50)
    assert [(final.finalize_id, final.through_sample) for final in bench.finals] == [(1, 400 * MS)]


def test_finalize_without_speech_or_sound_is_answered_with_no_words() -> None:
    bench = Bench()
    bench.feed(quiet(1_000))
    bench.take(bench.segmenter.finalize(1, 500 * MS))
    bench.take(bench.segmenter.speech(600 * MS, speaking=True))
    bench.take(bench.segmenter.speech(600 * MS, speaking=False))
    bench.take(bench.segmenter.finalize(2, 1_000 * MS))
    assert bench.jobs == []
    assert [(final.finalize_id, final.words) for final in bench.finals] == [(1, ()), (2, ())]


def test_a_lone_you_out_of_a_click_is_no_word() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(200) + quiet(200))
    bench.take(bench.segmenter.speech(0, speaking=False))
    bench.take(bench.segmenter.finalize(1, 200 * MS))
    bench.answer(bench.jobs[0].job, "You")
    assert [(final.finalize_id, final.words) for final in bench.transcripts] == [(1, ())]
    assert "mistrusted" in bench.counts


def test_long_speech_gets_borders_at_its_quietest_places() -> None:
    bench = Bench(interim_interval_ms=0)
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed((loud(2_900) + quiet(80)) * 8, answer_ms=300)
    assert [final.finalize_id for final in bench.finals] == [0, 0, 0]
    for final in bench.finals:
        assert final.through_sample // MS % 2_980 >= 2_880 or final.through_sample // MS % 2_980 < 20
    ends = [0] + [final.through_sample // MS for final in bench.finals]
    assert all(4_000 <= after - before <= 8_000 for before, after in pairwise(ends))
    assert all(len(job.pcm) <= 8_200 * MS * 2 for job in bench.jobs)


def test_the_next_utterance_does_not_hear_the_one_before() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(1_000) + quiet(200), answer_ms=50)
    bench.take(bench.segmenter.speech(0, speaking=False))
    bench.take(bench.segmenter.finalize(1, 1_000 * MS))
    bench.take(bench.segmenter.speech(1_200 * MS, speaking=True))
    bench.feed(loud(300) + quiet(200))
    first = np.frombuffer(bench.jobs[-1].pcm, "<i2")
    assert len(first) <= (300 + 100 + 100) * MS  # its sound, the dip, and the lead as far as it is free
    assert bench.finals[0].words[-1].to_sample <= 1_000 * MS


def test_a_takeover_begins_where_the_last_final_ended() -> None:
    bench = Bench(from_sample=100_000)
    bench.take(bench.segmenter.speech(90_000, speaking=True))
    bench.feed(loud(600))
    assert len(bench.jobs[0].pcm) // 2 <= 600 * MS
    bench.take(bench.segmenter.finalize(3, 100_000 + 600 * MS), answer_ms=50)
    bench.answer(bench.jobs[-1].job, "and so on")
    assert [final.words[0].from_sample >= 100_000 for final in bench.finals] == [True]


def test_speech_long_after_an_unanswered_sound_is_not_joined_to_it() -> None:
    bench = Bench()
    bench.take(bench.segmenter.speech(0, speaking=True))
    bench.feed(loud(200) + quiet(200), answer_ms=50)
    bench.take(bench.segmenter.speech(0, speaking=False))
    bench.feed(quiet(3_000))
    bench.take(bench.segmenter.speech(3_400 * MS, speaking=True))
    assert [(final.finalize_id, final.text) for final in bench.finals] == [(0, "some words 1")]
    bench.feed(loud(500))
    assert len(bench.jobs[-1].pcm) // 2 <= 800 * MS


step = st.one_of(
    st.tuples(st.just("loud"), st.integers(1, 150)),
    st.tuples(st.just("quiet"), st.integers(1, 60)),
    st.tuples(st.just("gap"), st.integers(1, 400)),
    st.tuples(st.just("speech"), st.integers(0, 30)),
    st.tuples(st.just("silence"), st.just(0)),
    st.tuples(st.just("finalize"), st.integers(-20, 10)),
    st.tuples(st.just("answer"), st.integers(0, 3)),
    st.tuples(st.just("overdue"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=50))
def test_each_finalize_is_answered_once_in_order_and_no_sound_twice(steps: list[tuple[str, int]]) -> None:
    bench = Bench()
    machine = bench.segmenter
    asked: list[int] = []
    answered: set[int] = set()

    def answer(count: int) -> None:
        for job in [job for job in bench.jobs if job.job not in answered][:count]:
            answered.add(job.job)
            bench.answer(job.job, f"word{job.job} more", 100)

    since = 0
    for name, value in steps:
        now = machine.next_sample
        if name == "loud":
            bench.feed(loud(value * 20))
        elif name == "quiet":
            bench.feed(quiet(value * 20))
        elif name == "gap":
            bench.take(machine.feed(now + value * 320, loud(20)))
        elif name == "speech":
            since = max(0, now - value * 320)
            bench.take(machine.speech(since, speaking=True))
        elif name == "silence":
            bench.take(machine.speech(since, speaking=False))
        elif name == "finalize":
            asked.append(len(asked) + 1)
            bench.take(machine.finalize(asked[-1], max(0, now + value * 320)))
        elif name == "overdue":
            bench.take(machine.overdue())
        else:
            answer(value)
    bench.take(machine.overdue())
    answer(10**6)
    assert [final.finalize_id for final in bench.finals if final.finalize_id] == asked
    place = 0
    for final in bench.finals:
        for word in final.words:
            assert place <= word.from_sample <= word.to_sample
            place = word.to_sample
    assert all(len(job.pcm) <= 30 * 32_000 for job in bench.jobs)


def test_speech_that_ended_before_a_takeover_is_transcribed() -> None:
    told = Bench(from_sample=16_000)
    told.take(told.segmenter.speech(8_000, speaking=False))
    untold = Bench(from_sample=16_000)
    for bench in (told, untold):
        bench.feed(loud(1_000) + quiet(400))
        bench.take(bench.segmenter.finalize(3, 16_000 + 1_000 * MS))
        (job,) = bench.jobs
        assert job.kind is JobKind.FINAL
        bench.answer(job.job, "words of before")
        (final,) = bench.finals
        assert (final.finalize_id, final.text) == (3, "words of before")
        assert 16_000 <= final.words[0].from_sample < final.words[-1].to_sample <= 16_000 + 1_100 * MS
