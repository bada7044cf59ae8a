"""OpenAI's errors, after https://platform.openai.com/docs/guides/error-codes."""

from __future__ import annotations

from natter_emulators.script import Fault, Part
from natter_emulators.server import Exchange

_LIMIT = (
    "Rate limit reached for {name} on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in {s}s."
)
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_BUSY = "The server is currently overloaded with other requests. Sorry about that! You can retry your request."


async def refuse_key(exchange: Exchange, key: str) -> None:
    """401: no such key."""
    shown = f"{key[:4]}****{key[-4:]}" if len(key) > 8 else "****"
    message = (
        f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
        if key
        else "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
        "auth (i.e. Authorization: Bearer YOUR_KEY)."
    )
    await _error(exchange, 401, message, "invalid_request_error", "invalid_api_key" if key else None)


async def bad_request(exchange: Exchange, message: str, param: str | None) -> None:
    """400: the request makes no sense."""
    await _error(exchange, 400, message, "invalid_request_error", None, param)


async def refuse(exchange: Exchange, part: Part, name: str, bad_request_param: str) -> None:
    """What the script wants refused. A missing quota is a 429 with a code of its own, a missing model a 404."""
    if part.fault is Fault.UNAUTHORIZED:
        await refuse_key(exchange, exchange.request.headers.get("authorization", "").removeprefix("Bearer "))
    elif part.fault is Fault.QUOTA:
        await _error(exchange, 429, _QUOTA, "insufficient_quota", "insufficient_quota")
    elif part.fault is Fault.RATE_LIMITED:
        wait_s = part.script.retry_after_s
        message = _LIMIT.format(name=name, s=wait_s)
        headers = {"Retry-After": str(wait_s), "retry-after-ms": str(wait_s * 1000)}
        await _error(exchange, 429, message, "requests", "rate_limit_exceeded", headers=headers)
    elif part.fault is Fault.BAD_REQUEST and bad_request_param == "voice":
        await bad_request(exchange, f"Invalid value: '{name}' is not a voice that this model has.", "voice")
    elif part.fault is Fault.BAD_REQUEST:
        message = f"The model `{name}` does not exist or you do not have access to it."
        await _error(exchange, 404, message, "invalid_request_error", "model_not_found")
    else:
        await _error(exchange, 503, _BUSY, "server_error", None)


async def _error(
    exchange: Exchange,
    status: int,
    message: str,
    kind: str,
    code: str | None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    error = {"message": message, "type": kind, "param": param, "code": code}
    await exchange.refuse(status, {"error": error}, {"x-request-id": "req_emulator", **(headers or {})})
