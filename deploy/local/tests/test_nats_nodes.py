"""A broker of three nodes, real ones, with fake services."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from natter_local.ready import READY, tcp_ready
from natter_local.system import LocalOptions, LocalSystem, StartError
from natter_testing.eventually import eventually

Fakes = Callable[..., dict[str, Sequence[str]]]
LIMIT_S = 60.0


@asynccontextmanager
async def cluster(folder: Path, fakes: Fakes, file: Path | None = None) -> AsyncGenerator[LocalSystem]:
    chosen = LocalOptions(services={"stt": 1}, commands=fakes("stt"), nats_nodes=3, services_file=file)
    async with asyncio.timeout(LIMIT_S), LocalSystem(folder, chosen) as system:
        yield system


@asynccontextmanager
async def client_of(system: LocalSystem) -> AsyncGenerator[Client]:
    client = await nats.connect(system.nats_url.split(","), connect_timeout=1, max_reconnect_attempts=-1)
    try:
        yield client
    finally:
        await client.close()


async def test_three_nodes_keep_a_stream_together_and_the_leader_may_die(tmp_path: Path, fakes: Fakes) -> None:
    file = tmp_path / "services.json"
    async with cluster(tmp_path, fakes, file) as system:
        assert [node.name for node in system.brokers] == ["nats", "nats-2", "nats-3"]
        assert system.of("nats") == system.brokers
        assert system.nats_url == ",".join(node.url for node in system.brokers)
        assert json.loads(file.read_text())["nats"] == [{"url": node.url, "pid": node.pid} for node in system.brokers]
        assert await eventually(system.jetstream_leader, lambda found: found is not None, LIMIT_S) in system.brokers
        assert await system.jetstream_leader("none") is None

        async with client_of(system) as client:
            # At once: who is ready has a leader that can place streams.
            stream = client.jetstream(timeout=10)
            await stream.add_stream(name="log", subjects=["log.>"], num_replicas=3)
            await stream.publish("log.a", b"before")
            leader = await eventually(lambda: system.jetstream_leader("log"), lambda found: found is not None, LIMIT_S)
            assert leader is not None
            assert (await stream.stream_info("log")).cluster.leader == leader.name

            await leader.kill(signal.SIGKILL)
            await eventually(lambda: _published(client), bool, LIMIT_S)
            await system.wait_ready()
            assert leader.starts == 2
            assert leader.url in system.nats_url
            assert await eventually(lambda: system.jetstream_leader("log"), lambda found: found is not None, LIMIT_S)
            assert (await stream.stream_info("log")).state.messages >= 2


async def _published(client: Client) -> bool:
    try:
        await client.jetstream(timeout=1).publish("log.a", b"after")
    except (TimeoutError, nats.errors.Error, nats.js.errors.Error):
        return False
    return True


async def test_a_frozen_node_loses_the_lead_and_comes_back(tmp_path: Path, fakes: Fakes) -> None:
    async with cluster(tmp_path, fakes) as system:
        leader = await eventually(system.jetstream_leader, lambda found: found is not None, LIMIT_S)
        assert leader is not None
        await leader.kill(signal.SIGSTOP)
        try:
            await eventually(system.jetstream_leader, lambda found: found not in (None, leader), LIMIT_S)
        finally:
            await leader.kill(signal.SIGCONT)
        assert leader.starts == 1
        assert await tcp_ready(leader.url) == READY


async def test_clients_spread_over_the_nodes(tmp_path: Path, fakes: Fakes) -> None:
    async with cluster(tmp_path, fakes) as system:
        used: set[str] = set()
        while len(used) < 3:
            async with client_of(system) as client:
                assert client.connected_url is not None
                used.add(client.connected_url.netloc)
        assert used == {node.url.removeprefix("nats://") for node in system.brokers}


async def test_two_nodes_are_refused(tmp_path: Path, fakes: Fakes) -> None:
    chosen = LocalOptions(services={"stt": 1}, commands=fakes("stt"), nats_nodes=2)
    with pytest.raises(StartError, match="a broker has 1 or 3 nodes, not 2"):
        await LocalSystem(tmp_path, chosen).start()


async def test_one_node_leads_alone(tmp_path: Path, fakes: Fakes) -> None:
    async with LocalSystem(tmp_path, LocalOptions(services={"stt": 1}, commands=fakes("stt"))) as system:
        assert await system.jetstream_leader() is system.broker
