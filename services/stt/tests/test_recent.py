from __future__ import annotations

import numpy as np

from natter_stt.recent import KEPT_SAMPLES, RecentAudio


def ramp(first: int, count: int) -> bytes:
    """Samples that tell their number."""
    return (np.arange(first, first + count) % 30_000).astype("<i2").tobytes()


def test_audio_is_read_from_any_sample_in_one_piece() -> None:
    recent = RecentAudio(100)
    for first in range(100, 1_060, 320):
        recent.append(first, ramp(first, 320))
    assert recent.next_sample == 1_060
    assert recent.read(250, 400) == (250, ramp(250, 400))
    assert recent.read(900, 10_000) == (900, ramp(900, 160))
    assert recent.read(1_060, 320) is None


def test_what_is_known_is_ignored_and_a_gap_ends_a_piece() -> None:
    recent = RecentAudio(0)
    recent.append(0, ramp(0, 320))
    recent.append(160, ramp(160, 320))
    assert recent.next_sample == 480
    recent.append(1_000, ramp(1_000, 320))
    assert recent.read(0, 10_000) == (0, ramp(0, 480))
    assert recent.read(480, 10_000) == (1_000, ramp(1_000, 320))
    assert recent.read(600, 10_000) == (1_000, ramp(1_000, 320))


def test_the_oldest_is_dropped() -> None:
    recent = RecentAudio(0)
    for first in range(0, 2 * KEPT_SAMPLES, 3_200):
        recent.append(first, ramp(first, 3_200))
    assert recent.next_sample - KEPT_SAMPLES <= recent.oldest_sample <= recent.next_sample - KEPT_SAMPLES + 3_200
    found = recent.read(0, 320)
    assert found == (recent.oldest_sample, ramp(recent.oldest_sample, 320))
