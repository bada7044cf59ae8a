"""CPU time and memory of the services: from the process where it is on this machine, else from its /metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import psutil

from natter_bench.errors import CallError

_CPU = re.compile(r"^process_cpu_seconds_total(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)
_MEMORY = re.compile(r"^process_resident_memory_bytes(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Service:
    """Where to ask: `pid` on this machine, `url` of its HTTP port, or both."""

    name: str
    url: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the process began, and resident memory; with a pid, those of its children too."""

    cpu_s: float
    memory_bytes: float


def read_services(gateway_url: str, pairs: Sequence[str], file: Path | None) -> list[Service]:
    """The gateway at `gateway_url`, what the file of the local runner says, and NAME=URL pairs; later ones win.

    The file is `{"gateway": {"url": "http://127.0.0.1:7860", "pid": 123}, "stt": …}`; several workers of a stage are
    a list of such entries. Raises CallError, with what is wrong.
    """
    services = {"gateway": Service("gateway", gateway_url)}
    if file is not None:
        for name, entry in _content(file).items():
            entries = cast("list[Any]", entry) if isinstance(entry, list) else [entry]
            for number, one in enumerate(entries, 1):
                service = _service(name if number == 1 else f"{name}-{number}", one, file)
                services[service.name] = service
    for pair in pairs:
        name, separator, url = pair.partition("=")
        if not separator or not name or not url.startswith(("http://", "https://")):
            raise CallError(f"a service is given as NAME=http://host:port, not {pair!r}")
        services[name] = Service(name, url)
    return list(services.values())


def nats_of(file: Path | None) -> str | None:
    """The broker's address in the file of the local runner; None where there is none. Raises CallError.

    Of several nodes, all addresses with commas between.
    """
    entry: Any = _content(file).get("nats") if file is not None else None
    nodes = cast("list[Any]", entry) if isinstance(entry, list) else [entry]
    urls: list[Any] = [cast("dict[str, Any]", node).get("url") for node in nodes if isinstance(node, dict)]
    return ",".join(url for url in urls if isinstance(url, str)) or None


async def usage(http: httpx.AsyncClient, service: Service) -> Usage | None:
    """What the service has used up to now; None when it cannot be told."""
    if service.pid is not None:
        found = process_usage(service.pid)
        if found is not None:
            return found
    if service.url is None:
        return None
    try:
        response = await http.get(service.url.rstrip("/") + "/metrics", timeout=5.0)
    except httpx.HTTPError:
        return None
    return usage_of_metrics(response.text) if response.is_success else None


async def usages(http: httpx.AsyncClient, services: Sequence[Service]) -> dict[str, Usage]:
    """Usage by name, of those that tell."""
    found: dict[str, Usage] = {}
    for service in services:
        one = await usage(http, service)
        if one is not None:
            found[service.name] = one
    return found


def usage_of_metrics(text: str) -> Usage | None:
    """From the Prometheus text format."""
    cpu, memory = _CPU.search(text), _MEMORY.search(text)
    if cpu is None:
        return None
    try:
        return Usage(float(cpu[1]), float(memory[1]) if memory else 0.0)
    except ValueError:
        return None


def process_usage(pid: int) -> Usage | None:
    """Of a process on this machine and its children; None when it is gone or not ours to see."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    cpu_s = memory = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            cpu_s += times.user + times.system
            memory += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return Usage(cpu_s, memory)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a service took during a run. `cpu_s_per_session_s` 0.02 is 2 % of a core for each session."""

    cpu_s_per_session_s: float
    memory_mb: float


def costs(before: Mapping[str, Usage], after: Mapping[str, Usage], session_seconds: float) -> dict[str, Cost]:
    """Cost by name, of the services that told both times."""
    return {
        name: Cost((used.cpu_s - before[name].cpu_s) / session_seconds, used.memory_bytes / 1e6)
        for name, used in after.items()
        if name in before and session_seconds > 0
    }


def _content(file: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CallError(f"cannot read the services from {file}: {error}") from error
    if not isinstance(content, dict):
        raise CallError(f"{file} is not an object of services by name")
    return cast("dict[str, Any]", content)


def _service(name: str, entry: Any, file: Path) -> Service:
    if isinstance(entry, dict):
        fields = cast("dict[str, Any]", entry)
        url, pid = fields.get("url"), fields.get("pid")
        if isinstance(url, str | None) and isinstance(pid, int | None) and (url or pid):
            return Service(name, url, pid)
    raise CallError(f'{file}: "{name}" needs a "url" or a "pid"')
