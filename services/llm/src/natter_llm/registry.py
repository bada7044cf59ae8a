"""Finds the providers that are installed and starts those that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

from natter_common.logs import Log
from natter_llm.provider import ENTRY_POINTS, LlmError, LlmProvider


class NoProviderError(RuntimeError):
    """Not one provider could be started; the text says why."""


def installed() -> list[LlmProvider]:
    """One instance of each provider registered in the entry point group, not loaded yet."""
    return [cast("LlmProvider", point.load()()) for point in entry_points(group=ENTRY_POINTS)]


async def start_all(providers: list[LlmProvider], log: Log) -> Mapping[str, LlmProvider]:
    """Load `providers`; those that cannot be had are logged and left out. Raises `NoProviderError` if none is left."""
    started: dict[str, LlmProvider] = {}
    problems: list[str] = []
    for provider in providers:
        try:
            await provider.load()
        except LlmError as error:
            log.warning("provider left out", provider=provider.name, code=error.code, reason=str(error))
            problems.append(f"{provider.name}: {error}")
        else:
            started[provider.name] = provider
    if not started:
        raise NoProviderError("; ".join(problems) or f"no provider is registered in {ENTRY_POINTS}")
    return started
