"""Trimming, pauses, chunks, and the way to s16."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_tts.shape import (
    CHUNK_SAMPLES,
    FRAME_SAMPLES,
    LEAD_SAMPLES,
    Chunker,
    pause_samples,
    sound_span,
    to_s16,
    trim,
)


def tone(samples: int, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(np.arange(samples) * 0.1)).astype(np.float32)


def padded(before: int, sound: int, behind: int) -> np.ndarray:
    return np.concatenate([np.zeros(before, np.float32), tone(sound), np.zeros(behind, np.float32)])


@pytest.mark.parametrize(
    ("spoken", "pause_ms"),
    [
        ("Yes, ", 120),
        ("Yes.", 250),
        ("“Yes!”", 250),
        ("Yes?)", 250),
        ("Yes", 20),
        ("Yes —", 120),
        ("是。", 250),
        ("", 20),
    ],
)
def test_the_pause_of_punctuation(spoken: str, pause_ms: int) -> None:
    assert pause_samples(spoken) == pause_ms * 24


def test_a_line_without_punctuation_ends_like_a_sentence() -> None:
    assert pause_samples("one egg", "- one egg\n") == 250 * 24
    assert pause_samples("one egg,", "- one egg,\n") == 120 * 24
    assert pause_samples("one egg", "one egg ") == 20 * 24


@given(st.integers(0, 12_000), st.integers(480, 24_000), st.integers(0, 12_000), st.sampled_from([0, 2880, 6000]))
def test_a_segment_starts_with_its_sound_and_ends_with_its_pause(
    before: int, sound: int, behind: int, pause: int
) -> None:
    audio, cut = trim(padded(before, sound, behind), pause)
    span = sound_span(audio)
    assert span is not None
    assert span[0] <= FRAME_SAMPLES
    assert cut <= before
    assert before - cut <= LEAD_SAMPLES + 240
    assert abs(len(audio) - span[1] - pause) <= 360


def test_silence_gives_nothing() -> None:
    assert len(trim(np.zeros(24_000, np.float32), 6000)[0]) == 0
    assert len(trim(np.zeros(3, np.float32), 6000)[0]) == 0


@given(st.floats(-8, 8, width=32))
def test_the_limiter_bends_and_never_wraps(value: float) -> None:
    (sample,) = np.frombuffer(to_s16(np.array([value], np.float32)), "<i2")
    assert np.sign(sample) in (0, np.sign(value))
    assert abs(int(sample)) <= 32_767
    if abs(value) <= 0.8:
        assert abs(sample - value * 32_767) <= 1


@given(st.lists(st.integers(0, 20_000), max_size=8))
def test_chunks_join_to_what_went_in(sizes: list[int]) -> None:
    pcm = [bytes(np.full(size, n + 1, "<i2").tobytes()) for n, size in enumerate(sizes)]
    chunker = Chunker()
    chunks = [chunk for piece in pcm for chunk in chunker.feed(piece)]
    chunks += chunker.finish()
    joined, whole = b"".join(data for _, data in chunks), b"".join(pcm)
    assert joined[: len(whole)] == whole
    assert not any(joined[len(whole) :])
    assert len(joined) - len(whole) < 2 * FRAME_SAMPLES
    assert chunker.sent_samples == len(joined) // 2
    position = 0
    for number, (first_sample, data) in enumerate(chunks):
        samples = len(data) // 2
        assert first_sample == position
        assert samples % FRAME_SAMPLES == 0
        assert samples == FRAME_SAMPLES if number == 0 else 0 < samples <= CHUNK_SAMPLES
        position += samples
