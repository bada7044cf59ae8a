"""What is said of a bot's stages: who would really serve, and why not somebody better."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import ProviderError, Trouble
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, StageDefinition, StageSession, Worker
from natter_gateway.bots import Bot, Bots
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.leases.broker import LeaseBroker
from natter_proto import Stage
from natter_testing.eventually import eventually
from natter_testing.services import open_service

REFUSED = "Cloud refused the key in CLOUD_API_KEY (401)."


class Cloud:
    """A provider that may be out of order."""

    name = "cloud"

    def __init__(self, problem: str | None) -> None:
        self.problem = problem

    def describe(self) -> str:
        return "Cloud 1"

    async def load(self, registry: CollectorRegistry) -> None:
        """Nothing to load."""

    async def probe(self) -> None:
        if self.problem is not None:
            raise ProviderError(Trouble.UNAUTHORIZED, self.problem, retryable=False)

    async def close(self) -> None:
        """Nothing to close."""


def llm_stage(cloud: Cloud, *, with_local: bool) -> StageDefinition:
    providers = {"cloud": "Cloud 1", **({"local": "Small 1"} if with_local else {})}
    return StageDefinition(
        Stage.STAGE_LLM, Input.CONTROLS, providers, lambda _lease, _outlet: StageSession(), watched={"cloud": cloud}
    )


@asynccontextmanager
async def catalogue_of(
    definition: StageDefinition, nats_url: str, realm: str
) -> AsyncIterator[Callable[[], BotCatalogue]]:
    """One worker of a stage, and catalogues that know nothing yet."""
    bot = Bot.model_validate({"id": "b", "name": "B", "prompt": "p", "llm": {"provider": ["cloud", "local"]}})
    settings = WorkerSettings(nats_url=nats_url, realm=realm, drain_s=0)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service("stage", nats_url, realm))
        gateway = await stack.enter_async_context(open_service("gateway", nats_url, realm))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(Worker(service, definition, settings).serve(), name="worker")
        stack.callback(service.stopping.set)
        broker = LeaseBroker(gateway.link, gateway.subjects, gateway.process_id, gateway.log)
        yield lambda: BotCatalogue(Bots([bot]), broker)


async def llm_line(catalogue: BotCatalogue) -> dict[str, Any]:
    (bot,) = await catalogue.describe()
    return bot["stages"]["llm"]


@pytest.mark.parametrize(
    ("problem", "with_local", "expected"),
    [
        (None, True, {"provider": "cloud", "detail": "Cloud 1"}),
        (REFUSED, True, {"provider": "local", "detail": "Small 1", "note": REFUSED}),
        (REFUSED, False, {"provider": None, "detail": REFUSED}),
    ],
)
async def test_the_line_of_a_stage(
    nats_url: str, realm: str, problem: str | None, with_local: bool, expected: dict[str, Any]
) -> None:
    stage = llm_stage(Cloud(problem), with_local=with_local)
    async with catalogue_of(stage, nats_url, realm) as make:
        assert await eventually(lambda: llm_line(make()), lambda line: line == expected, within_s=10.0)


async def test_a_stage_that_nobody_serves(nats_url: str, realm: str) -> None:
    async with catalogue_of(llm_stage(Cloud(None), with_local=True), nats_url, realm) as make:
        (bot,) = await make().describe()
        assert bot["stages"]["vad"] == {"provider": None, "detail": "no worker with room"}
