"""The receiver: order, loss, numbering, and what a network or a caller may do to it."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.media.opus import OpusDecoder, OpusEncoder
from natter_gateway.media.receive import FRAME_BYTES, FRAME_SAMPLES, MicFrame, MicReceiver

FEC_AT = 70
"""Number of a packet of the fixture that carries FEC, amid voice."""


def feed(mic: MicReceiver, packets: Iterable) -> list[MicFrame]:
    return [frame for packet in packets for frame in mic.push(*packet)]


def plain(payloads: list[bytes]) -> bytes:
    decoder = OpusDecoder()
    return b"".join(decoder.decode(payload) for payload in payloads)


def check_numbering(frames: list[MicFrame]) -> None:
    """On the grid, growing, every jump marked, every frame whole."""
    for frame in frames:
        assert frame.first_sample % FRAME_SAMPLES == 0
        assert len(frame.pcm) == FRAME_BYTES
    for before, after in itertools.pairwise(frames):
        step = after.first_sample - before.first_sample
        assert step >= FRAME_SAMPLES
        assert after.discontinuity or step == FRAME_SAMPLES


def test_packets_in_order_come_out_at_once(stream, payloads) -> None:
    mic = MicReceiver()
    for number, packet in enumerate(stream()):
        (frame,) = mic.push(*packet, -30)
        assert frame[0] == number * FRAME_SAMPLES
        assert not frame.concealed
        assert not frame.discontinuity
        assert frame.arrival_ms == packet.arrival_ms
        assert frame.level_dbov == -30
    assert b"".join(f.pcm for f in feed(MicReceiver(), stream())) == plain(payloads)


@pytest.mark.parametrize("first_sequence", [65530, 0, 32760])
def test_numbers_wrap(first_sequence: int, stream, payloads) -> None:
    frames = feed(MicReceiver(), stream(first_sequence=first_sequence, first_timestamp=0xFFFFFFFF - 5000))
    check_numbering(frames)
    assert not any(frame.discontinuity for frame in frames)
    assert b"".join(frame.pcm for frame in frames) == plain(payloads)


def test_one_lost_packet_costs_no_lasting_delay(stream) -> None:
    mic = MicReceiver()
    packets = stream()
    counts = [len(mic.push(*packet)) for packet in packets if packet is not packets[FEC_AT - 1]]
    # The packet after the loss waits, the second brings all three; then each brings its own again.
    assert counts[FEC_AT - 2 : FEC_AT + 2] == [1, 0, 3, 1]
    assert counts[FEC_AT + 2 :] == [1] * len(counts[FEC_AT + 2 :])
    assert mic.next_sample == len(packets) * FRAME_SAMPLES
    assert (mic.counters.lost, mic.counters.fec, mic.counters.concealed) == (1, 1, 0)


def test_a_lost_packet_is_made_up_and_marked(stream, payloads) -> None:
    packets = stream()
    frames = feed(MicReceiver(), packets[:50] + packets[51:])
    check_numbering(frames)
    assert [frame.first_sample for frame in frames if frame.concealed] == [50 * FRAME_SAMPLES]
    assert not any(frame.discontinuity for frame in frames)
    assert b"".join(frame.pcm for frame in frames[:50]) == plain(payloads[:50])


def test_flush_gives_up_when_the_stream_stops_behind_a_gap(stream) -> None:
    mic = MicReceiver()
    packets = stream(12)
    feed(mic, packets[:10])
    assert mic.deadline_ms is None
    assert mic.push(*packets[11]) == []
    assert mic.deadline_ms == packets[11].arrival_ms + 30
    assert mic.flush(mic.deadline_ms - 1) == []
    frames = mic.flush(mic.deadline_ms)
    assert [(frame.first_sample, frame.concealed) for frame in frames] == [(3200, True), (3520, False)]
    assert mic.deadline_ms is None


@pytest.mark.parametrize("lost", [2, 3])
def test_up_to_60_ms_are_concealed(lost: int, stream) -> None:
    packets = stream()
    mic = MicReceiver()
    frames = feed(mic, packets[: FEC_AT - lost] + packets[FEC_AT:])
    assert sum(frame.concealed for frame in frames) == lost
    assert not any(frame.discontinuity for frame in frames)
    assert (mic.counters.fec, mic.counters.concealed) == (1, lost - 1)


def test_longer_gaps_are_skipped(stream) -> None:
    packets = stream()
    mic = MicReceiver()
    frames = feed(mic, packets[:20] + packets[24:])
    check_numbering(frames)
    assert [frame.first_sample for frame in frames if frame.discontinuity] == [24 * FRAME_SAMPLES]
    assert not any(frame.concealed for frame in frames)
    assert mic.counters.skipped_ms == 80


def test_a_pause_of_the_sender_is_no_loss(stream) -> None:
    """With DTX or mute the numbers go on, only the timestamps jump."""
    packets = stream(20)
    mic = MicReceiver()
    paused = [p._replace(timestamp=p.timestamp + 48 * 400, arrival_ms=p.arrival_ms + 400) for p in packets[10:]]
    frames = feed(mic, packets[:10] + paused)
    check_numbering(frames)
    assert mic.counters.lost == 0
    assert frames[10].first_sample == 10 * FRAME_SAMPLES + 6400
    assert frames[10].discontinuity


def test_a_short_pause_is_filled(stream) -> None:
    packets = stream(20)
    mic = MicReceiver()
    paused = [p._replace(timestamp=p.timestamp + 48 * 40, arrival_ms=p.arrival_ms + 40) for p in packets[10:]]
    frames = feed(mic, packets[:10] + paused)
    check_numbering(frames)
    assert sum(frame.concealed for frame in frames) == 2
    assert mic.counters.lost == 0


def test_neighbours_that_changed_places_are_put_right(stream, payloads) -> None:
    packets = stream()
    for i in range(5, len(packets) - 1, 7):
        packets[i], packets[i + 1] = packets[i + 1], packets[i]
    mic = MicReceiver()
    frames = feed(mic, packets)
    assert b"".join(frame.pcm for frame in frames) == plain(payloads)
    assert mic.counters.lost == mic.counters.late == 0


def test_late_and_repeated_packets_are_dropped_and_counted(stream) -> None:
    packets = stream()
    mic = MicReceiver()
    feed(mic, packets[:10] + packets[11:20])
    assert mic.push(*packets[10]) == []
    assert mic.push(*packets[15]) == []
    assert mic.push(*packets[15]) == []
    assert mic.push(*packets[21]) == []
    assert mic.push(*packets[21]) == []
    assert (mic.counters.late, mic.counters.duplicate, mic.counters.lost) == (1, 3, 1)
    check_numbering(feed(mic, packets[20:]))


def test_each_straggler_of_a_longer_loss_is_late_not_repeated(stream) -> None:
    packets = stream(30)
    mic = MicReceiver()
    feed(mic, packets[:10] + packets[14:20])
    assert feed(mic, [packets[9], *packets[10:14], packets[14]]) == []
    assert (mic.counters.late, mic.counters.duplicate, mic.counters.lost) == (4, 2, 4)


def test_audio_that_overlaps_what_is_out_is_cut_off(stream, payloads) -> None:
    """A sender whose timestamps step back by 30 ms: that much is dropped, and no sample comes twice."""
    packets = stream(20)
    overlapping = [p._replace(timestamp=p.timestamp - 48 * 30) for p in packets[10:]]
    mic = MicReceiver()
    frames = feed(mic, packets[:10] + overlapping)
    check_numbering(frames)
    assert mic.next_sample == 20 * FRAME_SAMPLES - 480
    assert (mic.counters.malformed, mic.counters.restarts) == (1, 0)
    whole = plain(payloads[:20])
    assert b"".join(frame.pcm for frame in frames) == (whole[:6400] + whole[6400 + 960 :])[: len(frames) * 640]


@pytest.mark.parametrize("duration_ms", [10, 40, 60])
def test_other_packet_lengths_are_cut_into_frames(duration_ms: int, voice) -> None:
    encoder = OpusEncoder()
    pcm = voice(2.4, 24_000)
    size = 48 * duration_ms
    payloads = [encoder.encode(pcm[i : i + size]) for i in range(0, len(pcm), size)]
    mic = MicReceiver()
    frames = feed(mic, ((i, i * 48 * duration_ms, p, i * float(duration_ms)) for i, p in enumerate(payloads)))
    check_numbering(frames)
    assert b"".join(frame.pcm for frame in frames) == plain(payloads)


def test_a_gap_off_the_grid_keeps_the_grid(voice) -> None:
    """10 ms packets: a frame begun before the gap is filled up, the one after begins with zeros."""
    encoder = OpusEncoder()
    pcm = voice(0.6, 24_000)
    payloads = [encoder.encode(pcm[i : i + 480]) for i in range(0, len(pcm), 480)]
    packets = [(i, i * 480, p, i * 10.0) for i, p in enumerate(payloads)]
    frames = feed(MicReceiver(), packets[:5] + packets[14:])
    check_numbering(frames)
    assert [(f.first_sample, f.concealed, f.discontinuity) for f in frames[1:5]] == [
        (320, False, False),
        (640, True, False),
        (2240, False, True),
        (2560, False, False),
    ]


def test_a_timestamp_that_cannot_be_true_does_not_move_the_numbers(stream) -> None:
    packets = stream(40)
    jumped = [p._replace(timestamp=(p.timestamp + 0x40000000) & 0xFFFFFFFF) for p in packets[20:]]
    mic = MicReceiver()
    frames = feed(mic, packets[:20] + jumped)
    check_numbering(frames)
    assert len(frames) == 40
    assert mic.next_sample == 40 * FRAME_SAMPLES
    assert mic.counters.restarts == 1


def test_a_timestamp_that_runs_backwards_is_mapped_anew(stream) -> None:
    packets = stream(100)
    jumped = [p._replace(timestamp=(p.timestamp - 48 * 1500) & 0xFFFFFFFF) for p in packets[90:]]
    frames = feed(MicReceiver(), packets[:90] + jumped)
    check_numbering(frames)
    assert len(frames) == 100


def test_the_sender_may_restart_its_numbers(stream) -> None:
    packets = stream(20)
    restarted = stream(20, first_sequence=40_000, first_timestamp=77, start_ms=packets[-1].arrival_ms + 500)
    mic = MicReceiver()
    frames = feed(mic, packets + restarted)
    check_numbering(frames)
    assert len(frames) == 39  # the first packet of the new numbers is not believed
    assert frames[20].discontinuity
    assert 20 * 320 + 16 * 480 <= frames[20].first_sample <= 20 * 320 + 16 * 540


def test_one_wild_sequence_number_harms_nothing(stream, payloads) -> None:
    packets = stream(20)
    wild = packets[10]._replace(sequence_number=50_000)
    frames = feed(MicReceiver(), [*packets[:10], wild, *packets[10:]])
    assert b"".join(frame.pcm for frame in frames) == plain(payloads[:20])


def test_a_bogus_jump_within_bounds_is_recovered_from(stream) -> None:
    packets = stream(60)
    wild = packets[10]._replace(sequence_number=packets[10].sequence_number + 2500)
    mic = MicReceiver()
    frames = feed(mic, [*packets[:10], wild, *packets[10:]])
    check_numbering(frames)
    assert len(frames) >= 57


def test_the_next_peer_connection_continues_the_numbers(stream) -> None:
    mic = MicReceiver()
    packets = stream(20)
    feed(mic, packets[:10] + packets[11:12])
    rest = mic.restart(20_000)
    assert [frame.first_sample for frame in rest] == [3200, 3520]
    frames = feed(mic, stream(5, first_sequence=9, first_timestamp=1))
    assert [frame.first_sample for frame in frames] == [20_160 + 320 * i for i in range(5)]
    assert [frame.discontinuity for frame in frames] == [True] + [False] * 4


def test_a_restart_never_goes_back(stream) -> None:
    mic = MicReceiver()
    before = feed(mic, stream(10))
    assert mic.restart(0) == []
    after = feed(mic, stream(3, first_sequence=7))
    check_numbering(before + after)
    assert after[0].first_sample == 3200


def test_taking_over_skips_the_time_that_passed(stream) -> None:
    mic = MicReceiver()
    assert mic.take_over("a", 0.0) == []
    packets = stream(10)
    feed(mic, packets)
    assert mic.take_over("b", packets[-1].arrival_ms + 1020) == []
    frames = feed(mic, stream(1, first_sequence=4, start_ms=packets[-1].arrival_ms + 1020))
    assert frames[0].first_sample == 3200 + 16_000


def test_empty_and_malformed_payloads(stream) -> None:
    packets = stream(20)
    packets[5] = packets[5]._replace(payload=b"")
    packets[9] = packets[9]._replace(payload=b"\xff\xff")
    mic = MicReceiver()
    frames = feed(mic, packets)
    check_numbering(frames)
    assert mic.next_sample == 20 * FRAME_SAMPLES
    assert mic.counters.malformed == 1


@settings(max_examples=60, deadline=None)
@given(
    fates=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 0, 1.5, 2.5, 4.5]), st.sampled_from([1, 1, 1, 1, 1, 0, 2])), max_size=60
    )
)
def test_whatever_the_network_does_no_sample_comes_twice(fates, stream) -> None:
    """Loss, repetition and displacement by up to four places: numbers hold, delay does not grow."""
    packets = stream(len(fates) + 1)
    order = [0] + [i for _, i in sorted((i + late, i) for i, (late, n) in enumerate(fates, 1) for _ in range(n))]
    mic = MicReceiver()
    frames: list[MicFrame] = []
    for now, i in enumerate(order):
        frames += mic.push(*packets[i]._replace(arrival_ms=now * 20.0))
        waiting = {j for j in order[: now + 1] if j * FRAME_SAMPLES >= mic.next_sample}
        assert len(waiting) <= 1
    frames += mic.flush(1e9)
    check_numbering(frames)
    counters = mic.counters
    assert counters.received + counters.late + counters.duplicate == len(order)
    assert mic.next_sample == (max(order) + 1) * FRAME_SAMPLES


def only_neighbours_swapped(order: list[int]) -> bool:
    return all(abs(i - place) <= 1 for i, place in enumerate(order))


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(4)).filter(only_neighbours_swapped), at=st.integers(1, 50))
def test_displacement_by_one_loses_nothing(order, at, stream, payloads) -> None:
    packets = stream(60)
    packets[at : at + 4] = [packets[at + i] for i in order]
    mic = MicReceiver()
    frames = feed(mic, packets)
    assert b"".join(frame.pcm for frame in frames) == plain(payloads[:60])
    assert mic.counters.late == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535) | st.integers(0, 20),
            st.integers(0, 2**32 - 1) | st.integers(0, 100_000),
            st.binary(max_size=40) | st.sampled_from([b"\x08\x00\x01\x02", b"\x0b\x83abc", b"\xf8\xff\xfe"]),
            st.floats(0, 100),
        ),
        max_size=40,
    )
)
def test_nonsense_makes_no_unbounded_audio(packets) -> None:
    mic = MicReceiver()
    frames: list[MicFrame] = []
    now_ms = 0.0
    for sequence_number, timestamp, payload, later_ms in packets:
        now_ms += later_ms
        frames += mic.push(sequence_number, timestamp, payload, now_ms)
        frames += mic.flush(now_ms)
    check_numbering(frames)
    # Each packet: at most 120 ms of its own, 60 ms of concealment, two frames filled up.
    assert len(frames) <= len(packets) * (6 + 3 + 2)
