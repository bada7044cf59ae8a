"""Ends TCP connections at once, under SDKs that would wait for the other side for many seconds."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

# On, and 0 s: what the other side has not taken is thrown away. A dead peer's window may be shut for good, and the
# connection's end would wait behind the data.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


def drop(transport: asyncio.Transport, *, broken: bool) -> None:
    """Close now. `broken`: nobody reads there any more, so what was sent may be lost."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if broken and found is not None and not transport.is_closing():
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
