"""The playout queue: nothing lost, nothing twice, and what hold, resume and cut leave behind."""

import numpy as np
import pytest

from natter_gateway.media.playout import (
    HoleClosed,
    Playout,
    PlayoutOrderError,
    PlayoutOverflowError,
    PoppedFrame,
    SegmentFinished,
    SegmentStarted,
    Span,
    State,
)
from natter_gateway.media.segment import PlayoutGapError

A, B, C = (1, 1, 0), (1, 1, 1), (1, 1, 2)
FRAME = 480


def sound(samples: int, seed: int = 0) -> bytes:
    """Loud noise: no two places of it are alike."""
    return np.random.default_rng(seed).integers(-12000, 12000, samples, dtype="<i2").tobytes()


def pop_all(playout: Playout, limit: int = 10_000) -> list[PoppedFrame]:
    frames = []
    while playout.state is not State.IDLE and len(frames) < limit:
        frames.append(playout.pop())
    return frames


def joined(frames: list[PoppedFrame]) -> bytes:
    return b"".join(frame.pcm or b"" for frame in frames)


def rms(pcm: bytes | None) -> float:
    return 0.0 if pcm is None else float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


def test_idle_is_silence() -> None:
    playout = Playout()
    frame = playout.pop()
    assert frame == PoppedFrame(None)
    assert not frame.audible
    assert playout.state is State.IDLE


def test_voice_goes_out_with_the_next_pop() -> None:
    playout = Playout()
    pcm = sound(FRAME)
    playout.push(A, pcm, 0)
    frame = playout.pop()
    assert frame.pcm == pcm
    assert frame.spans == (Span(A, 0, FRAME),)
    assert frame.events == (SegmentStarted(A),)
    assert frame.audible


def test_segments_follow_each_other_without_a_gap() -> None:
    playout = Playout()
    first, second = sound(700, 1), sound(500, 2)
    playout.push(B, second, 0)
    playout.push(A, first, 0)
    playout.end(A, 700)
    playout.end(B, 500)
    frames = pop_all(playout)
    assert joined(frames) == first + second + bytes(2 * (3 * FRAME - 1200))
    assert frames[1].spans == (Span(A, 480, 220), Span(B, 0, 260))
    assert frames[1].events == (SegmentFinished(A, 700), SegmentStarted(B))
    assert frames[2].events == (SegmentFinished(B, 500),)
    assert playout.played == {A: 700, B: 500}


def test_an_open_segment_keeps_the_next_one_waiting() -> None:
    playout = Playout()
    playout.push(A, sound(FRAME), 0)
    playout.push(B, sound(FRAME), 0)
    playout.pop()
    hole = playout.pop()
    assert hole == PoppedFrame(None, in_segment=True)
    playout.end(A, FRAME)
    frame = playout.pop()
    assert frame.events == (SegmentFinished(A, FRAME), SegmentStarted(B))
    assert playout.counters.holes == 0, "nothing of A came later, so nothing was missing"


def test_late_voice_is_a_hole_and_counted() -> None:
    playout = Playout()
    playout.push(A, sound(FRAME), 0)
    playout.pop()
    assert [playout.pop().pcm for _ in range(4)] == [None] * 4
    playout.push(A, sound(FRAME), FRAME)
    assert playout.pop().events == (HoleClosed(A, FRAME, 80),)
    assert (playout.counters.holes, playout.counters.hole_ms, playout.counters.longest_hole_ms) == (1, 80, 80)


def test_less_than_a_frame_waits_for_the_rest_or_the_end() -> None:
    playout = Playout()
    pcm = sound(600)
    playout.push(A, pcm[:400], 0)
    assert playout.pop().pcm is None
    playout.push(A, pcm[400:], 200)
    assert playout.pop().pcm == pcm[:960]
    assert playout.pop().pcm is None
    playout.end(A, 600)
    assert playout.pop().pcm == pcm[960:] + bytes(2 * 360)


def test_what_is_sent_again_is_ignored() -> None:
    playout = Playout()
    pcm = sound(1440)
    playout.push(A, pcm[:1920], 0)
    playout.push(A, pcm[960:], 480)
    playout.push(A, pcm, 0)
    playout.end(A, 1440)
    playout.end(A, 1440)
    assert joined(pop_all(playout)) == pcm
    playout.push(A, pcm[:960], 0)
    playout.end(A, 1440)
    assert playout.state is State.IDLE
    assert playout.counters.repeated_samples == 480 + 1440 + 480


def test_missing_voice_is_an_error() -> None:
    playout = Playout()
    playout.push(A, sound(100), 0)
    with pytest.raises(PlayoutGapError):
        playout.push(A, sound(100), 101)
    with pytest.raises(PlayoutGapError):
        playout.push(B, sound(100), 1)
    assert playout.queued_samples == 100


def test_lengths_must_fit() -> None:
    playout = Playout()
    playout.push(A, sound(100), 0)
    with pytest.raises(ValueError, match="known"):
        playout.end(A, 99)
    playout.end(A, 150)
    with pytest.raises(ValueError, match="beyond"):
        playout.push(A, sound(51), 100)
    with pytest.raises(ValueError, match="known"):
        playout.end(A, 151)
    with pytest.raises(ValueError, match="bytes"):
        playout.push(B, b"123", 0)


def test_a_segment_whose_turn_is_over_is_an_error() -> None:
    playout = Playout()
    playout.push(B, sound(FRAME), 0)
    playout.pop()
    with pytest.raises(PlayoutOrderError):
        playout.push(A, sound(FRAME), 0)
    playout.end(B, FRAME)
    playout.pop()
    with pytest.raises(PlayoutOrderError):
        playout.push(B, sound(FRAME), FRAME)
    with pytest.raises(PlayoutOrderError):
        playout.end(B, FRAME + 1)


def test_an_empty_segment_begins_and_ends() -> None:
    playout = Playout()
    playout.end(A, 0)
    assert playout.pop().events == (SegmentStarted(A), SegmentFinished(A, 0))
    assert playout.state is State.IDLE


def test_too_much_voice_fails_and_changes_nothing() -> None:
    playout = Playout(max_queued_s=1)
    playout.push(A, sound(24_000), 0)
    with pytest.raises(PlayoutOverflowError):
        playout.push(A, sound(1), 24_000)
    with pytest.raises(PlayoutOverflowError):
        playout.push(B, sound(1), 0)
    playout.pop()
    playout.push(A, sound(FRAME), 24_000)
    assert playout.queued_samples == 24_000


def test_hold_fades_within_40_ms_and_loses_nothing() -> None:
    playout = Playout()
    pcm = sound(10 * FRAME)
    playout.push(A, pcm, 0)
    playout.end(A, 10 * FRAME)
    before = [playout.pop() for _ in range(3)]
    playout.hold()
    assert playout.state is State.FADING
    assert playout.held_at == (A, 3 * FRAME)
    fade = [playout.pop(), playout.pop()]
    assert rms(before[-1].pcm) > rms(fade[0].pcm) > rms(fade[1].pcm) > 0
    assert abs(np.frombuffer(fade[1].pcm, "<i2")[-20:].astype(int)).max() < 20
    assert playout.state is State.HELD
    assert [playout.pop() for _ in range(50)] == [PoppedFrame(None)] * 50
    playout.resume()
    rest = pop_all(playout)
    assert rest[0].spans == (Span(A, 3 * FRAME, FRAME),)
    assert joined(before) + joined(rest)[240:] == pcm[: 3 * 960] + pcm[3 * 960 + 240 :]  # but for the 5 ms fade-in
    assert [event for frame in rest for event in frame.events] == [SegmentFinished(A, 10 * FRAME)]


def test_resume_goes_back_to_the_start_of_the_cut_word() -> None:
    playout = Playout()
    pcm = sound(10 * FRAME)
    playout.push(A, pcm, 0)
    for _ in range(5):
        playout.pop()
    playout.hold()
    playout.pop()
    playout.resume(A, 1000)
    frame = playout.pop()
    assert frame.spans == (Span(A, 1000, FRAME),)
    assert frame.pcm is not None
    assert frame.pcm[240:] == pcm[2240 : 2000 + 960]
    assert playout.played == {A: 1480}


def test_resume_may_go_back_into_the_segment_before() -> None:
    playout = Playout()
    first, second = sound(1000, 1), sound(5 * FRAME, 2)
    playout.push(A, first, 0)
    playout.end(A, 1000)
    playout.push(B, second, 0)
    playout.end(B, 5 * FRAME)
    started = [playout.pop() for _ in range(3)]
    playout.hold()
    playout.pop()
    playout.pop()
    playout.resume(A, 700)
    again = pop_all(playout)
    assert again[0].spans == (Span(A, 700, 300), Span(B, 0, 180))
    assert joined(again)[240 : 2 * (300 + 5 * FRAME)] == (first[1400:] + second)[240:]
    events = [event for frame in started + again for event in frame.events]
    assert events == [SegmentStarted(A), SegmentFinished(A, 1000), SegmentStarted(B), SegmentFinished(B, 5 * FRAME)]


def test_resume_does_not_jump_ahead() -> None:
    playout = Playout()
    playout.push(A, sound(10 * FRAME), 0)
    playout.push(B, sound(FRAME), 0)
    playout.pop()
    playout.hold()
    playout.resume(B, 100)
    assert playout.pop().spans == (Span(A, FRAME, FRAME),)


def test_rewinding_is_bounded_and_so_is_memory() -> None:
    playout = Playout(rewind_s=1)
    for second in range(20):
        playout.push(A, sound(24_000, second), 24_000 * second)
        for _ in range(50):
            playout.pop()
    playout.hold()
    playout.resume(A, 0)
    first = playout.pop().spans[0].first_sample
    assert 17 * 24_000 <= first <= 19 * 24_000


def test_hold_while_nothing_plays_keeps_what_arrives() -> None:
    playout = Playout()
    playout.hold()
    assert playout.state is State.HELD
    pcm = sound(FRAME)
    playout.push(A, pcm, 0)
    assert playout.pop().pcm is None
    playout.resume()
    assert playout.pop().pcm == pcm


def test_cut_fades_and_drops_the_rest() -> None:
    playout = Playout()
    playout.push(A, sound(20 * FRAME), 0)
    playout.push(B, sound(20 * FRAME), 0)
    loud = [playout.pop() for _ in range(3)][-1]
    assert playout.cut() == {A: 3 * FRAME}
    assert playout.queued_samples == 0
    assert playout.played == {}
    fade = [playout.pop(), playout.pop()]
    assert rms(loud.pcm) > rms(fade[0].pcm) > rms(fade[1].pcm) > 0
    assert all(frame.spans == () for frame in fade)
    assert playout.state is State.IDLE
    assert playout.pop().pcm is None


def test_a_new_reply_follows_the_fade_of_the_old() -> None:
    playout = Playout()
    playout.push(B, sound(20 * FRAME), 0)
    playout.pop()
    playout.cut()
    pcm = sound(FRAME, 5)
    playout.push(A, pcm, 0)
    assert playout.state is State.FADING
    playout.pop()
    playout.pop()
    assert playout.pop().pcm == pcm
    assert playout.counters.frames == 4


def test_cut_ends_a_hold_in_silence() -> None:
    playout = Playout()
    playout.push(A, sound(20 * FRAME), 0)
    playout.pop()
    playout.hold()
    playout.pop()
    playout.pop()
    assert playout.cut() == {A: 3 * FRAME}
    assert playout.pop().pcm is None
    assert playout.state is State.IDLE


def test_cut_within_a_fade_ends_that_fade() -> None:
    playout = Playout()
    playout.push(A, sound(20 * FRAME), 0)
    playout.pop()
    playout.hold()
    one = playout.pop()
    playout.cut()
    two = playout.pop()
    assert rms(one.pcm) > rms(two.pcm) > 0
    assert playout.pop().pcm is None


def test_silent_frames_are_not_audible() -> None:
    assert not PoppedFrame(bytes(960)).audible
    assert not PoppedFrame((np.ones(480, "<i2") * 150).tobytes()).audible
    assert PoppedFrame((np.ones(480, "<i2") * 200).tobytes()).audible
