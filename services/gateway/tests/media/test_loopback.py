"""Two real peer connections in one process: an aiortc caller against our hook and our track, over UDP."""

import asyncio
import fractions
import gc
import logging
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket

from natter_gateway.media.hook import LossHook, MicHook
from natter_gateway.media.playout import Playout, PoppedFrame
from natter_gateway.media.receive import FRAME_SAMPLES, MicFrame, MicReceiver
from natter_gateway.media.sdp import opus_only, tune_answer, validate_offer
from natter_gateway.media.track import VoiceTrack

WAIT_S = 15.0
SEGMENT = (1, 1, 0)


class MicTrack(MediaStreamTrack):
    """A stock track, encoded by aiortc: 48 kHz frames of given sound, over and over, at the pace of a microphone."""

    kind = "audio"

    def __init__(self, pcm_48k: bytes) -> None:
        super().__init__()
        self._pcm = pcm_48k
        self._sent = 0
        self._t0_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._t0_s + self._sent * 0.02 - time.monotonic()))
        at = self._sent * 1920 % len(self._pcm)
        samples = np.frombuffer(self._pcm[at : at + 1920], np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent * 960, fractions.Fraction(1, 48_000)
        self._sent += 1
        return frame


@dataclass
class Call:
    """Our side of a call, and the caller."""

    caller: RTCPeerConnection
    ours: RTCPeerConnection
    mic: MicReceiver
    hook: MicHook
    playout: Playout
    track: VoiceTrack
    played: list[tuple[PoppedFrame, float]]
    frames: list[MicFrame] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_frame(self, frame: MicFrame) -> None:
        self.frames.append(frame)
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a frame made `condition` true."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.news.clear()
                await self.news.wait()


Tamper = Callable[[Callable[[bytes, int], Awaitable[None]]], Callable[[bytes, int], Awaitable[None]]]


@asynccontextmanager
async def connect(pcm_48k: bytes, tamper: Tamper | None = None, mic: MicReceiver | None = None) -> AsyncIterator[Call]:
    """Set a call up as the gateway does; `tamper` sits between decryption and the receiver."""
    caller, ours = RTCPeerConnection(), RTCPeerConnection()
    try:
        playout = Playout()
        played: list[tuple[PoppedFrame, float]] = []
        track = VoiceTrack(playout, lambda frame, at_s: played.append((frame, at_s)))
        caller.addTrack(MicTrack(pcm_48k))
        await caller.setLocalDescription(await caller.createOffer())
        ours.addTrack(track)
        (transceiver,) = ours.getTransceivers()
        opus_only(transceiver)
        await ours.setRemoteDescription(RTCSessionDescription(validate_offer(caller.localDescription.sdp), "offer"))
        mic = mic or MicReceiver()
        calls: list[Call] = []

        def on_frame(frame: MicFrame) -> None:
            calls[0].on_frame(frame)  # looked up each time: a test may replace it

        call = Call(caller, ours, mic, MicHook(transceiver.receiver, mic, on_frame), playout, track, played)
        calls.append(call)
        if tamper is not None:
            dtls: Any = transceiver.receiver.transport
            dtls._handle_rtp_data = tamper(dtls._handle_rtp_data)
        await ours.setLocalDescription(await ours.createAnswer())
        answer = tune_answer(ours.localDescription.sdp)
        await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield call
        call.hook.close()
    finally:
        await asyncio.gather(caller.close(), ours.close())


@pytest.fixture(scope="module")
def pcm_48k(voice) -> bytes:
    return voice(2.0, 48_000)


def drop(*numbers: int) -> Tamper:
    """Lose the packets with these numbers, counted from the first."""

    def tamper(forward):
        count = -1

        async def handle(data: bytes, arrival_time_ms: int) -> None:
            nonlocal count
            count += 1
            if count not in numbers:
                await forward(data, arrival_time_ms=arrival_time_ms)

        return handle

    return tamper


def swap(every: int) -> Tamper:
    """Deliver every so many packets after the one that follows."""

    def tamper(forward):
        count = 0
        kept: list[bytes] = []

        async def handle(data: bytes, arrival_time_ms: int) -> None:
            nonlocal count
            count += 1
            if count % every == 0:
                kept.append(data)
                return
            await forward(data, arrival_time_ms=arrival_time_ms)
            while kept:
                await forward(kept.pop(), arrival_time_ms=arrival_time_ms)

        return handle

    return tamper


def check_contiguous(frames: list[MicFrame]) -> None:
    assert [frame.first_sample for frame in frames] == [FRAME_SAMPLES * i for i in range(len(frames))]
    assert not any(frame.discontinuity for frame in frames)


def loudness(frames: list[MicFrame]) -> float:
    samples = np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2)))


async def test_a_call_without_loss(pcm_48k: bytes, voice) -> None:
    async with connect(pcm_48k) as call:
        heard: list[av.AudioFrame] = []
        remote = call.caller.getReceivers()[0].track
        pcm = voice(1.0, 24_000)
        call.playout.push(SEGMENT, pcm, 0)
        call.playout.end(SEGMENT, 24_000)
        async with asyncio.timeout(WAIT_S):
            while len(heard) < 70:
                heard.append(await remote.recv())
        await call.until(lambda: len(call.frames) >= 60)
        check_contiguous(call.frames)
        assert not any(frame.concealed for frame in call.frames)
        assert loudness(call.frames[10:60]) > 1000
        assert call.mic.counters.received == len(call.frames)
        assert call.mic.counters.lost == call.hook.counters.errors == call.hook.counters.foreign == 0
        assert call.playout.played == {SEGMENT: 24_000}
        assert call.playout.counters.holes == 0
        decoded = np.concatenate([frame.to_ndarray()[0, ::2] for frame in heard]).astype(float)
        original = np.frombuffer(pcm, "<i2").astype(float)
        assert np.sum(decoded**2) == pytest.approx(2 * np.sum(original**2), rel=0.15), "twice the rate, same sound"


async def test_one_lost_packet(pcm_48k: bytes) -> None:
    async with connect(pcm_48k, drop(20)) as call:
        await call.until(lambda: len(call.frames) >= 60)
        check_contiguous(call.frames)
        assert [i for i, frame in enumerate(call.frames) if frame.concealed] == [20]
        assert call.mic.counters.lost == 1
        assert call.mic.counters.received == len(call.frames) - 1, "nothing is held back after it"


async def test_packets_that_changed_places(pcm_48k: bytes) -> None:
    async with connect(pcm_48k, swap(7)) as call:
        await call.until(lambda: len(call.frames) >= 60)
        check_contiguous(call.frames)
        assert not any(frame.concealed for frame in call.frames)
        assert call.mic.counters.lost == call.mic.counters.late == 0


async def test_a_gap_before_a_pause_is_flushed_by_the_clock(pcm_48k: bytes) -> None:
    """After packet 19 only number 21 comes: it does not wait for ever."""
    async with connect(pcm_48k, drop(20, *range(22, 10_000))) as call:
        await call.until(lambda: len(call.frames) >= 22)
        check_contiguous(call.frames)
        assert call.frames[20].concealed


async def test_reports_tell_the_caller_what_was_lost(pcm_48k: bytes) -> None:
    async with connect(pcm_48k, drop(5, 6)) as call:
        told: asyncio.Queue[int] = asyncio.Queue()
        loss = LossHook(call.caller.getSenders()[0], told.put_nowait)
        async with asyncio.timeout(WAIT_S):
            while loss.packets_lost == 0:
                percent = await told.get()
        assert loss.packets_lost == 2
        assert percent > 0
        assert loss.counters.errors == 0
        (stats,) = [s for s in (await call.ours.getReceivers()[0].getStats()).values() if s.type == "inbound-rtp"]
        assert stats.packetsLost == 2
        assert stats.packetsReceived >= 20


async def test_the_callers_reports_set_the_encoder(pcm_48k: bytes) -> None:
    async with connect(pcm_48k) as call:
        sender = call.ours.getSenders()[0]
        loss = LossHook(sender, call.track.encoder.set_packet_loss)
        handler: Any = sender
        report = RtcpReceiverInfo(
            ssrc=handler._ssrc, fraction_lost=13, packets_lost=5, highest_sequence=9, jitter=0, lsr=0, dlsr=0
        )
        await handler._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
        assert call.track.encoder.packet_loss_percent == 6
        loss.close()
        await handler._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
        assert loss.estimate.percent == 6


async def test_a_failing_consumer_does_not_end_the_call(pcm_48k: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(pcm_48k) as call:
        fine = call.on_frame

        def fail(frame: MicFrame) -> None:
            fine(frame)
            if len(call.frames) < 20:
                raise KeyError("consumer")

        call.on_frame = fail  # type: ignore[method-assign]
        with caplog.at_level(logging.ERROR):
            await call.until(lambda: len(call.frames) >= 40)
        assert call.hook.counters.errors == 19
        assert len([record for record in caplog.records if "packet dropped" in record.message]) == 1


async def test_numbers_go_on_over_a_second_connection(pcm_48k: bytes) -> None:
    async with connect(pcm_48k) as first:
        await first.until(lambda: len(first.frames) >= 20)
        async with connect(pcm_48k, mic=first.mic) as second:
            await second.until(lambda: len(second.frames) >= 20)
            last = first.frames[-1]
            before = len(first.frames)
            await second.until(lambda: len(second.frames) >= 30)
            assert len(first.frames) == before, "the older connection is no longer heard"
            assert first.hook.counters.foreign > 0
        assert second.frames[0].discontinuity
        assert second.frames[0].first_sample > last.first_sample


async def test_foreign_packets_are_counted_and_dropped(pcm_48k: bytes) -> None:
    async with connect(pcm_48k) as call:
        await call.until(lambda: len(call.frames) >= 5)
        handler: Any = call.ours.getReceivers()[0]
        before = len(call.frames)
        for payload_type, ssrc in ((0, 1), (126, 2), (96, 3)):
            packet = RtpPacket(payload_type=payload_type, sequence_number=1, timestamp=1, ssrc=ssrc, payload=b"\x08")
            await handler._handle_rtp_packet(packet, arrival_time_ms=0)
        assert len(call.frames) == before
        assert call.hook.counters.foreign == 3
        assert call.hook.counters.sources == 1


async def test_a_call_leaves_nothing_behind(pcm_48k: bytes) -> None:
    tasks = asyncio.all_tasks()
    left: list[weakref.ref[Any]] = []
    for _ in range(3):
        async with connect(pcm_48k) as call:
            LossHook(call.ours.getSenders()[0], call.track.encoder.set_packet_loss)
            await call.until(lambda call=call: len(call.frames) >= 5)
            left += [weakref.ref(part) for part in (call.hook, call.track, call.mic, call.ours.getReceivers()[0])]
        del call
    gc.collect()
    assert [ref() for ref in left] == [None] * len(left)
    assert asyncio.all_tasks() == tasks
