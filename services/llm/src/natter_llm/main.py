"""The llm worker: `natter-llm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, Outlet, StageDefinition, run_worker
from natter_llm.provider import LlmProvider
from natter_llm.registry import NoProviderError, installed, start_all
from natter_llm.session import LlmSession
from natter_proto import Lease, Stage

# Twice the prompt caches that the built-in model keeps: of callers in conversation few wait for a reply at once.
CAPACITY: Final = 16


class LlmSettings(WorkerSettings):
    """Settings of an llm worker."""

    capacity: int = CAPACITY


async def load(service: Service) -> StageDefinition:
    """Start every provider that can be had; the built-in one loads its model."""
    try:
        return define(await start_all(installed(), service.log))
    except NoProviderError as error:
        raise SystemExit(f"natter-llm: {error}") from error


def define(providers: Mapping[str, LlmProvider]) -> StageDefinition:
    """The stage as the worker serves it, with providers that are started."""

    def open_session(lease: Lease, outlet: Outlet) -> LlmSession:
        return LlmSession(lease, outlet, providers[lease.provider])

    details = {name: provider.describe() for name, provider in providers.items()}

    async def close() -> None:
        for provider in providers.values():
            await provider.close()

    return StageDefinition(Stage.STAGE_LLM, Input.CONTROLS, details, open_session, close)


def main() -> None:
    """Console script."""
    run_worker("llm", LlmSettings, load, "Natter's language model: turns in, replies out, cut into segments.")
