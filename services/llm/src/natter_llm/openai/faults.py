"""From the SDK's exceptions to errors that a user can act on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

import httpx2
import openai

from natter_common.providers import Trouble, refused
from natter_llm.openai.chunks import MalformedChunkError
from natter_llm.provider import LlmError

KEY_VARIABLE: Final = "OPENAI_API_KEY"

# Codes and types that OpenAI and llama.cpp give to a prompt over the model's window; vLLM has only words.
_TOO_LONG: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG_WORDS: Final = ("maximum context length", "context window", "context size", "prompt is too long")
# Comes with status 429 and does not pass by waiting.
_NO_QUOTA: Final = "insufficient_quota"
# Validation errors of some servers quote the request behind this word.
_QUOTE_MARKS: Final = ("'input'", '"input"', "input_value")
# A shorter text occurs in an error message by chance.
_LEAST_QUOTE_CHARS: Final = 12

FAILURES: Final = (openai.OpenAIError, httpx2.HTTPError, ValueError)
"""What the SDK raises; `ValueError` stands for JSON that is none."""


def fault_of(error: Exception, vendor: str, *, begun: bool, said: Iterable[str] = ()) -> LlmError:
    """What an exception of the SDK means.

    Args:
        error: one of `FAILURES`.
        vendor: as people know it.
        begun: has the reply begun to come?
        said: texts of the request: an error that quotes one of them is told without its details.
    """
    if isinstance(error, openai.APIStatusError):
        return _refusal(error.status_code, error, vendor, said)
    if isinstance(error, openai.APIConnectionError):
        return _connection_fault(error.__cause__, vendor, begun=begun)
    if isinstance(error, MalformedChunkError):
        return LlmError(Trouble.MALFORMED, f"{vendor} sent a message that makes no sense: {error}.")
    if isinstance(error, (ValueError, openai.APIResponseValidationError)):
        return LlmError(Trouble.MALFORMED, f"{vendor} sent a message that can't be read.")
    if isinstance(error, openai.APIError):
        # An error in the middle of a stream: the status is in its body, if anywhere.
        return _refusal(_status_in(error), error, vendor, said)
    return _connection_fault(error, vendor, begun=begun)


def says_too_long(error: openai.APIError) -> bool:
    """Does the prompt not fit the model's window?"""
    words = message_of(error).lower()
    # What stands there is the server's: it may be no text.
    named = {str(error.code), str(error.type)}
    return not named.isdisjoint(_TOO_LONG) or any(mark in words for mark in _TOO_LONG_WORDS)


def message_of(error: openai.APIError) -> str:
    """The server's own message, without what the SDK adds."""
    body = error.body
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        for name in ("message", "detail", "error"):
            if isinstance(words := fields.get(name), str):
                return words
        return ""
    return body if isinstance(body, str) and "<" not in body else ""


def _refusal(status: int, error: openai.APIError, vendor: str, said: Iterable[str]) -> LlmError:
    if says_too_long(error):
        words = f"The conversation is longer than the model at {vendor} can take: give the bot a smaller context."
        return LlmError("context_too_long", words, retryable=False)
    if status == 429 and _NO_QUOTA in (error.code, error.type):
        status = 402
    # A refusal of a key may quote it.
    detail = "" if status in (401, 403) else _free_of(message_of(error), said)
    refusal = refused(vendor, status, KEY_VARIABLE, detail)
    return LlmError(refusal.code, refusal.words, retryable=refusal.retryable)


def _free_of(words: str, said: Iterable[str]) -> str:
    """``words`` as far as they do not quote what was said."""
    for mark in _QUOTE_MARKS:
        words = words.partition(mark)[0]
    starts = (text.strip()[:40] for text in said)
    return "" if any(len(start) >= _LEAST_QUOTE_CHARS and start in words for start in starts) else words


def _status_in(error: openai.APIError) -> int:
    code = error.code or ""
    if code.isdecimal() and 400 <= int(code) < 600:
        return int(code)
    if _NO_QUOTA in (error.code, error.type):
        return 402
    return 429 if "rate_limit" in code else 500


def _connection_fault(cause: BaseException | None, vendor: str, *, begun: bool) -> LlmError:
    match cause:
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return LlmError(Trouble.BAD_SETTINGS, f"{vendor} has no address that can be used.", retryable=False)
        case httpx2.ConnectTimeout() | httpx2.ConnectError() | httpx2.ProxyError() | httpx2.PoolTimeout():
            return LlmError(Trouble.UNAVAILABLE, f"{vendor} can't be reached.")
        case httpx2.TimeoutException():
            return stalled(vendor)
        case _:
            when = "in the middle of a reply" if begun else "before it answered"
            return LlmError(Trouble.CUT_OFF, f"{vendor} ended the connection {when}.")


def stalled(vendor: str) -> LlmError:
    """No progress though a reply is due."""
    return LlmError(Trouble.STALLED, f"{vendor} does not go on.")
