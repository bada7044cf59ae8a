"""Providers of a worker: those that can't be had are left out, in words."""

import pytest
import structlog
from prometheus_client import CollectorRegistry

from natter_common.providers import NoProviderError, ProviderError, close_all, installed, load_all


class Voice:
    """A provider that can be had, or not."""

    def __init__(self, name: str, problem: str = "") -> None:
        self.name = name
        self.closed = False
        self._problem = problem

    def describe(self) -> str:
        return self.name

    async def load(self, registry: CollectorRegistry) -> None:
        if self._problem:
            raise ProviderError("missing", self._problem)

    async def probe(self) -> None: ...

    async def close(self) -> None:
        self.closed = True


async def test_those_that_can_be_had_are_loaded_and_closed() -> None:
    good = Voice("good")
    loaded = await load_all([Voice("bad", "no key"), good], CollectorRegistry(), structlog.get_logger())
    assert dict(loaded) == {"good": good}
    await close_all(loaded)
    assert good.closed


async def test_when_none_can_be_had_all_reasons_are_said() -> None:
    with pytest.raises(NoProviderError, match="a: no key; b: no model"):
        await load_all([Voice("a", "no key"), Voice("b", "no model")], CollectorRegistry(), structlog.get_logger())


def test_a_group_that_nobody_registers_in_has_no_providers() -> None:
    assert installed("natter.no-such-stage", Voice) == []
