"""Providers of a worker: those that can't be had are left out, in words."""

import pytest
import structlog
from prometheus_client import CollectorRegistry

from natter_common.providers import NoProviderError, ProviderError, Trouble, close_all, installed, load_all, refused


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


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (401, Trouble.UNAUTHORIZED, False),
        (403, Trouble.UNAUTHORIZED, False),
        (402, Trouble.QUOTA, False),
        (404, Trouble.BAD_SETTINGS, False),
        (422, Trouble.BAD_SETTINGS, False),
        (408, Trouble.UNAVAILABLE, True),
        (429, Trouble.RATE_LIMITED, True),
        (500, Trouble.UNAVAILABLE, True),
        (503, Trouble.UNAVAILABLE, True),
    ],
)
def test_a_vendors_status_in_words(status: int, code: Trouble, retryable: bool) -> None:
    refusal = refused("Vendor", status, "VENDOR_API_KEY", "no\n such   thing " + "x" * 1_000)
    assert (refusal.code, refusal.retryable) == (code, retryable)
    assert str(status) in refusal.words
    # Vendors quote the key that they refuse.
    assert ("Vendor says: no such thing x" in refusal.words) == (code is not Trouble.UNAUTHORIZED)
    assert len(refusal.words) < 400
    assert ("VENDOR_API_KEY" in refusal.words) == (code in (Trouble.UNAUTHORIZED, Trouble.QUOTA))
