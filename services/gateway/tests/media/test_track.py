"""The voice track's pace and payloads, in virtual time."""

import asyncio

from natter_gateway.media.opus import OpusDecoder, packet_samples_48k
from natter_gateway.media.playout import Playout, PoppedFrame
from natter_gateway.media.track import VoiceTrack

A = (1, 1, 0)


class VirtualTime:
    """A clock that only sleeping moves; `late_s` is added to the next sleep."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.late_s = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds + self.late_s
        self.late_s = 0.0


def make(playout: Playout, on_frame=None) -> tuple[VoiceTrack, VirtualTime]:
    time = VirtualTime()
    return VoiceTrack(playout, on_frame, clock=time.clock, sleep=time.sleep), time


async def test_one_packet_every_20_ms() -> None:
    track, time = make(Playout())
    packets = [await track.recv() for _ in range(50)]
    assert [packet.pts for packet in packets] == [960 * i for i in range(50)]
    assert abs(time.now_s - 100.0 - 49 * 0.020) < 1e-9
    assert len({bytes(packet) for packet in packets}) == 1, "idle is one packet, made in advance"
    assert packet_samples_48k(bytes(packets[0])) == 960


async def test_small_lateness_does_not_add_up() -> None:
    track, time = make(Playout())
    for _ in range(50):
        time.late_s = 0.004
        await track.recv()
    assert abs(time.now_s - 100.0 - 49 * 0.020 - 0.004) < 1e-9
    assert track.skipped == 0


async def test_a_late_wake_up_skips_instead_of_bursting(voice) -> None:
    playout = Playout()
    pcm = voice(1.0, 24_000)
    playout.push(A, pcm, 0)
    track, time = make(playout)
    for _ in range(5):
        await track.recv()
    time.late_s = 0.105
    packet = await track.recv()
    assert packet.pts == 960 * 10
    assert track.skipped == 5
    assert playout.played[A] == 6 * 480, "skipped packets take no voice with them"
    time.slept.clear()
    packet = await track.recv()
    assert packet.pts == 960 * 11
    assert 0 < time.slept[0] <= 0.020


async def test_voice_is_on_the_wire_with_the_next_packet(voice) -> None:
    seen: list[tuple[PoppedFrame, float]] = []
    playout = Playout()
    track, time = make(playout, lambda frame, at_s: seen.append((frame, at_s)))
    for _ in range(20):
        await track.recv()
    pcm = voice(1.0, 24_000)
    playout.push(A, pcm, 0)
    playout.end(A, 24_000)
    pushed_s = time.now_s
    sent = [bytes(await track.recv()) for _ in range(60)]
    assert seen[0][1] - pushed_s <= 0.020 + 1e-9
    assert [frame.spans[0].first_sample for frame, _ in seen] == [480 * i for i in range(50)]
    decoder = OpusDecoder(24_000)
    decoded = [decoder.decode(payload) for payload in sent]
    assert max(memoryview(decoded[25]).cast("h")) > 1000
    assert max(memoryview(decoded[-1]).cast("h")) <= 8
    assert track.packets == 80


async def test_frames_of_plain_silence_are_not_told() -> None:
    seen: list[PoppedFrame] = []
    playout = Playout()
    track, _ = make(playout, lambda frame, _at_s: seen.append(frame))
    await track.recv()
    playout.push(A, bytes(960), 0)
    for _ in range(3):
        await track.recv()
    assert [frame.pcm is None for frame in seen] == [False, True, True], "the frame and then a hole"


async def test_voice_behind_silence_does_not_wait_for_its_packet_to_be_due(voice) -> None:
    playout = Playout()
    time = VirtualTime()
    push_at_s = {7: 0.006}

    async def sleep(seconds: float) -> None:
        early_s = push_at_s.pop(track.packets, None)
        if early_s is None:
            await time.sleep(seconds)
            return
        time.now_s += early_s
        playout.push(A, voice(0.1, 24_000), 0)
        playout.end(A, 2_400)

    track = VoiceTrack(playout, clock=time.clock, sleep=sleep)
    due: list[float] = []
    for _ in range(40):
        await track.recv()
        due.append(round(time.now_s * 1000 - 100_000, 3))
    # The packet after seven others goes out 6 ms after the one before it, and those that follow keep to that.
    assert due[6:9] == [120.0, 126.0, 146.0]
    # Silent again, it is back where all tracks are.
    assert due[-1] % 20 == 0
    assert track.skipped == 0


async def test_voice_wakes_a_track_that_sleeps(voice) -> None:
    playout = Playout()
    seen: list[PoppedFrame] = []
    track = VoiceTrack(playout, lambda frame, _at_s: seen.append(frame))
    await track.recv()
    receiving = asyncio.create_task(track.recv(), name="recv")
    await asyncio.sleep(0)
    playout.push(A, voice(0.1, 24_000), 0)
    await receiving
    assert len(seen) == 1
