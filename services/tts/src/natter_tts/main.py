"""The tts worker: `natter-tts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from natter_common.providers import close_all, installed, load_all
from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, Outlet, StageDefinition, run_worker
from natter_proto import Lease, Stage
from natter_tts.provider import ENTRY_POINT_GROUP, TtsProvider
from natter_tts.session import TtsSession

# The built-in voice takes 1 % of the time that it speaks, but whoever comes while it works waits up to 100 ms.
CAPACITY: Final = 30
# Elsewhere the work is done by others, and this worker only cuts voice into frames.
ELSEWHERE: Final = 0.3


class TtsWorkerSettings(WorkerSettings):
    """Settings of a tts worker."""

    capacity: int = CAPACITY


async def load(service: Service) -> StageDefinition:
    """Load every provider that can be had; the built-in one loads its model."""
    return define(await load_all(installed(ENTRY_POINT_GROUP, TtsProvider), service.metrics.registry, service.log))


def define(providers: Mapping[str, TtsProvider]) -> StageDefinition:
    """The stage as the worker serves it, with providers that are started."""

    def open_session(lease: Lease, outlet: Outlet) -> TtsSession:
        return TtsSession(lease, outlet, providers[lease.provider])

    details = {name: provider.describe() for name, provider in providers.items()}

    return StageDefinition(
        Stage.STAGE_TTS,
        Input.REPLIES | Input.CONTROLS,
        details,
        open_session,
        watched=providers,
        shares={name: 1.0 if name == "local" else ELSEWHERE for name in providers},
        close=lambda: close_all(providers),
    )


def main() -> None:
    """Console script."""
    run_worker(
        "tts", TtsWorkerSettings, load, "Natter's voice: segments of replies in, 24 kHz voice with word times out."
    )
