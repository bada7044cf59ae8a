"""The built-in voice, loaded once for all tests of this package."""

import asyncio
from collections.abc import Iterator

import pytest

from natter_tts.local import LocalProvider


@pytest.fixture(scope="session")
def local_voice() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    asyncio.run(provider.load())
    yield provider
    asyncio.run(provider.close())
