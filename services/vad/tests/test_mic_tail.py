from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_vad.log_mel import INPUT_SAMPLES
from natter_vad.mic_tail import MicTail


def pcm(first: int, count: int) -> bytes:
    """Samples that tell their own number (never 0)."""
    return (np.arange(first, first + count) % 30_000 + 1).astype("<i2").tobytes()


def test_what_was_never_pushed_is_nothing() -> None:
    tail = MicTail()
    assert tail.read(0, 1_000) == b""
    tail.push(0, pcm(0, 320))
    assert tail.read(100, 5_000) == pcm(100, 220)
    assert tail.read(400, 300) == b""


pushes = st.lists(st.tuples(st.sampled_from([0, 0, 0, 160, 50_000, 140_000]), st.integers(1, 60_000)), max_size=8)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 300_000), pushes, st.integers(0, 300_000), st.integers(0, 200_000))
def test_it_holds_the_last_8_s_and_zeros_for_gaps(
    start: int, steps: list[tuple[int, int]], back: int, length: int
) -> None:
    tail = MicTail()
    known = np.zeros(2_000_000, "<i2")
    at = start
    for gap, count in steps:
        at += gap
        tail.push(at, pcm(at, count))
        known[at : at + count] = np.frombuffer(pcm(at, count), "<i2")
        at += count
    begin = max(0, at - back)
    expected = known[max(begin, at - INPUT_SAMPLES, 0) : min(begin + length, at)] if steps else known[:0]
    assert tail.read(begin, begin + length) == expected.tobytes()
