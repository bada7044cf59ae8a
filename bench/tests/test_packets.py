"""Guards what the caller relies on inside aiortc."""

import inspect

import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcrtpreceiver import StreamStatistics

from natter_bench import packets
from natter_bench.errors import CallError


async def test_the_private_parts_are_there():
    packets.check_aiortc()
    peer = RTCPeerConnection()
    transceiver = peer.addTransceiver("audio")
    assert getattr(transceiver.receiver, packets._STATISTICS) == {}
    assert isinstance(getattr(transceiver.sender, packets._SSRC), int)
    assert inspect.iscoroutinefunction(getattr(transceiver.sender.transport, packets._SEND_RTP))
    assert list(inspect.signature(StreamStatistics).parameters) == ["clockrate"]
    await peer.close()


def test_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(packets, "version", lambda _: "1.17.0")
    with pytest.raises(CallError, match=r"needs aiortc 1\.16, found 1\.17"):
        packets.check_aiortc()


def test_a_changed_signature_is_refused(monkeypatch):
    async def other(self, packet, arrival_ms):
        """As it might be one day."""

    monkeypatch.setattr(RTCRtpReceiver, packets._HANDLE_RTP, other)
    with pytest.raises(CallError):
        packets.check_aiortc()
