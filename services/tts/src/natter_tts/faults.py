"""Errors that more than one waiter raises. Pure."""

from __future__ import annotations

from natter_tts.provider import TtsError


def copy_of(error: TtsError) -> TtsError:
    """The same error for one more to raise: one object raised twice would mix up their traces."""
    return TtsError(error.code, str(error), retryable=error.retryable)
