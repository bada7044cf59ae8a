"""Voice without word times, given out when it is whole."""

import numpy as np

from natter_tts.provider import RATE_HZ
from natter_tts.whole import has_letters, silent_segment, whole_segment


def test_it_is_trimmed_and_its_words_are_spread() -> None:
    tone = np.rint(8000 * np.sin(2 * np.pi * 300 * np.arange(RATE_HZ) / RATE_HZ)).astype("<i2").tobytes()
    quiet = bytes(2 * RATE_HZ // 2)
    chunks = whole_segment("One two.", "one two.", quiet + tone + quiet)
    total = chunks[-1].total_samples
    assert total == sum(len(chunk.pcm) // 2 for chunk in chunks)
    assert abs(total - RATE_HZ * 1265 // 1000) <= RATE_HZ * 30 // 1000
    assert len(chunks[0].pcm) == 2 * 480
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == ["One", "two."]
    assert all(word.estimated for word in words)
    assert abs(words[-1].to_sample - RATE_HZ) <= RATE_HZ * 30 // 1000


def test_nothing_to_say() -> None:
    assert has_letters("a")
    assert not has_letters("—!")
    end = silent_segment("😀 —")
    assert end.end
    assert [word.text for word in end.words] == ["😀", "—"]


def test_silence_is_a_segment_without_samples() -> None:
    (end,) = whole_segment("One.", "one.", bytes(4800))
    assert end.end
    assert end.total_samples == 0
    assert [word.text for word in end.words] == ["One."]
