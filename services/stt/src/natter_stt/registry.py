"""Finds the providers that are installed, and starts those that can be had here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from prometheus_client import CollectorRegistry

from natter_common.logs import Log
from natter_stt.provider import ENTRY_POINT_GROUP, SttError, SttProvider


def installed() -> list[SttProvider]:
    """One object of each provider that an installed package registers in `natter.stt`.

    Raises:
        TypeError: what is registered is no provider.
    """
    providers: list[SttProvider] = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        provider = entry.load()()
        if not isinstance(provider, SttProvider):
            raise TypeError(f"{entry.value}, registered as {entry.name} in {ENTRY_POINT_GROUP}, is no SttProvider")
        providers.append(provider)
    return providers


async def start_all(providers: list[SttProvider], registry: CollectorRegistry, log: Log) -> Mapping[str, SttProvider]:
    """Start all, one after another, and return those that can be had, by name. One that fails is logged and left out.

    Raises:
        SttError: none can be had.
    """
    started: dict[str, SttProvider] = {}
    for provider in providers:
        try:
            if await provider.start(registry):
                started[provider.name] = provider
        except SttError as error:
            log.error("provider not available", provider=provider.name, code=error.code, reason=str(error))
    if not started:
        raise SttError("no_provider", "no provider of speech to text can be had here", retryable=False)
    return started
