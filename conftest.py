"""Fixtures for the tests of every package."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from natter_local.broker import Broker
from natter_proto import new_id

_ROOT: Final = Path(__file__).parent
_MARKED_FOLDERS: Final = {
    _ROOT / "tests" / "integration": "system",
    _ROOT / "tests" / "e2e": "alone",
    _ROOT / "tests" / "chaos": "alone",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark whole folders before `-m` looks at the marks; scripts/test.sh runs what is marked apart from the rest."""
    for item in items:
        for folder, mark in _MARKED_FOLDERS.items():
            if item.path.is_relative_to(folder):
                item.add_marker(mark)


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
