"""Offers that come from anywhere, and the answer's Opus parameters."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.media.sdp import (
    MAX_OFFER_BYTES,
    OfferError,
    OfferMalformedError,
    OfferTooLargeError,
    OfferUnsupportedError,
    opus_only,
    tune_answer,
    validate_offer,
)


async def make_offer(*kinds: str) -> str:
    pc = RTCPeerConnection()
    try:
        for kind in kinds:
            if kind == "data":
                pc.createDataChannel("chat")
            else:
                pc.addTransceiver(kind)
        await pc.setLocalDescription(await pc.createOffer())
        return pc.localDescription.sdp
    finally:
        await pc.close()


@pytest.fixture
async def offer() -> str:
    return await make_offer("audio", "video", "data")


@pytest.fixture
async def answerer() -> AsyncIterator[RTCPeerConnection]:
    pc = RTCPeerConnection()
    yield pc
    await pc.close()


async def test_an_offer_passes_and_the_answer_is_tuned(offer: str, answerer: RTCPeerConnection) -> None:
    opus_only(answerer.addTransceiver("audio"))
    await answerer.setRemoteDescription(RTCSessionDescription(validate_offer(offer), "offer"))
    await answerer.setLocalDescription(await answerer.createAnswer())
    answer = tune_answer(answerer.localDescription.sdp, 24_000)
    audio = answer.split("m=video")[0]
    assert audio.count("a=rtpmap:") == 1
    assert "a=fmtp:96 minptime=10;useinbandfec=1;stereo=0;maxaveragebitrate=24000\r\n" in audio
    assert audio.count("a=ptime:20\r\n") == 1
    assert "ptime" not in answer.split("m=video")[1]
    assert tune_answer(answer, 24_000) == answer
    # The other side can read it.
    other = RTCPeerConnection()
    try:
        for kind in ("audio", "video"):
            other.addTransceiver(kind)
        other.createDataChannel("chat")
        await other.setLocalDescription(await other.createOffer())
        await other.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    finally:
        await other.close()


def test_an_fmtp_that_is_there_is_replaced() -> None:
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=1\r\na=ptime:60\r\n"
    assert "stereo=1" not in tune_answer(sdp)
    assert tune_answer(sdp).count("a=fmtp:111") == 1
    assert "a=ptime:60" not in tune_answer(sdp)


@pytest.mark.parametrize(
    ("sdp", "kind"),
    [
        (None, OfferMalformedError),
        (7, OfferMalformedError),
        (b"v=0\r\n", OfferMalformedError),
        ("", OfferMalformedError),
        ("hello", OfferMalformedError),
        ("v=0\r\nm=audio\r\n", OfferMalformedError),
        ("v=0\r\n\x00", OfferMalformedError),
        ("v=0\r\nnonsense\r\n", OfferMalformedError),
        ("v=0\r\n" + "a=x\r\n" * 20_000, OfferTooLargeError),
        ("v=0\r\ns=" + "é" * (MAX_OFFER_BYTES // 2), OfferTooLargeError),
        ("v=0\r\ns=" + "x" * 5000 + "\r\n", OfferTooLargeError),
        ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 9, OfferTooLargeError),
        ("v=0\r\n" + "a=candidate:x\r\n" * 101, OfferTooLargeError),
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", OfferUnsupportedError),
        ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtpmap:0 PCMU/8000\r\n", OfferUnsupportedError),
        ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 opus/48000/2\r\n", OfferMalformedError),
    ],
)
def test_bad_offers_get_a_clear_error(sdp: object, kind: type[OfferError]) -> None:
    with pytest.raises(kind):
        validate_offer(sdp)


async def test_a_fingerprint_is_needed(offer: str) -> None:
    without = "\r\n".join(line for line in offer.splitlines() if not line.startswith("a=fingerprint")) + "\r\n"
    with pytest.raises(OfferMalformedError, match="fingerprint"):
        validate_offer(without)


async def test_data_alone_is_not_supported() -> None:
    with pytest.raises(OfferUnsupportedError, match="no audio"):
        validate_offer(await make_offer("data"))


_LINE = st.sampled_from(
    [
        "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "m=video 9 X 1",
        "a=rtpmap:96 opus/48000/2",
        "a=setup:x",
        "c=IN IP4 x",
        "a=mid:0",
        "a=fingerprint:sha-256",
        "a=rtcp:x",
        "a=ssrc:1",
        "a=extmap:1",
        "a=fmtp:96 x",
        "a=group:",
        "a=candidate:1 2 3",
        "a=fingerprint:sha-256 AA",
        "a=ice-ufrag:x",
        "a=ice-pwd:y",
        "a=rtcp-fb:96 nack",
        "a=sctp-port:x",
        "t=0 0",
    ]
)


@settings(deadline=None, max_examples=50)
@given(st.lists(_LINE | st.text(max_size=30), max_size=12))
def test_any_text_is_returned_or_refused(lines: list[str]) -> None:
    sdp = "\r\n".join(["v=0", *lines])
    with contextlib.suppress(OfferError):
        assert validate_offer(sdp) == sdp
    tune_answer(sdp)
