from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from natter_stt.timeline import MAX_JUMPS, Timeline


def test_times_of_the_stream_are_samples_of_the_session_over_jumps() -> None:
    line = Timeline()
    line.sent(16_000, 8_000)
    line.sent(24_000, 8_000)
    line.sent(160_000, 16_000)  # nothing was sent in between
    assert line.sent_samples == 32_000
    assert line.begin(0.0) == 16_000
    assert line.begin(0.75) == 28_000
    # At the jump an end lies before it, a beginning behind it.
    assert line.end(1.0) == 32_000
    assert line.begin(1.0) == 160_000
    assert line.end(1.5) == 168_000


def test_silence_that_is_not_the_sessions_moves_nothing() -> None:
    line = Timeline()
    line.silence(1_600, 50_000)
    line.sent(50_000, 320)
    assert line.begin(0.1) == 50_000


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(320, 3_200)), min_size=1, max_size=400))
def test_every_sample_of_the_last_pieces_is_found(pieces: list[tuple[int, int]]) -> None:
    line, session, stream, sent = Timeline(), 0, 0, []
    for gap, count in pieces:
        session += gap
        line.sent(session, count)
        sent.append((stream, session, count))
        session += count
        stream += count
    for at, first, count in sent[-MAX_JUMPS:]:
        assert line.begin(at / 16_000) == first
        assert line.end((at + count) / 16_000) == first + count
