"""What has reached the browser, and what has come from it: aiortc does not say, its insides do (see `compat`)."""

from typing import Any, Final

from aiortc import RTCDataChannel, RTCPeerConnection

_CONTROL: Final = 50
"""Payload protocol of the channel's own messages (RFC 8832, section 8.1)."""
_LAST_FRAGMENT: Final = 0x01
"""Flag of the chunk that ends a message (RFC 9260, section 3.3.1)."""


def undelivered_messages(channel: RTCDataChannel) -> int:
    """How many of the messages sent last were not confirmed. Those of an ordered channel: there is one a connection."""
    transport: Any = channel.transport
    chunks = [*transport._sent_queue, *transport._outbound_queue]
    begun = sum(1 for chunk in chunks if chunk.flags & _LAST_FRAGMENT and chunk.protocol != _CONTROL)
    waiting = sum(1 for _, protocol, _ in transport._data_channel_queue if protocol != _CONTROL)
    return begun + waiting


def packets_received(connection: RTCPeerConnection) -> int:
    """How many packets have come over a connection, those of its set-up not counted."""
    transports: Any = {each.receiver.transport for each in connection.getTransceivers()}
    return sum(transport._RTCDtlsTransport__rx_packets for transport in transports)
