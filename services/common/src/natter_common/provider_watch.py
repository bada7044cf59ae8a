"""Watches the providers of a worker: who can't serve now is not offered, and is probed until it can."""

import asyncio
from collections.abc import Mapping
from typing import Final

from natter_common.backoff import Backoff
from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_common.providers import Provider, ProviderError, Trouble

PROBE_DEADLINE_S: Final = 6.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60.0


class ProviderWatch:
    """One per worker. A fault of one session asks for a probe; only the probe decides whether others are refused."""

    def __init__(self, stage: str, providers: Mapping[str, Provider], metrics: Metrics, log: Log) -> None:
        self._stage = stage
        self._providers = providers
        self._log = log
        self._problems: dict[str, str] = {}
        self._wake = {name: asyncio.Event() for name in providers}
        self._up = metrics.provider_up
        self._faults = metrics.provider_faults
        for name in providers:
            self._up.labels(stage, name).set(1)

    def problem(self, provider: str) -> str | None:
        """Why a provider can't be used now, for people; None when it can."""
        return self._problems.get(provider)

    def problems(self) -> Mapping[str, str]:
        """All that can't be used now."""
        return dict(self._problems)

    def on_fault(self, provider: str, code: str) -> None:
        """A session met a fault: look whether it is only that one."""
        self._faults.labels(self._stage, provider, code).inc()
        if provider in self._wake:
            self._wake[provider].set()

    async def run(self) -> None:
        """Probe each at the start, after faults, and, while it is out of order, again and again."""
        async with asyncio.TaskGroup() as tasks:
            for name, provider in self._providers.items():
                tasks.create_task(self._watch(name, provider), name=f"watch-{name}")

    async def _watch(self, name: str, provider: Provider) -> None:
        backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        wake = self._wake[name]
        while True:
            wake.clear()
            error = await self._probe(provider)
            self._note(name, error)
            if error is None:
                backoff.reset()
                await wake.wait()
            else:
                await asyncio.sleep(backoff.next_s())

    async def _probe(self, provider: Provider) -> ProviderError | None:
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                await provider.probe()
        except ProviderError as error:
            return error
        except TimeoutError:
            return ProviderError(Trouble.UNAVAILABLE, f"{provider.name} does not answer")
        except Exception as error:  # noqa: BLE001 - logged whole
            # Providers come from anywhere: whatever one does, the worker's others go on.
            self._log.exception("probe failed", provider=provider.name)
            return ProviderError(Trouble.UNAVAILABLE, f"{type(error).__name__} while {provider.name} was probed")
        return None

    def _note(self, name: str, error: ProviderError | None) -> None:
        before = self._problems.pop(name, None)
        self._up.labels(self._stage, name).set(error is None)
        if error is not None:
            self._problems[name] = str(error)
            if before != str(error):
                self._log.error("provider can't be used", provider=name, code=error.code, reason=str(error))
        elif before is not None:
            self._log.info("provider can be used again", provider=name)
