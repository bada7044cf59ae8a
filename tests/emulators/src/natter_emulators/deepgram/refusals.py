"""Deepgram's error bodies: https://developers.deepgram.com/docs/errors."""

from __future__ import annotations

from typing import Final

from natter_emulators.script import Fault, Part
from natter_emulators.server import Connection

_ERRORS: Final = {
    Fault.UNAUTHORIZED: (401, "INVALID_AUTH", "Invalid credentials."),
    Fault.QUOTA: (
        402,
        "ASR_PAYMENT_REQUIRED",
        "Project does not have enough credits for an ASR request and does not have an overage agreement.",
    ),
    Fault.RATE_LIMITED: (429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
    Fault.BROKEN: (503, "SERVICE_UNAVAILABLE", "The service is temporarily unavailable. Please try again later."),
    Fault.BAD_REQUEST: (
        400,
        "Bad Request",
        "Bad Request: No such model/language/tier combination found.",
    ),
}


async def refuse(connection: Connection, part: Part, request_id: str, message: str | None = None) -> None:
    """Refuse the handshake as the script has it, with another message than the usual if one is given."""
    await _refuse(connection, part.fault, request_id, message, retry_after_s=part.script.retry_after_s)


async def refuse_key(connection: Connection, request_id: str) -> None:
    """The key is wrong, or missing."""
    await _refuse(connection, Fault.UNAUTHORIZED, request_id)


async def refuse_query(connection: Connection, request_id: str, message: str) -> None:
    """The query is wrong."""
    await _refuse(connection, Fault.BAD_REQUEST, request_id, message)


async def _refuse(
    connection: Connection, fault: Fault, request_id: str, message: str | None = None, *, retry_after_s: int = 0
) -> None:
    status, code, usual = _ERRORS[fault]
    text = message or usual
    headers = {"dg-error": text, "dg-request-id": request_id}
    if fault is Fault.RATE_LIMITED:
        headers["Retry-After"] = str(retry_after_s)
    await connection.refuse(status, {"err_code": code, "err_msg": text, "request_id": request_id}, headers)
