"""What the media path costs: CPU per frame of each part, then per session with real connections. Not a test.

Run it by hand: `python services/gateway/tests/media/microbench.py [sessions]`. The callers live in a second process,
with packets encoded beforehand, so that the first one's CPU time is the gateway's side alone.
"""

import asyncio
import fractions
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import av
import uvloop
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from conftest import make_voice
from natter_gateway.media import libopus
from natter_gateway.media.hook import LossHook, MicHook
from natter_gateway.media.opus import OpusEncoder
from natter_gateway.media.playout import Playout
from natter_gateway.media.receive import MicReceiver
from natter_gateway.media.sdp import opus_only, tune_answer, validate_offer
from natter_gateway.media.track import VoiceTrack

WARM_UP_S = 2.0
MEASURE_S = 10.0
VOICE = make_voice(10, 24_000)
CHUNK = 4800


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def encoded(seconds: float) -> list[bytes]:
    encoder = OpusEncoder(packet_loss_percent=2)
    pcm = make_voice(seconds, 24_000)
    return [encoder.encode(pcm[i : i + 960]) for i in range(0, len(pcm), 960)]


async def no_sleep(_seconds: float) -> None:
    pass


def per_call_us(start: float, count: int) -> str:
    return f"{(time.process_time() - start) / count * 1e6:7.1f} µs"


async def parts() -> None:
    payloads = encoded(10) * 4
    mic = MicReceiver()
    start = time.process_time()
    for i, payload in enumerate(payloads):
        mic.push(i & 0xFFFF, i * 960, payload, i * 20.0)
    say(f"receive: push, in order            {per_call_us(start, len(payloads))}")

    mic = MicReceiver()
    start = time.process_time()
    for i, payload in enumerate(payloads):
        if i % 50 != 7:
            mic.push(i & 0xFFFF, i * 960, payload, i * 20.0)
    say(f"receive: push, 2 % loss            {per_call_us(start, len(payloads))}")

    receiver: Any = SimpleNamespace(
        _enabled=True,
        _RTCRtpReceiver__codecs={96: SimpleNamespace(mimeType="audio/opus")},
        _RTCRtpReceiver__remote_streams={},
    )
    hook = MicHook(receiver, MicReceiver(), lambda frame: None)
    packets = [RtpPacket(96, 0, i & 0xFFFF, i * 960, 7, payload) for i, payload in enumerate(payloads)]
    start = time.process_time()
    for packet in packets:
        await receiver._handle_rtp_packet(packet, arrival_time_ms=0)
    say(f"receive: hook, all of it           {per_call_us(start, len(packets))}")
    hook.close()

    playout = Playout()
    playout.push((1,), VOICE, 0)
    count = len(VOICE) // 960
    start = time.process_time()
    for _ in range(count):
        playout.pop()
    say(f"send: playout pop, voice           {per_call_us(start, count)}")

    for name, loss in (("voice", 0), ("voice, FEC for 5 %", 5), ("idle", 0)):
        ticks = iter(range(10**9))
        playout = Playout()
        track = VoiceTrack(playout, clock=lambda ticks=ticks: next(ticks) * 0.0, sleep=no_sleep)
        track.encoder.set_packet_loss(loss)
        if name != "idle":
            playout.push((1,), VOICE, 0)
        start = time.process_time()
        for _ in range(count):
            await track.recv()
        say(f"send: track recv, {name:<17}{per_call_us(start, count)}")


class EncodedTrack(MediaStreamTrack):
    """A caller's microphone at no cost: packets encoded beforehand."""

    kind = "audio"

    def __init__(self, payloads: list[bytes]) -> None:
        super().__init__()
        self._payloads = payloads
        self._sent = 0
        self._t0_s = time.monotonic()

    async def recv(self) -> "av.Packet[Any]":
        await asyncio.sleep(max(0.0, self._t0_s + self._sent * 0.02 - time.monotonic()))
        packet = av.Packet(self._payloads[self._sent % len(self._payloads)])
        packet.pts, packet.time_base = self._sent * 960, fractions.Fraction(1, 48_000)
        self._sent += 1
        return packet


async def _drop(packet: RtpPacket, arrival_time_ms: int) -> None:
    pass


async def callers(link: Connection, sessions: int) -> None:
    payloads = encoded(10)
    peers: list[RTCPeerConnection] = []
    for _ in range(sessions):
        peer = RTCPeerConnection()
        peer.addTrack(EncodedTrack(payloads))
        receiver: Any = peer.getReceivers()[0]
        receiver._handle_rtp_packet = _drop
        await peer.setLocalDescription(await peer.createOffer())
        link.send(peer.localDescription.sdp)
        answer = await asyncio.to_thread(link.recv)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        peers.append(peer)
    await asyncio.to_thread(link.recv)
    await asyncio.gather(*(peer.close() for peer in peers))


def run_callers(link: Connection, sessions: int) -> None:
    uvloop.run(callers(link, sessions))


async def calls(link: Connection, sessions: int) -> None:
    peers: list[RTCPeerConnection] = []
    playouts: list[Playout] = []
    mics: list[MicReceiver] = []
    tracks: list[VoiceTrack] = []
    frames = 0

    def count(_frame: object) -> None:
        nonlocal frames
        frames += 1

    start = time.process_time()
    for _ in range(sessions):
        offer = validate_offer(await asyncio.to_thread(link.recv))
        peer, playout, mic = RTCPeerConnection(), Playout(), MicReceiver()
        track = VoiceTrack(playout, lambda frame, at_s: None)
        peer.addTrack(track)
        (transceiver,) = peer.getTransceivers()
        opus_only(transceiver)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        MicHook(transceiver.receiver, mic, count)
        LossHook(transceiver.sender, track.encoder.set_packet_loss)
        await peer.setLocalDescription(await peer.createAnswer())
        link.send(tune_answer(peer.localDescription.sdp))
        peers.append(peer)
        playouts.append(playout)
        mics.append(mic)
        tracks.append(track)
    await asyncio.sleep(WARM_UP_S)
    say(f"set-up and warm-up: {(time.process_time() - start) / sessions * 1000:.1f} ms CPU a session")
    # Idle, half of the time voice (a conversation), voice all the time.
    for name, talking in (("idle", 0.0), ("conversation", 0.5), ("voice all the time", 1.0)):
        frames_before, cpu_before, wall_before = frames, time.process_time(), time.monotonic()
        for turn in range(5):
            for number, playout in enumerate(playouts):
                size = round(talking * MEASURE_S / 5 * 24_000)
                key = (round(talking * 10), turn, number)
                for at in range(0, size, CHUNK // 2):
                    playout.push(key, VOICE[2 * at : 2 * min(size, at + CHUNK // 2)], at)
                playout.end(key, size)
            await asyncio.sleep(MEASURE_S / 5)
        wall_s = time.monotonic() - wall_before
        cpu_s = time.process_time() - cpu_before
        say(
            f"{name:<20}{cpu_s / wall_s / sessions * 100:5.2f} % of a core a session "
            f"({(frames - frames_before) / wall_s / sessions:.1f} frames/s in, "
            f"{sum(track.packets for track in tracks)} packets out, {sum(track.skipped for track in tracks)} skipped)"
        )
    lost = sum(mic.counters.lost for mic in mics)
    holes = sum(playout.counters.holes for playout in playouts)
    say(f"lost {lost}, holes {holes}")
    link.send("end")
    await asyncio.gather(*(peer.close() for peer in peers))


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    say(libopus.version())
    asyncio.run(parts())
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=run_callers, args=(theirs, sessions), name="callers")
    child.start()
    uvloop.run(calls(ours, sessions))
    child.join(10)


if __name__ == "__main__":
    main()
