"""Whether there is a JetStream: it is there, the broker says that it is not, or nobody knows."""

import asyncio
from collections.abc import Sequence

import nats.errors
import pytest
import structlog
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from natter_gateway.journal.keeping import Stores
from natter_gateway.journal.streams import StoreUnavailableError, Streams
from natter_gateway.journal.takeover import take_over
from natter_proto import RealmSubjects


class Broker:
    """Stands for link and JetStream: fails as it is told, one time after the other; then it stands still."""

    def __init__(self, *failures: Exception) -> None:
        self.up = True
        self.failures: Sequence[Exception] = failures
        self.silent = asyncio.Event()

    def jetstream(self, timeout_s: float) -> JetStreamContext:
        assert timeout_s
        return self  # type: ignore[return-value]

    async def add_stream(self, config: api.StreamConfig) -> api.StreamInfo:
        assert config.name
        if self.failures:
            error, *self.failures = self.failures
            raise error
        self.silent.set()
        return await asyncio.Future()


async def after(*failures: Exception) -> Streams:
    """The streams of a broker that has failed so, and is asked once more."""
    broker = Broker(*failures)
    streams = Streams(broker, RealmSubjects("main"), structlog.get_logger(), max_age_days=1, max_bytes=1)
    running = asyncio.create_task(streams.run(), name="streams")
    async with asyncio.timeout(20):
        await broker.silent.wait()
    running.cancel()
    return streams


NOBODY = js_errors.ServiceUnavailableError()
NOT_FOR_THIS_ACCOUNT = js_errors.ServiceUnavailableError(code=503, err_code=10039)
UNAVAILABLE = js_errors.ServiceUnavailableError(code=503, err_code=10008)


@pytest.mark.parametrize("said", [NOBODY, NOT_FOR_THIS_ACCOUNT])
async def test_without_jetstream_there_is_no_session_to_take_over(said: Exception) -> None:
    streams = await after(said)
    assert await take_over(Stores.of("gateway-a", streams), "abc", lambda _: True) is None


@pytest.mark.parametrize("failures", [(), (nats.errors.TimeoutError(),), (UNAVAILABLE,), (NOBODY, UNAVAILABLE)])
async def test_before_jetstream_answers_nobody_knows_what_is_kept(failures: tuple[Exception, ...]) -> None:
    streams = await after(*failures)
    with pytest.raises(StoreUnavailableError):
        await take_over(Stores.of("gateway-a", streams), "abc", lambda _: True)
