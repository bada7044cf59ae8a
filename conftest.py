"""Fixtures for the tests of every package."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from natter_local.broker import Broker
from natter_proto import new_id


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real nats-server that serves the whole test run; tests keep apart by `realm`."""
    store: Path = tmp_path_factory.mktemp("nats")
    with asyncio.Runner() as runner:
        broker = Broker(store)
        runner.run(broker.start())
        yield broker.url
        runner.run(broker.stop())


@pytest.fixture
def realm() -> str:
    """A realm that no other test uses."""
    return f"test-{new_id()}"
