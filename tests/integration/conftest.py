"""What the tests of a whole system on emulated stages share."""

from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from natter_bench.signalling import http_client
from natter_bench.speech import EncodedSpeech, encode


@pytest.fixture(scope="session")
def speech() -> EncodedSpeech:
    """0.8 s that emulated speech detection takes for speech: it goes by loudness."""
    rate_hz = 16_000
    time_s = np.arange(int(0.8 * rate_hz)) / rate_hz
    tone = sum(np.sin(2 * np.pi * 150 * harmonic * time_s) / harmonic for harmonic in (1, 2, 3, 4))
    return encode((6_000 * tone).astype(np.int16), rate_hz)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client
