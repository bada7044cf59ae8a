"""Which words were heard, on a voice that was cut, held and resumed."""

import numpy as np
import pytest

from natter_bench.opus import Decoder, Encoder, Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.speech import say
from natter_bench.talk.audible import words_heard
from natter_bench.talk.observer import VoicedSegment, VoicedWord

TEXT = "Today we look at the fishing boats then we walk along the harbour wall"


@pytest.fixture(scope="module")
def segment() -> VoicedSegment:
    """A sentence whose words are spread over its length."""
    pcm = say(TEXT).at(VOICE_HZ).pcm
    words = TEXT.split()
    step = len(pcm) // len(words)
    return VoicedSegment(
        (1, 1), 1, pcm, tuple(VoicedWord(word, n * step, (n + 1) * step) for n, word in enumerate(words))
    )


def sent(pcm: Pcm) -> Pcm:
    """Through the codec, behind half a second of nothing."""
    encoder, decoder = Encoder(VOICE_HZ), Decoder(VOICE_HZ)
    size = encoder.frame_samples
    whole = np.concatenate([np.zeros(VOICE_HZ // 2, dtype=np.int16), pcm, np.zeros(VOICE_HZ, dtype=np.int16)])
    whole = whole[: len(whole) // size * size]
    return np.concatenate([decoder.decode(encoder.encode(whole[at : at + size])) for at in range(0, len(whole), size)])


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * VOICE_HZ), dtype=np.int16)


def test_all_of_a_reply_that_was_played(segment: VoicedSegment) -> None:
    assert words_heard([segment], sent(segment.pcm)) == [[True] * len(segment.words)]


@pytest.mark.parametrize("cut_s", [0.5, 1.1, 1.9, 2.6])
def test_words_up_to_a_cut(segment: VoicedSegment, cut_s: float) -> None:
    cut = round(cut_s * VOICE_HZ)
    expected = sum((word.from_sample + word.to_sample) // 2 < cut for word in segment.words)
    heard = sum(words_heard([segment], sent(segment.pcm[:cut]))[0])
    assert abs(heard - expected) <= 1


def test_nothing_is_lost_in_a_hold_that_starts_its_word_again(segment: VoicedSegment) -> None:
    cut = segment.words[6].from_sample + 3000
    again = segment.words[6].from_sample
    played = np.concatenate([segment.pcm[:cut], silence(1.0), segment.pcm[again:]])
    assert sum(words_heard([segment], sent(played))[0]) >= len(segment.words) - 1


def test_words_that_a_resume_skips_are_missed(segment: VoicedSegment) -> None:
    played = np.concatenate(
        [segment.pcm[: segment.words[4].to_sample], silence(1.0), segment.pcm[segment.words[9].from_sample :]]
    )
    marks = words_heard([segment], sent(played))[0]
    assert marks[:4] == [True] * 4
    assert not any(marks[6:8])
    assert all(marks[10:-1])


def test_nothing_was_heard_of_what_was_not_played(segment: VoicedSegment) -> None:
    assert not any(words_heard([segment], sent(say("What is the capital of France?").at(VOICE_HZ).pcm[:20000]))[0][4:])


def test_a_word_that_was_said_before_is_no_proof(segment: VoicedSegment) -> None:
    again = VoicedSegment((1, 1), 2, segment.pcm, segment.words)
    cut = segment.words[8].to_sample
    marks = words_heard([segment, again], sent(np.concatenate([segment.pcm, segment.pcm[:cut]])))
    assert sum(marks[0]) >= len(segment.words) - 1
    assert sum(marks[1]) == pytest.approx(9, abs=1)
    assert not any(words_heard([segment, again], sent(segment.pcm))[1])


def test_a_reply_long_after_the_call_began(segment: VoicedSegment) -> None:
    assert all(words_heard([segment], sent(np.concatenate([silence(9.0), segment.pcm])))[0])


def test_a_word_with_a_pause_in_its_times_is_heard_when_it_sounded(segment: VoicedSegment) -> None:
    longer = [*segment.words[:-1]]
    last = segment.words[-1]
    longer.append(VoicedWord(last.text, last.from_sample, len(segment.pcm) + VOICE_HZ))
    padded = VoicedSegment((1, 1), 1, np.concatenate([segment.pcm, silence(1.0)]), tuple(longer))
    assert words_heard([padded], sent(padded.pcm))[0][-1]
