"""Segments that were lost or heard twice, also where a second voice made of one."""

from dataclasses import replace

import numpy as np
import pytest

from natter_bench.chaos.segments import SegmentsFound, segments_found
from natter_bench.measure import Sound
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.speech import say
from natter_bench.talk.observer import VoicedSegment, VoicedWord

TEXT = "Today we look at the fishing boats then we walk along the harbour wall."
REST = "After that there is tea for everyone."
WORDS = TEXT.split()
KEPT = 6
"""Words that the first voice made before it broke off."""


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * VOICE_HZ), dtype=np.int16)


def making(pcm: Pcm, words: list[str], *, epoch: int = 1, segment: int = 1) -> VoicedSegment:
    step = len(pcm) // len(words)
    voiced = tuple(VoicedWord(word, n * step, (n + 1) * step) for n, word in enumerate(words))
    return VoicedSegment((1, 1), segment, pcm, voiced, (1, epoch))


def other(pcm: Pcm) -> Pcm:
    """The same words 4 % faster, as another worker might say them."""
    places = np.arange(0, len(pcm) - 1, 1.04)
    return np.interp(places, np.arange(len(pcm)), pcm).astype(np.int16)


@pytest.fixture(scope="module")
def whole() -> VoicedSegment:
    return making(say(TEXT).at(VOICE_HZ).pcm, WORDS)


@pytest.fixture(scope="module")
def first(whole: VoicedSegment) -> VoicedSegment:
    """What the first voice made of it."""
    return making(whole.pcm[: whole.words[KEPT].from_sample], WORDS[:KEPT])


@pytest.fixture(scope="module")
def rest() -> VoicedSegment:
    """What the second voice made behind that."""
    return making(say(" ".join(WORDS[KEPT:])).at(VOICE_HZ).pcm, WORDS[KEPT:], epoch=2)


def found(makings: list[VoicedSegment], *parts: Pcm) -> SegmentsFound:
    texts = {(1, 1, 1): TEXT, (1, 1, 2): REST}
    return segments_found(makings, texts, Sound(0.0, np.concatenate([silence(0.5), *parts, silence(0.5)])))


def counts(makings: list[VoicedSegment], *parts: Pcm) -> tuple[int, int]:
    one = found(makings, *parts)
    return one.lost, one.doubled


@pytest.mark.parametrize("alike", [True, False])
def test_a_voice_that_takes_over_says_a_whole_segment_again(whole: VoicedSegment, alike: bool) -> None:
    again = replace(whole, pcm=whole.pcm if alike else other(whole.pcm), lease=(1, 2))
    behind = making(say(REST).at(VOICE_HZ).pcm, REST.split(), epoch=2, segment=2)
    assert counts([whole, again, behind], whole.pcm, silence(0.4), again.pcm, behind.pcm) == (0, 1)


@pytest.mark.parametrize("alike", [True, False])
def test_a_voice_that_takes_over_begins_a_segment_anew(whole: VoicedSegment, first: VoicedSegment, alike: bool) -> None:
    again = replace(whole, pcm=whole.pcm if alike else other(whole.pcm), lease=(1, 2))
    assert counts([first, again], first.pcm, silence(0.4), again.pcm) == (0, 1)


def test_a_voice_that_takes_over_says_the_rest(first: VoicedSegment, rest: VoicedSegment) -> None:
    one = found([first, rest], first.pcm, silence(0.4), rest.pcm)
    assert (one.lost, one.doubled) == (0, 0)
    assert one.hole_ms == pytest.approx(400, abs=60)


def test_the_beginning_of_a_segment_is_lost(first: VoicedSegment, rest: VoicedSegment) -> None:
    assert counts([first, rest], first.pcm[: len(first.pcm) // 3], silence(0.4), rest.pcm) == (1, 0)
    assert counts([first, rest], rest.pcm) == (1, 0)


def test_a_voice_that_takes_over_leaves_out_words(first: VoicedSegment) -> None:
    short = making(say(" ".join(WORDS[KEPT + 2 :])).at(VOICE_HZ).pcm, WORDS[KEPT + 2 :], epoch=2)
    assert counts([first, short], first.pcm, silence(0.4), short.pcm) == (1, 0)


@pytest.mark.parametrize("alike", [True, False])
def test_what_the_first_voice_made_was_not_played(whole: VoicedSegment, first: VoicedSegment, alike: bool) -> None:
    again = replace(whole, pcm=whole.pcm if alike else other(whole.pcm), lease=(1, 2))
    assert counts([first, again], again.pcm) == (0, 0)


def test_the_first_of_two_copies_is_the_worse_one(whole: VoicedSegment) -> None:
    rough = np.random.default_rng(1).normal(0.0, 1500.0, len(whole.pcm))
    worse = np.clip(whole.pcm + rough, -32768, 32767).astype(np.int16)
    assert counts([whole], whole.pcm) == (0, 0)
    assert counts([whole], worse, silence(0.4), whole.pcm) == (0, 1)


def test_most_of_a_segment_comes_again_in_its_middle(whole: VoicedSegment) -> None:
    cut = whole.words[9].from_sample
    assert counts([whole], whole.pcm[:cut], silence(0.2), whole.pcm) == (0, 1)


def test_a_segment_comes_again_behind_the_one_that_follows_it(whole: VoicedSegment) -> None:
    behind = making(say(REST).at(VOICE_HZ).pcm, REST.split(), segment=2)
    # Never the same through a codec: here the first copy is a little worse.
    hiss = np.random.default_rng(1).normal(0.0, 100.0, len(whole.pcm))
    first = np.clip(whole.pcm + hiss, -32768, 32767).astype(np.int16)
    assert counts([whole, behind], first, behind.pcm, whole.pcm) == (0, 1)
