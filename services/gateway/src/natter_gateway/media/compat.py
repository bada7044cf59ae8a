"""The guard for what the media path uses of aiortc's inside.

aiortc offers no way to take packets before its jitter buffer, so `hook` replaces a private method and keeps a private
table filled. That holds for the versions named here, and is looked at when `hook` and `track` are imported: another
version, or one whose inside was changed, stops the gateway at its start with a clear error instead of in a call.
"""

import inspect

import aiortc
from aiortc import rtcsctptransport
from aiortc.codecs.opus import OpusEncoder as StockOpusEncoder
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtcsctptransport import RTCSctpTransport

TESTED_VERSIONS = ("1.16.",)
SCTP_CHUNK_BYTES = 1100
"""User data in one SCTP packet: with DTLS, UDP, IPv6 and a TURN or VPN header it stays below 1280 bytes."""


class IncompatibleAiortcError(ImportError):
    """The installed aiortc is not one that the media path was tested with, or lacks what it relies on."""


def _uses(function: object, *names: str) -> list[str]:
    code = getattr(function, "__code__", None)
    if code is None:
        return list(names)
    used = {*code.co_names, *code.co_varnames, *code.co_freevars}
    return [name for name in names if name not in used]


def check_aiortc(version: str = aiortc.__version__) -> None:
    """Raise `IncompatibleAiortcError` unless this aiortc is as the hooks expect it."""
    if not version.startswith(TESTED_VERSIONS):
        raise IncompatibleAiortcError(
            f"aiortc {version} is untested with this media path (tested: {', '.join(v + 'x' for v in TESTED_VERSIONS)})"
        )
    problems: list[str] = []
    handler = getattr(RTCRtpReceiver, "_handle_rtp_packet", None)
    if handler is None or list(inspect.signature(handler).parameters) != ["self", "packet", "arrival_time_ms"]:
        problems.append("RTCRtpReceiver._handle_rtp_packet(packet, arrival_time_ms)")
    for owner in (RTCRtpReceiver, RTCRtpSender):
        handler = getattr(owner, "_handle_rtcp_packet", None)
        if handler is None or list(inspect.signature(handler).parameters) != ["self", "packet"]:
            problems.append(f"{owner.__name__}._handle_rtcp_packet(packet)")
    for function, names in (
        (RTCDtlsTransport.__dict__.get("_handle_rtp_data"), ("_handle_rtp_packet",)),
        (RTCDtlsTransport.__dict__.get("_handle_rtcp_data"), ("_handle_rtcp_packet",)),
        (RTCRtpReceiver.__init__, ("_RTCRtpReceiver__remote_streams", "_RTCRtpReceiver__codecs", "_enabled")),
        (
            RTCRtpReceiver.__dict__.get("_run_rtcp"),
            ("_RTCRtpReceiver__remote_streams", "fraction_lost", "packets_lost", "max_seq", "jitter"),
        ),
        (RTCRtpSender.__init__, ("_ssrc", "_RTCRtpSender__rtt")),
        # Packets that are already encoded must go out without the executor.
        (RTCRtpSender.__dict__.get("_next_encoded_frame"), ("recv", "pack")),
        (StockOpusEncoder.__dict__.get("pack"), ("convert_timebase",)),
        (RTCSctpTransport.__init__, ("_sent_queue", "_outbound_queue", "_data_channel_queue")),
        (RTCSctpTransport.__dict__.get("_send"), ("flags", "protocol", "SCTP_DATA_LAST_FRAG")),
    ):
        problems += _uses(function, *names)
    if problems:
        raise IncompatibleAiortcError(f"aiortc {version} lacks {', '.join(problems)}")


def limit_sctp_chunks(size_bytes: int = SCTP_CHUNK_BYTES) -> None:
    """Make data channels fit paths with a small MTU, for the whole process; call once at start.

    aiortc fills SCTP packets to what just fits 1280 bytes with IPv6; a tunnel or a TURN relay on the way needs room
    too, and nothing tells when packets are too large. Only ever lowers aiortc's value.
    """
    current = getattr(rtcsctptransport, "USERDATA_MAX_LENGTH", None)
    if not isinstance(current, int):
        raise IncompatibleAiortcError("aiortc.rtcsctptransport lacks USERDATA_MAX_LENGTH")
    rtcsctptransport.USERDATA_MAX_LENGTH = min(current, size_bytes)
