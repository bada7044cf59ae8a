"""The microphone's way to the stages: numbering, replay, the map from samples to the clock."""

import psutil

from natter_gateway.media.receive import MicFrame
from natter_gateway.microphone import MicClock, MicSender
from natter_proto import decode_mic


def frame(first_sample: int, arrival_ms: float = 0.0, *, discontinuity: bool = False) -> MicFrame:
    return MicFrame(first_sample, b"\x01\x00" * 320, False, discontinuity, arrival_ms, None)


def test_frames_carry_their_samples_and_numbers() -> None:
    sender = MicSender("abc", 1, "gw")
    first = decode_mic(sender.payload(frame(0), muted=False))
    second = decode_mic(sender.payload(frame(960, discontinuity=True), muted=False))
    assert (first.header.session, first.header.number, first.audio.first_sample) == ("abc", 1, 0)
    assert (second.header.number, second.audio.first_sample, second.audio.discontinuity) == (2, 960, True)
    assert not first.audio.discontinuity
    assert sender.next_sample == 1_280


def test_a_muted_microphone_sends_time_and_no_sound() -> None:
    sent = decode_mic(MicSender("abc", 1, "gw").payload(frame(0), muted=True))
    assert sent.audio.muted
    assert sent.audio.data == b""
    assert sent.audio.sample_count == 320


def test_the_ring_replays_what_overlaps_and_keeps_thirty_seconds() -> None:
    sender = MicSender("abc", 1, "gw")
    for number in range(2_000):
        sender.payload(frame(number * 320), muted=False)
    assert [audio.first_sample for audio in sender.replay(640_000 - 700, 640_000)] == [639_040, 639_360, 639_680]
    assert sender.replay(0, 10_000) == []
    assert sender.replay(0, 10**9)[0].first_sample == 500 * 320


def test_minutes_of_microphone_take_no_more_memory_than_the_ring() -> None:
    sender = MicSender("abc", 1, "gw")
    process = psutil.Process()

    def speak(frames: int) -> int:
        for _ in range(frames):
            # Its own bytes each time, as from a decoder.
            sent = sender.payload(frame(sender.next_sample)._replace(pcm=bytes(bytearray(640))), muted=False)
        assert decode_mic(sent).header.session == "abc"
        assert decode_mic(sent).audio.rate_hz == 16_000
        return process.memory_info().rss

    before = speak(3_000)
    # Four minutes: 7.7 MB of samples.
    assert speak(12_000) - before < 2_000_000


def test_samples_are_mapped_by_the_least_delay() -> None:
    clock = MicClock()
    assert clock.time_ms(0) is None
    clock.observe(320, 1_050)
    clock.observe(640, 1_045)
    clock.observe(960, 1_090)
    # 640 samples are 40 ms: the stream began at 1005 on the best path.
    assert clock.time_ms(960) == 1_065


def test_delays_of_over_thirty_seconds_ago_are_forgotten() -> None:
    clock = MicClock()
    clock.observe(0, 0)
    clock.observe(16_000 * 40, 40_100)
    assert clock.time_ms(16_000 * 40) == 40_100
