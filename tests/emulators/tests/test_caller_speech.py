"""Speech detection takes the caller's speech for speech, as long as its words last."""

from itertools import pairwise

import numpy as np
import pytest

from natter_bench.speech import INTERRUPTION, LONG_QUESTIONS, QUESTIONS
from natter_emulators.marks import caller_speech, count_words, hear
from natter_vad.silero import WINDOW_SAMPLES, SileroModel, SileroState

THRESHOLD = 0.5
TEXTS = (
    *QUESTIONS,
    *LONG_QUESTIONS,
    INTERRUPTION,
    "No.",
    "Stop.",
    "Yes.",
    "No no no.",
    "I am fine. Tell me more.",
    "Mm. Uh huh.",
)


@pytest.fixture(scope="module")
def silero():
    return SileroModel()


def speech_spans_ms(silero, pcm):
    """Stretches over threshold of sound at 16 kHz."""
    state = SileroState()
    windows = pcm[: len(pcm) // WINDOW_SAMPLES * WINDOW_SAMPLES].astype(np.float32).reshape(-1, WINDOW_SAMPLES) / 32768
    spans = []
    for number, window in enumerate(windows):
        if silero.run([window], [state])[0] >= THRESHOLD:
            if spans and spans[-1][1] == number * 32:
                spans[-1][1] += 32
            else:
                spans.append([number * 32, number * 32 + 32])
    return spans


@pytest.mark.parametrize("text", TEXTS)
def test_all_words_lie_in_one_stretch_of_detected_speech(silero, text):
    made = caller_speech(text)
    lead = np.zeros(16_000, dtype=np.int16)
    spans = speech_spans_ms(silero, np.concatenate([lead, made.pcm, lead]))
    assert spans
    assert all(after[0] - before[1] <= 150 for before, after in pairwise(spans))
    first, last = 1000 + made.words[0].from_sample / 16, 1000 + made.words[-1].to_sample / 16
    # Speech that fills a window in part may go either way, at both ends.
    assert spans[0][0] <= first + 32
    assert spans[-1][1] >= last - 32
    assert count_words(text, hear(made.pcm, 16_000)).exact


def test_words_are_where_their_marks_are():
    made = caller_speech("Can you tell me something about the moon?")
    for word, heard in zip(made.words, hear(made.pcm, 16_000), strict=True):
        assert abs(word.from_sample - heard.from_sample) <= 320
        assert abs(word.to_sample - heard.to_sample) <= 320


def test_nothing_to_say():
    assert caller_speech("...").words == ()


def test_a_word_without_a_mark_is_named():
    with pytest.raises(ValueError, match="'xylophone'"):
        caller_speech("The xylophone, please.")
