import itertools
import random

import numpy as np
import pytest

from natter_bench.opus import RTP_TICKS_PER_FRAME, Encoder
from natter_bench.recording import FRAME_SAMPLES, FrameDecoder, ReceivedPacket, Recording, decode, message_of


@pytest.fixture
def packets(voice_like):
    """A second of sound; sequence numbers and time stamps wrap in the middle of it."""

    def make(*, loss_percent=0):
        encoder = Encoder(24_000, expected_loss_percent=loss_percent)
        parts = voice_like(1.0, 24_000).reshape(-1, FRAME_SAMPLES)
        return [
            ReceivedPacket(
                50 + n * 0.02,
                (0xFFFF - 20 + n) & 0xFFFF,
                (0xFFFFFFFF - 20 * RTP_TICKS_PER_FRAME + n * RTP_TICKS_PER_FRAME) & 0xFFFFFFFF,
                encoder.encode(part),
            )
            for n, part in enumerate(parts)
        ]

    return make


def test_every_packet_is_a_frame_with_its_arrival(packets):
    frames = decode(packets())
    assert len(frames) == 50
    assert [frame.sample for frame in frames] == [n * FRAME_SAMPLES for n in range(50)]
    assert frames[10].time_s == pytest.approx(50.2)
    assert {frame.source for frame in frames} == {"packet"}
    assert all(frame.dbfs > -45 for frame in frames)


def test_reordered_packets_are_put_in_order_and_keep_their_arrival(packets):
    swapped = packets()
    swapped[20], swapped[21] = swapped[21], swapped[20]
    swapped[30], swapped[32] = swapped[32], swapped[30]
    straight, frames = decode(packets()), decode(swapped)
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(straight, frames, strict=True))
    assert frames[20].time_s == straight[20].time_s
    ear = FrameDecoder()
    for packet in swapped:
        ear.feed(packet)
    assert ear.late == 3


def test_a_lost_packet_is_concealed_or_recovered(packets):
    for loss_percent, source in ((0, "plc"), (20, "fec")):
        kept = [packet for n, packet in enumerate(packets(loss_percent=loss_percent)) if n != 25]
        frames = decode(kept)
        assert len(frames) == 50
        assert frames[25].source == source
        # Known only when the next packet came.
        assert frames[25].time_s == frames[26].time_s


def test_a_long_loss_is_silence(packets):
    frames = decode([packet for n, packet in enumerate(packets()) if not 20 <= n < 30])
    assert [frame.source for frame in frames[20:30]] == ["plc"] * 3 + ["lost"] * 7
    assert len(frames) == 50


def test_a_senders_own_pause_is_no_loss(packets):
    first, second = packets()[:10], packets()[10:]
    moved = [
        ReceivedPacket(p.time_s, p.sequence, (p.timestamp + 5 * RTP_TICKS_PER_FRAME) & 0xFFFFFFFF, p.payload)
        for p in second
    ]
    assert [frame.source for frame in decode(first + moved)][9:16] == ["packet"] + ["skipped"] * 5 + ["packet"]


def test_any_pattern_of_loss_keeps_the_timeline(packets):
    for seed in range(5):
        draw = random.Random(seed)
        kept = [packet for n, packet in enumerate(packets()) if n in (0, 49) or draw.random() > 0.3]
        frames = decode(kept)
        assert all(b.sample - a.sample == FRAME_SAMPLES for a, b in itertools.pairwise(frames))
        assert len(frames) == 50


def test_garbage_counts_and_does_not_raise(packets):
    ear = FrameDecoder()
    for packet in packets()[:3]:
        ear.feed(ReceivedPacket(packet.time_s, packet.sequence, packet.timestamp, b"\xff\xff\xff"))
    assert ear.undecodable == 3


def test_messages_by_type_and_time():
    recording = Recording()
    recording.messages = [
        message_of(1, {"type": "bot-ready", "id": "abc", "data": {"version": "2.1.0"}}),
        message_of(2, {"type": "signalling", "message": {"type": "peerLeft"}}),
    ]
    assert recording.of_type("bot-ready")[0].id == "abc"
    assert recording.of_type("bot-ready", after_s=1) == []
    assert recording.of_type("signalling")[0].data == {"type": "peerLeft"}
