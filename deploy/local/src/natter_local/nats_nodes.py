"""The nodes of the broker on this machine: one nats-server, or three that keep JetStream together."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from natter_local.broker import NATS, broker_command, broker_url
from natter_local.ports import free_ports
from natter_local.ready import READY, STARTING, Probe, http_get, tcp_ready
from natter_local.supervised import Plan

NODE_COUNTS: Final = (1, 3)
"""Two would be worse than one: both are needed for a majority."""
_CLUSTER_NAME: Final = "natter"


@dataclass(frozen=True, slots=True)
class NatsNode:
    """How to run a node. `monitor_url`: where it tells its state over HTTP; empty for a node without others."""

    plan: Plan
    monitor_url: str


@dataclass(frozen=True, slots=True)
class _Ports:
    client: int
    routes: int
    monitor: int


def nats_nodes(folder: Path, count: int, *, keep_up: bool) -> list[NatsNode]:
    """The nodes, called `nats`, `nats-2`, `nats-3`, each with its streams in `folder/<name>`."""
    if count == 1:
        return [NatsNode(_alone(folder, keep_up=keep_up), "")]
    # All of them are picked at once: each node has to know the others' before any of them runs.
    picked = free_ports(3 * count)
    ports = [_Ports(*picked[3 * index : 3 * index + 3]) for index in range(count)]
    return [_in_cluster(folder, index, ports, keep_up=keep_up) for index in range(count)]


def _alone(folder: Path, *, keep_up: bool) -> Plan:
    def launch(port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        return broker_command(folder / NATS, port), {}

    return Plan(NATS, NATS, launch, broker_url, tcp_ready, cwd=folder, keep_up=keep_up)


def _in_cluster(folder: Path, index: int, ports: Sequence[_Ports], *, keep_up: bool) -> NatsNode:
    name = NATS if index == 0 else f"{NATS}-{index + 1}"
    own = ports[index]
    routes = ",".join(broker_url(other.routes) for other in ports if other is not own)
    monitor_url = f"http://127.0.0.1:{own.monitor}"

    def launch(port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        return [
            *broker_command(folder / name, port),
            *("--name", name, "--http_port", str(own.monitor)),
            *("--cluster_name", _CLUSTER_NAME, "--cluster", broker_url(own.routes), "--routes", routes),
            # Clients are given all addresses. Others, told by the nodes, would lead around a proxy in a test.
            "--no_advertise=true",
        ], {}

    probe = _jetstream_probe(monitor_url)
    return NatsNode(
        Plan(name, NATS, launch, broker_url, probe, cwd=folder, port=own.client, keep_up=keep_up), monitor_url
    )


def _jetstream_probe(monitor_url: str) -> Probe:
    async def probe(url: str) -> str:
        """Ready is a node that takes clients and is up to date with JetStream's leader."""
        if await tcp_ready(url) != READY:
            return STARTING
        try:
            # Without its own streams: to bring those up to date may take long, and the others serve them meanwhile.
            status, body = await http_get(f"{monitor_url}/healthz?js-server-only=true")
        except (OSError, http.client.HTTPException):
            return STARTING
        return READY if status == http.client.OK else _reason(status, body)

    return probe


def _reason(status: int, body: bytes) -> str:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    error = cast("dict[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, str) and error else f"/healthz answers {status}"
