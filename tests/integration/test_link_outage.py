"""NATS away for five seconds: said by /ready, refused to new callers, survived by a call in progress."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting, hear_out
from natter_bench.errors import RefusedError
from natter_bench.speech import EncodedSpeech
from natter_local.broker import Broker
from natter_local.system import LocalSystem
from natter_testing.emulated_system import BRIEF, emulated_system
from natter_testing.eventually import eventually
from natter_testing.tcp_proxy import TcpProxy

OUTAGE_S = 5.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A system whose link can be taken away."""

    system: LocalSystem
    begin: Callable[[], None]
    end: Callable[[], None]


@asynccontextmanager
async def frozen_broker(folder: Path) -> AsyncIterator[Outage]:
    """The broker stands still: connections stay, and nothing comes."""
    async with emulated_system(folder, options=BRIEF) as system:
        broker = system.broker
        assert broker is not None
        try:
            yield Outage(system, lambda: broker.send(signal.SIGSTOP), lambda: broker.send(signal.SIGCONT))
        finally:
            broker.send(signal.SIGCONT)


@asynccontextmanager
async def cut_network(folder: Path) -> AsyncIterator[Outage]:
    """Connections break, and new ones are refused."""
    async with (
        Broker(folder / "broker") as broker,
        TcpProxy(broker.port) as proxy,
        emulated_system(folder, options=BRIEF, nats_url=f"nats://127.0.0.1:{proxy.port}") as system,
    ):
        try:
            yield Outage(system, proxy.cut, proxy.heal)
        finally:
            proxy.heal()


@pytest.mark.parametrize("kind", [frozen_broker, cut_network])
async def test_a_call_survives_an_outage(
    kind: Callable[[Path], "asynccontextmanager[Outage]"],
    tmp_path: Path,
    speech: EncodedSpeech,
    http: httpx.AsyncClient,
) -> None:
    async with kind(tmp_path) as outage, Caller.connect(outage.system.url, http=http) as caller:
        url = outage.system.url
        await hear_greeting(caller)
        await exchange(caller, speech)

        async def ready() -> tuple[int, str]:
            answer = await http.get(f"{url}/ready")
            return answer.status_code, answer.json().get("detail", "")

        began_s = time.monotonic()
        outage.begin()
        status, detail = await eventually(ready, lambda seen: seen[0] == 503, within_s=OUTAGE_S)
        assert (status, detail) == (503, "NATS is not connected")
        for via_start in (True, False):
            with pytest.raises(RefusedError) as refused:
                async with Caller.connect(url, http=http, via_start=via_start):
                    pass
            assert refused.value.status == 503
            assert refused.value.retry_after_s is not None

        await caller.say(speech)
        said_s = time.monotonic()
        await asyncio.sleep(max(0.0, began_s + OUTAGE_S - time.monotonic()))
        outage.end()
        await eventually(ready, lambda seen: seen[0] == 200, within_s=10.0)
        assert await caller.wait_for_voice(after_s=said_s, within_s=10.0), "what was said meanwhile is answered"
        await hear_out(caller, said_s)

        asked_s = time.monotonic()
        await exchange(caller, speech)
        assert caller.last_audible_s > asked_s, "what is said after is answered"
        assert caller.recording.of_type("user-transcription", after_s=asked_s)
        assert not caller.recording.of_type("error", after_s=began_s)
        async with Caller.connect(url, http=http):
            pass
