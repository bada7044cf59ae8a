"""What an offer must look like, and what the answer says that aiortc does not.

An offer comes from outside: its size and shape are checked before aiortc, whose parser raises all kinds of things, gets
it. The answer gets the Opus parameters without which browsers send no FEC, and the packet length.

Sources: RFC 8866 (SDP), RFC 7587 section 6.1 (Opus parameters), RFC 8829 (offers of browsers).
"""

import re

from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import SessionDescription

MAX_OFFER_BYTES = 64 * 1024
MAX_OFFER_MEDIA = 8
"""A browser offers three or four: audio, up to two videos, data."""
MAX_OFFER_CANDIDATES = 100
MAX_LINE_BYTES = 4096
PACKET_MS = 20

_OPUS_MAP = re.compile(r"^a=rtpmap:(\d{1,3}) opus/48000(?:/2)?$", re.IGNORECASE)
_FINGERPRINTS = re.compile(
    r"sha-(?:256 (?:[0-9a-f]{2}:){31}|384 (?:[0-9a-f]{2}:){47}|512 (?:[0-9a-f]{2}:){63})[0-9a-f]{2}",
    re.ASCII | re.IGNORECASE,
)
_CONTROL = re.compile(r"[^\t\n\r -~\u0080-\U0010ffff]")


class OfferError(ValueError):
    """The offer cannot be answered; the message is for the one who sent it."""


class OfferTooLargeError(OfferError):
    """The offer, or a part of it, is larger than any browser's."""


class OfferMalformedError(OfferError):
    """The offer is not SDP, or lacks what WebRTC needs (ICE credentials, a fingerprint)."""


class OfferUnsupportedError(OfferError):
    """The offer is well-formed but has no audio that we can speak: no audio, or no Opus."""


def validate_offer(sdp: object) -> str:
    """Return the offer if it is one that the gateway can answer, else raise a kind of `OfferError`."""
    if not isinstance(sdp, str):
        raise OfferMalformedError("sdp must be a string")
    if len(sdp) > MAX_OFFER_BYTES or len(sdp.encode("utf-8", "surrogatepass")) > MAX_OFFER_BYTES:
        raise OfferTooLargeError(f"sdp is larger than {MAX_OFFER_BYTES} bytes")
    if not sdp.startswith("v=0") or _CONTROL.search(sdp):
        raise OfferMalformedError("sdp does not begin with v=0, or holds control characters")
    lines = sdp.splitlines()
    if any(len(line) > MAX_LINE_BYTES for line in lines):
        raise OfferTooLargeError(f"sdp has a line of more than {MAX_LINE_BYTES} characters")
    if sum(line.startswith("m=") for line in lines) > MAX_OFFER_MEDIA:
        raise OfferTooLargeError(f"sdp has more than {MAX_OFFER_MEDIA} media sections")
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_OFFER_CANDIDATES:
        raise OfferTooLargeError(f"sdp has more than {MAX_OFFER_CANDIDATES} candidates")
    if any(line[1:2] != "=" for line in lines if line):
        raise OfferMalformedError("sdp has a line that is not <type>=<value>")
    try:
        description = SessionDescription.parse(sdp)
    except (ValueError, AssertionError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise OfferMalformedError(f"sdp cannot be read: {type(error).__name__} {error}".rstrip()) from error
    audio = [media for media in description.media if media.kind == "audio"]
    if not audio:
        raise OfferUnsupportedError("sdp offers no audio")
    if not any(codec.mimeType.lower() == "audio/opus" for media in audio for codec in media.rtp.codecs):
        raise OfferUnsupportedError("sdp offers audio without Opus")
    for media in description.media:
        if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
            raise OfferMalformedError("sdp has a media section without ICE credentials")
        if media.dtls is None or not any(
            _FINGERPRINTS.fullmatch(f"{one.algorithm} {one.value}") for one in media.dtls.fingerprints
        ):
            raise OfferMalformedError("sdp has a media section without a fingerprint of SHA-256, 384 or 512")
    return sdp


def tune_answer(sdp: str, bitrate_bps: int = 32_000) -> str:
    """Add to the answer how we want Opus: mono, with FEC, in 20 ms packets, at most `bitrate_bps`.

    For the text that goes to the caller; what aiortc keeps of its own answer does not change. Applying it twice does no
    harm.
    """
    opus = f"minptime=10;useinbandfec=1;stereo=0;maxaveragebitrate={bitrate_bps}"
    lines = sdp.splitlines()
    types = {match[1] for match in map(_OPUS_MAP.match, lines) if match}
    tuned: list[str] = []
    in_audio = False
    for line in lines:
        if line.startswith("m="):
            in_audio = line.startswith("m=audio ")
        if in_audio and (line.startswith("a=ptime:") or _fmtp_type(line) in types):
            continue
        tuned.append(line)
        match = _OPUS_MAP.match(line) if in_audio else None
        if match:
            tuned += [f"a=fmtp:{match[1]} {opus}", f"a=ptime:{PACKET_MS}"]
    return "\r\n".join(tuned) + "\r\n"


def opus_only(transceiver: RTCRtpTransceiver) -> None:
    """Let an audio transceiver negotiate nothing but Opus; before `setRemoteDescription`."""
    opus = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType.lower() == "audio/opus"]
    transceiver.setCodecPreferences(opus)


def _fmtp_type(line: str) -> str | None:
    if not line.startswith("a=fmtp:"):
        return None
    return line[7:].split(" ", 1)[0]
