from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_stt.local.loudness import Stretch, loud_between, quietest_sample
from natter_stt.local.ring import BLOCK_SAMPLES, AudioRing
from natter_stt.local.words import is_mistrusted, spread


def stretch(pattern: str, first_block: int = 0) -> Stretch:
    return Stretch(first_block, np.array([letter == "#" for letter in pattern], np.bool_))


def noise(duration_ms: int, amplitude: float) -> bytes:
    return (np.random.default_rng(1).normal(0, amplitude, duration_ms * 16)).astype("<i2").tobytes()


def ring_of(*pieces: tuple[int, float]) -> AudioRing:
    """Stretches of noise: duration in ms and amplitude."""
    ring = AudioRing(0)
    for duration_ms, amplitude in pieces:
        ring.append(ring.next_sample, noise(duration_ms, amplitude))
    return ring


def test_words_share_the_sound_by_their_letters_and_leave_pauses_out() -> None:
    words = spread("Hi there.", stretch("..##....#####..", first_block=100))
    assert [(word.text, word.from_sample // 320, word.to_sample // 320) for word in words] == [
        ("Hi", 102, 104),
        ("there.", 108, 113),
    ]
    assert all(word.estimated for word in words)


def test_a_lone_you_out_of_a_short_sound_is_not_believed() -> None:
    assert is_mistrusted("You", 200)
    assert is_mistrusted("Thank you.", 380)
    assert is_mistrusted("...", 5_000)
    assert not is_mistrusted("Thank you.", 400)
    assert not is_mistrusted("Stop.", 200)
    assert not is_mistrusted("You there", 200)


def test_loud_blocks_stand_out_of_the_room() -> None:
    for room in (0, 10, 60):
        ring = ring_of((1_000, room), (400, 3_000), (200, room), (400, 3_000), (300, room))
        heard = loud_between(ring, 16_000, ring.next_sample)
        assert heard.loud_blocks == 40
        assert heard.quiet_at_end == 15
        assert heard.end_sample == 2_000 * 16


def test_a_quiet_room_holds_nothing() -> None:
    assert loud_between(ring_of((2_000, 20)), 0, 32_000).loud_blocks == 0
    assert loud_between(AudioRing(0), 0, 32_000).loud_blocks == 0


def test_the_border_is_put_at_the_quietest_place() -> None:
    ring = ring_of((1_000, 3_000), (120, 300), (1_000, 3_000), (120, 50), (1_000, 3_000))
    at = quietest_sample(ring, 0, ring.next_sample)
    assert 2_120 <= at // 16 <= 2_240
    assert 1_000 <= quietest_sample(ring, 0, 2_000 * 16) // 16 <= 1_120


texts = st.lists(st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=9), max_size=12)


@settings(deadline=None)
@given(texts, st.lists(st.booleans(), max_size=80), st.integers(0, 10_000))
def test_words_follow_each_other_inside_the_stretch(texts: list[str], loud: list[bool], first_block: int) -> None:
    text = " ".join(texts)
    words = spread(text, Stretch(first_block, np.array(loud, np.bool_)))
    assert [word.text for word in words] == text.split()
    place = first_block * BLOCK_SAMPLES
    for word in words:
        assert place <= word.from_sample <= word.to_sample
        place = word.to_sample
    if loud:
        assert place <= (first_block + len(loud)) * BLOCK_SAMPLES
