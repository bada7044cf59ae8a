"""The built-in model, loaded once for all tests of this package."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from natter_llm.local import LocalOptions, LocalProvider


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalProvider]:
    provider = LocalProvider(LocalOptions(slots=2))
    asyncio.run(provider.load(CollectorRegistry()))
    yield provider
    asyncio.run(provider.close())
