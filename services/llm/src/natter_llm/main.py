"""The llm worker: `natter-llm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from natter_common.providers import close_all, installed, load_all
from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, Outlet, StageDefinition, run_worker
from natter_llm.provider import ENTRY_POINT_GROUP, LlmProvider
from natter_llm.session import LlmSession
from natter_llm.tools.toolkit import ToolKit, tool_environment
from natter_proto import Lease, Stage

# Twice the prompt caches that the built-in model keeps: of callers in conversation few wait for a reply at once.
CAPACITY: Final = 16
# Elsewhere the work is done by others, and this worker only passes text on.
ELSEWHERE: Final = 0.15


class LlmSettings(WorkerSettings):
    """Settings of an llm worker."""

    capacity: int = CAPACITY


async def load(service: Service) -> StageDefinition:
    """Load every provider that can be had; the built-in one loads its model."""
    providers = await load_all(installed(ENTRY_POINT_GROUP, LlmProvider), service.metrics.registry, service.log)
    return define(providers, ToolKit(tool_environment(), service.log, service.version))


def define(providers: Mapping[str, LlmProvider], toolkit: ToolKit) -> StageDefinition:
    """The stage as the worker serves it, with providers that are started."""

    def open_session(lease: Lease, outlet: Outlet) -> LlmSession:
        return LlmSession(lease, outlet, providers[lease.provider], toolkit)

    async def close() -> None:
        await toolkit.close()
        await close_all(providers)

    details = {name: provider.describe() for name, provider in providers.items()}

    return StageDefinition(
        Stage.STAGE_LLM,
        Input.CONTROLS,
        details,
        open_session,
        watched=providers,
        shares={name: 1.0 if name == "local" else ELSEWHERE for name in providers},
        close=close,
    )


def main() -> None:
    """Console script."""
    run_worker("llm", LlmSettings, load, "Natter's language model: turns in, replies out, cut into segments.")
