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
from natter_vad.estimator import EndModel, Estimator
from natter_vad.session import VadSession
from natter_vad.silero import SileroModel
from natter_vad.smart_turn import NoSmartTurnError, SmartTurnModel

PROVIDER: Final = "local"
DETAIL: Final = "Silero VAD 6.2, built in"
# The thread for the end of turns is what fills first. A question takes 40 ms, so it answers 25 a second, and at 0.7 of
# that few wait for longer than 100 ms: 17 a second. A caller talks for at most half of the time, and while somebody
# talks there is a quiet that is asked about each 1.5 s or so: 0.33 a second, 50 sessions. The event loop is then at
# about a quarter of a core: 200 sessions were measured at 0.55 for the windows, and frames cost 0.1 % a session more.
CAPACITY: Final = 50


class VadSettings(WorkerSettings):
    """Settings of a vad worker."""

    capacity: int = CAPACITY


def _load_silero() -> SileroModel:
    model = SileroModel()
    model.warm_up()
    return model


def _load_smart_turn() -> SmartTurnModel:
    model = SmartTurnModel()
    model.warm_up()
    return model


async def load(service: Service) -> StageDefinition:
    """Load the models; every session of the worker shares them."""
    silero = await asyncio.to_thread(_load_silero)
    smart_turn: SmartTurnModel | None = None
    try:
        smart_turn = await asyncio.to_thread(_load_smart_turn)
    except NoSmartTurnError as error:
        service.log.warning("no model for the end of turns: 600 ms of silence end them", reason=str(error))
    return define(silero, smart_turn, service.metrics)


class _Meter:
    """Counts what became of questions about the end of turns."""

    def __init__(self, metrics: Metrics) -> None:
        self._questions = Counter(
            "natter_vad_end_of_turn",
            "Questions about the end of turns: asked, and why some got no answer",
            ("outcome",),
            registry=metrics.registry,
        )
        self._latency = metrics.stage_latency.labels("vad", PROVIDER, "end_of_turn")

    def asked(self) -> None:
        self._questions.labels("asked").inc()

    def answered(self, took_s: float) -> None:
        self._latency.observe(took_s)

    def dropped(self, reason: str) -> None:
        self._questions.labels(reason).inc()


def define(model: SileroModel, end_model: EndModel | None, metrics: Metrics) -> StageDefinition:
    """The stage as the worker serves it, for the running event loop.

    Args:
        model: tells speech from what is none.
        end_model: tells whether a turn is complete; without it, silence does.
        metrics: of the process.
    """
    windows = Counter("natter_vad_windows", "Windows of 32 ms that were judged", registry=metrics.registry)
    latency = metrics.stage_latency.labels("vad", PROVIDER, "batch")

    def on_batch(count: int, took_s: float) -> None:
        windows.inc(count)
        latency.observe(took_s)

    batcher = Batcher(model, on_batch=on_batch)

    estimator = None if end_model is None else Estimator(end_model, _Meter(metrics))

    def open_session(lease: Lease, outlet: Outlet) -> VadSession:
        return VadSession(lease, outlet, batcher, estimator)

    async def close() -> None:
        if estimator is not None:
            await estimator.close()

    return StageDefinition(Stage.STAGE_VAD, Input.MIC, {PROVIDER: DETAIL}, open_session, close=close)


def main() -> None:
    """Console script."""
    run_worker("vad", VadSettings, load, "Natter's speech detection: microphone frames in, speech events out.")
