"""ElevenLabs' errors: those of HTTP, and those that come as the last message of a WebSocket.

After https://elevenlabs.io/docs/resources/errors and what clients reported: the handshake looks at the key and the
load, what depends on the text or the voice is said on the socket, with the close code 1008.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from natter_emulators.script import Fault, Part
from natter_emulators.server import Connection

_POLICY_VIOLATION: Final = 1008
_MOST_REASON_BYTES: Final = 123


@dataclass(frozen=True, slots=True)
class SocketError:
    """An error told on the WebSocket, which closes after it."""

    error: str
    message: str


INVALID_KEY: Final = SocketError("invalid_api_key", "Invalid API key")
TOO_MANY_CONTEXTS: Final = SocketError(
    "max_active_conversations",
    "Maximum simultaneous contexts per WebSocket connection exceeded (5). "
    "Please close an existing context before opening a new one.",
)
SETTINGS_CHANGED: Final = SocketError(
    "voice_settings_changed",
    "voice_settings field must be provided in the first message and then either be not provided or not change.",
)
INVALID_MESSAGE: Final = SocketError("invalid_message", "The message could not be parsed.")


def nothing_came(timeout_s: float) -> SocketError:
    """No text in time."""
    return SocketError(
        "input_timeout_exceeded",
        f"Have not received a new text input within the timeout of {timeout_s:g} seconds. Streaming input terminated. "
        "Please make sure to either feed the input in the timely manner, or to send the end of input text "
        '(empty string "") when done.',
    )


def scripted(part: Part, voice: str) -> SocketError | None:
    """The error that the script wants at the first text, if any."""
    if part.fault is Fault.QUOTA:
        return SocketError(
            "quota_exceeded", "This request exceeds your quota. You have 0 credits remaining, and more are required."
        )
    if part.fault is Fault.BAD_REQUEST:
        return SocketError("voice_id_does_not_exist", f"A voice with voice_id {voice} does not exist.")
    return None


_AT_HANDSHAKE: Final = {
    Fault.UNAUTHORIZED: (401, "invalid_api_key", "Invalid API key"),
    Fault.RATE_LIMITED: (
        429,
        "too_many_concurrent_requests",
        "Too many concurrent requests. Your current subscription is associated with a maximum of 5 concurrent "
        "requests.",
    ),
    Fault.BROKEN: (503, "system_busy", "We are experiencing heavy traffic, please try again later."),
    Fault.BAD_REQUEST: (400, "output_format_not_allowed", "The requested output format is not allowed."),
}


async def refuse(connection: Connection, fault: Fault, *, message: str | None = None, retry_after_s: int = 0) -> None:
    """Refuse the handshake."""
    status, name, usual = _AT_HANDSHAKE[fault]
    headers = {"Retry-After": str(retry_after_s)} if fault is Fault.RATE_LIMITED else None
    await connection.refuse(status, {"detail": {"status": name, "message": message or usual}}, headers)


async def refuses(connection: Connection, part: Part) -> bool:
    """Refuse the handshake if the script wants that of the key or the load."""
    if not part.fault.refuses or part.fault in {Fault.QUOTA, Fault.BAD_REQUEST}:
        return False
    await refuse(connection, part.fault, retry_after_s=part.script.retry_after_s)
    return True


async def end_with(connection: Connection, error: SocketError) -> None:
    """Say the error, and close."""
    await connection.send(
        json.dumps({"message": error.message, "error": error.error, "code": _POLICY_VIOLATION}),
    )
    reason = error.message.encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
    await connection.close(_POLICY_VIOLATION, reason)
