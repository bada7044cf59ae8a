"""The built-in voice, loaded once for all tests of this package."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from natter_tts.local import LocalProvider


@pytest.fixture(scope="session")
def local_voice() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    asyncio.run(provider.load(CollectorRegistry()))
    yield provider
    asyncio.run(provider.close())
