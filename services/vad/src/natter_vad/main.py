"""The vad worker: `natter-vad`."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Counter

from natter_common.metrics import Metrics
from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, Outlet, StageDefinition, run_worker
from natter_proto import Lease, Stage
from natter_vad.batcher import Batcher
from natter_vad.session import VadSession
from natter_vad.silero import SileroModel

PROVIDER: Final = "local"
DETAIL: Final = "Silero VAD 6.2, built in"
# 200 sessions were measured at 0.55 of a core, batched; microphone frames cost the loop another 0.1 % each.
CAPACITY: Final = 150


class VadSettings(WorkerSettings):
    """Settings of a vad worker."""

    capacity: int = CAPACITY


def _load_model() -> SileroModel:
    model = SileroModel()
    model.warm_up()
    return model


async def load(service: Service) -> StageDefinition:
    """Load the model; every session of the worker shares it."""
    return define(await asyncio.to_thread(_load_model), service.metrics)


def define(model: SileroModel, metrics: Metrics) -> StageDefinition:
    """The stage as the worker serves it, for the running event loop."""
    windows = Counter("natter_vad_windows", "Windows of 32 ms that were judged", registry=metrics.registry)
    latency = metrics.stage_latency.labels("vad", PROVIDER, "batch")

    def on_batch(count: int, took_s: float) -> None:
        windows.inc(count)
        latency.observe(took_s)

    batcher = Batcher(model, on_batch=on_batch)

    def open_session(lease: Lease, outlet: Outlet) -> VadSession:
        return VadSession(lease, outlet, batcher)

    return StageDefinition(Stage.STAGE_VAD, Input.MIC, {PROVIDER: DETAIL}, open_session)


def main() -> None:
    """Console script."""
    run_worker("vad", VadSettings, load, "Natter's speech detection: microphone frames in, speech events out.")
