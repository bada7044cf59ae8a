from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_vad.silero import WINDOW_SAMPLES
from natter_vad.windows import Piece, Quiet, Window, Windower

LENGTH = 8_000


def pcm(first: int, count: int) -> bytes:
    """Samples that tell their own number (never 0)."""
    return (np.arange(first, first + count) % 30_000 + 1).astype("<i2").tobytes()


def number(window: Window) -> np.ndarray:
    return np.rint(window.samples * 32_768).astype(int)


def test_frames_of_20_ms_become_windows_of_32_ms() -> None:
    windower = Windower()
    pieces = [piece for at in range(0, 3_200, 320) for piece in windower.push(at, pcm(at, 320))]
    windows = [piece for piece in pieces if isinstance(piece, Window)]
    assert [window.first_sample for window in windows] == [0, 512, 1024, 1536, 2048, 2560]
    assert [window.fresh for window in windows] == [True, *[False] * 5]
    assert np.array_equal(np.concatenate([number(window) for window in windows]), np.arange(3_072) + 1)
    assert windower.next_sample == 3_200


def test_windows_lie_on_the_same_grid_wherever_one_joins() -> None:
    windower = Windower()
    pieces = windower.push(960, pcm(960, 1_600))
    assert [piece.first_sample for piece in pieces if isinstance(piece, Window)] == [512, 1024, 1536, 2048]
    first = pieces[0]
    assert isinstance(first, Window)
    assert number(first)[: 960 - 512].sum() == 0
    assert number(first)[-1] == 1_024


def test_a_gap_is_quiet_and_the_model_starts_anew_behind_it() -> None:
    windower = Windower()
    windower.push(0, pcm(0, 640))
    pieces = windower.push(16_320, pcm(16_320, 640))
    assert isinstance(pieces[0], Window)
    assert pieces[0].first_sample == 512
    assert number(pieces[0])[128:].sum() == 0
    assert pieces[1] == Quiet(1_024, 15_872)
    assert isinstance(pieces[2], Window)
    assert (pieces[2].first_sample, pieces[2].fresh) == (15_872, True)


def test_muted_frames_are_quiet_whatever_is_in_them() -> None:
    windower = Windower()
    pieces: list[Piece] = []
    for at in range(0, 3_200, 320):
        pieces += windower.push(at, pcm(at, 320), muted=at >= 960)
    assert [piece.first_sample for piece in pieces if isinstance(piece, Window)] == [0, 512]
    assert next(piece.from_sample for piece in pieces if isinstance(piece, Quiet)) == 1_024
    assert [piece.to_sample for piece in pieces if isinstance(piece, Quiet)][-1] == 3_072


def test_what_was_heard_before_is_ignored() -> None:
    windower = Windower()
    windower.push(0, pcm(0, 640))
    assert windower.push(0, pcm(0, 640)) == []
    pieces = windower.push(320, pcm(320, 704))
    assert len(pieces) == 1
    assert isinstance(pieces[0], Window)
    assert np.array_equal(number(pieces[0]), np.arange(512, 1_024) + 1)


def test_bad_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        Windower().push(0, b"\0")
    with pytest.raises(ValueError, match="before the session"):
        Windower().push(-1, b"\0\0")


frames = st.lists(st.tuples(st.integers(0, LENGTH), st.integers(0, 900), st.booleans()), max_size=30)


@settings(deadline=None)
@given(frames, st.integers(0, 1_000))
def test_pieces_cover_everything_once_and_hold_what_came(frames: list[tuple[int, int, bool]], start: int) -> None:
    windower = Windower()
    pieces: list[Piece] = []
    heard = np.zeros(LENGTH + 2_000, int)
    upto = 0
    for first, count, muted in frames:
        pieces += windower.push(first + start, pcm(first + start, count), muted=muted)
        a, b = max(first + start, upto), first + start + count
        if b > a:
            if not muted:
                heard[a:b] = np.arange(a, b) % 30_000 + 1
            upto = b
    end: int | None = None
    for piece in pieces:
        begin = piece.first_sample if isinstance(piece, Window) else piece.from_sample
        assert begin % WINDOW_SAMPLES == 0
        assert end is None or begin == end
        if isinstance(piece, Window):
            assert np.array_equal(number(piece), heard[begin : begin + WINDOW_SAMPLES])
            end = begin + WINDOW_SAMPLES
        else:
            assert piece.to_sample > begin
            assert not heard[begin : piece.to_sample].any()
            end = piece.to_sample
    if end is not None:
        assert windower.next_sample is not None
        assert 0 <= windower.next_sample - end < WINDOW_SAMPLES
