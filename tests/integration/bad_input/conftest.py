"""A real gateway and a real broker with emulated stages, and a bystander in a call who must never notice."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.conversation import hear_greeting
from natter_local.system import LocalSystem
from natter_testing.emulated_system import emulated_system
from natter_testing.eventually import eventually
from natter_testing.still_working import WITHIN_S, is_answered_in_text, last_message_s, sessions

FAST = ("--sentences", "1", "--first-token-ms", "10", "--words-per-s", "500")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the services' logs are."""
    return tmp_path_factory.mktemp("bad-input")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(folder: Path) -> AsyncIterator[LocalSystem]:
    async with emulated_system(folder, options=FAST) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    """To the gateway."""
    async with httpx.AsyncClient(base_url=system.url, trust_env=False, timeout=20) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bystander(system: LocalSystem) -> AsyncIterator[Caller]:
    """Somebody who is in a call all the while."""
    async with Caller.connect(system.url) as caller:
        await hear_greeting(caller)
        yield caller


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nobody_else_is_harmed(bystander: Caller, http: httpx.AsyncClient) -> AsyncIterator[None]:
    """After each test the bystander is served as before, and no session is left of what was tried."""
    began_s = last_message_s(bystander)
    yield
    await is_answered_in_text(bystander)
    assert not bystander.recording.of_type("error", "error-response", after_s=began_s)
    await eventually(lambda: sessions(http), lambda count: count == 1, WITHIN_S)


@pytest_asyncio.fixture(loop_scope="module")
async def caller(system: LocalSystem) -> AsyncIterator[Caller]:
    """Somebody whose call is tampered with."""
    async with Caller.connect(system.url) as caller:
        yield caller
