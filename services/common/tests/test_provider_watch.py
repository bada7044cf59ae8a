"""Providers that fail and recover: one session's bad luck refuses nobody, a probe that fails does."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
from prometheus_client import CollectorRegistry

from natter_common.metrics import Metrics
from natter_common.provider_watch import ProviderWatch
from natter_common.providers import ProviderError, Trouble
from natter_testing.eventually import eventually


class Vendor:
    """A provider whose probe fails while `error` is set."""

    name = "vendor"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.probes = 0

    def describe(self) -> str:
        return "a vendor"

    async def load(self, registry: CollectorRegistry) -> None: ...

    async def probe(self) -> None:
        self.probes += 1
        if self.error is not None:
            raise self.error

    async def close(self) -> None: ...


async def until(holds: Callable[[], bool]) -> None:
    async def look() -> bool:
        return holds()

    await eventually(look, bool, within_s=10.0)


@asynccontextmanager
async def watching(vendor: Vendor, metrics: Metrics) -> AsyncGenerator[ProviderWatch]:
    watch = ProviderWatch("stt", {"vendor": vendor}, metrics, structlog.get_logger())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run(), name="watch")
        await until(lambda: vendor.probes == 1)
        yield watch
        task.cancel()


def up(metrics: Metrics) -> float:
    return metrics.provider_up.labels("stt", "vendor")._value.get()


async def test_a_wrong_key_is_known_from_the_start() -> None:
    metrics = Metrics("stt")
    async with watching(Vendor(ProviderError(Trouble.UNAUTHORIZED, "Check the key.")), metrics) as watch:
        await until(lambda: watch.problem("vendor") is not None)
        assert watch.problem("vendor") == "Check the key."
        assert watch.problems() == {"vendor": "Check the key."}
        assert up(metrics) == 0


async def test_a_fault_of_one_session_is_looked_into_and_refuses_nobody() -> None:
    vendor, metrics = Vendor(), Metrics("stt")
    async with watching(vendor, metrics) as watch:
        watch.on_fault("vendor", Trouble.STALLED)
        await until(lambda: vendor.probes == 2)
        assert watch.problem("vendor") is None
        assert up(metrics) == 1
        assert 'provider="vendor",stage="stt"} 1.0' in metrics.exposition()[0].decode()


async def test_what_recovers_is_served_again() -> None:
    vendor, metrics = Vendor(), Metrics("stt")
    async with watching(vendor, metrics) as watch:
        vendor.error = ProviderError(Trouble.UNAVAILABLE, "It is down.")
        watch.on_fault("vendor", Trouble.UNAVAILABLE)
        await until(lambda: watch.problem("vendor") == "It is down.")
        vendor.error = None
        await until(lambda: watch.problem("vendor") is None)
        assert up(metrics) == 1


async def test_a_probe_that_breaks_is_a_provider_out_of_order_and_ends_nothing() -> None:
    vendor, metrics = Vendor(AttributeError("no such thing")), Metrics("stt")
    async with watching(vendor, metrics) as watch:
        await until(lambda: watch.problem("vendor") == "AttributeError while vendor was probed")
        assert up(metrics) == 0
        vendor.error = None
        await until(lambda: watch.problem("vendor") is None)


async def test_a_fault_of_somebody_unknown_is_only_counted() -> None:
    metrics = Metrics("stt")
    async with watching(Vendor(), metrics) as watch:
        watch.on_fault("other", "odd")
        assert watch.problem("other") is None


@pytest.mark.parametrize("code", ["bad_settings", "cut_off"])
async def test_faults_are_counted_by_code(code: str) -> None:
    metrics = Metrics("stt")
    async with watching(Vendor(), metrics) as watch:
        watch.on_fault("vendor", code)
        assert f'code="{code}"' in metrics.exposition()[0].decode()
