"""OpenAI's HTTP API: not here yet."""

from __future__ import annotations

from natter_emulators.emulator import Context, Emulator
from natter_emulators.server import Router


class OpenAI(Emulator):
    """Chat completions, transcriptions, speech, models."""


def register(router: Router, context: Context) -> OpenAI:
    """Add the service to the router."""
    return OpenAI(context)
