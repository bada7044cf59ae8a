from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_stt.local.ring import BLOCK_SAMPLES, CAPACITY_SAMPLES, SILENT_DBFS, AudioRing


def pcm(first: int, count: int) -> bytes:
    """Samples that tell their own number (never 0)."""
    return (np.arange(first, first + count) % 30_000 + 1).astype("<i2").tobytes()


def test_what_went_in_comes_out() -> None:
    ring = AudioRing(1_000)
    ring.append(1_000, pcm(1_000, 640))
    assert ring.read(1_000, 1_640) == pcm(1_000, 640)
    assert ring.read(0, 1_010) == pcm(1_000, 10)
    assert ring.read(1_630, 9_999) == pcm(1_630, 10)
    assert ring.read(5_000, 6_000) == b""


def test_samples_known_already_are_ignored_and_missing_ones_are_silence() -> None:
    ring = AudioRing(0)
    ring.append(0, pcm(0, 320))
    ring.append(0, pcm(0, 320))
    ring.append(160, pcm(160, 320))
    ring.append(800, pcm(800, 160))
    assert ring.next_sample == 960
    assert ring.read(0, 960) == pcm(0, 480) + bytes(640) + pcm(800, 160)


def test_a_long_gap_forgets_all_before() -> None:
    ring = AudioRing(0)
    ring.append(0, pcm(0, 320))
    ring.append(10**7, pcm(10**7, 320))
    assert ring.oldest_sample == 10**7
    assert ring.read(0, 10**8) == pcm(10**7, 320)


def test_the_last_30_s_are_kept() -> None:
    ring = AudioRing(0)
    for at in range(0, CAPACITY_SAMPLES + 3_200, 3_200):
        ring.append(at, pcm(at, 3_200))
    assert ring.next_sample - ring.oldest_sample == CAPACITY_SAMPLES
    assert ring.read(0, 10**9) == pcm(ring.oldest_sample, CAPACITY_SAMPLES)


def test_levels_are_of_whole_blocks() -> None:
    ring = AudioRing(0)
    ring.append(0, (np.ones(480) * 16_384).astype("<i2").tobytes())
    assert list(ring.levels(0, 10)) == pytest.approx([-6.02], abs=0.01)
    ring.append(480, bytes(960))
    assert list(ring.levels(0, 10)) == pytest.approx([-6.02, -9.03, SILENT_DBFS], abs=0.01)


@settings(deadline=None)
@given(st.integers(0, 2_000), st.lists(st.tuples(st.integers(-900, 1_500), st.integers(0, 1_200)), max_size=40))
def test_any_frames_in_any_order(start: int, frames: list[tuple[int, int]]) -> None:
    ring = AudioRing(start)
    expected = np.zeros(start, "<i2")
    for offset, count in frames:
        first = max(0, ring.next_sample + offset)
        if first > len(expected) and count:
            expected = np.concatenate([expected, np.zeros(first - len(expected), "<i2")])
        new = np.frombuffer(pcm(first, count), "<i2")[max(0, len(expected) - first) :]
        expected = np.concatenate([expected, new])
        ring.append(first, pcm(first, count))
    assert ring.next_sample == len(expected)
    assert ring.read(start, len(expected)) == expected[start:].tobytes()
    first_block = ring.clamp_block(0)
    levels = ring.levels(0, 10**6)
    assert len(levels) == max(0, len(expected) // BLOCK_SAMPLES - first_block)
    for block, level in enumerate(levels.tolist(), first_block):
        piece = expected[block * BLOCK_SAMPLES : (block + 1) * BLOCK_SAMPLES].astype(np.float64)
        power = (piece**2).mean() / 32_768**2
        assert level == pytest.approx(10 * np.log10(power) if power else SILENT_DBFS, abs=0.01)
