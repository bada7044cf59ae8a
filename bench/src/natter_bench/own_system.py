"""`natter-bench run`: a call to a system of its own, with the built-in models, that is gone afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from natter_bench.call import CallOptions, CallReport, run_call
from natter_bench.errors import CallError
from natter_bench.resources import Service
from natter_local.broker import BrokerError
from natter_local.settings import project_root
from natter_local.system import LocalOptions, LocalSystem, StartError


@dataclass(frozen=True, slots=True)
class RunReport:
    """A call, and what came before it."""

    started_s: float
    """From the start of the services to the last one's being ready, models loaded."""
    call: CallReport


async def run_on_own_system(options: CallOptions, say: Callable[[str], object]) -> RunReport:
    """Start broker and services, call as `options` say (but for the addresses), stop all. Raises CallError.

    `say` gets a line of text now and then, for somebody who waits.
    """
    root = project_root()
    env = {"NATTER_BOTS_DIR": str(root / "bots"), "NATTER_WEB_DIR": str(root / "web" / "dist")}
    with tempfile.TemporaryDirectory(prefix="natter-bench-", ignore_cleanup_errors=True) as folder:
        say("starting the services; models take a few seconds to load\n")
        begin_s = time.monotonic()
        try:
            async with LocalSystem(Path(folder), LocalOptions(env=env)) as system:
                started_s = time.monotonic() - begin_s
                say(f"calling {system.url}\n")
                call = replace(options, url=system.url, nats_url=system.nats_url)
                return RunReport(started_s, await run_call(call, services_of(system)))
        except (StartError, BrokerError) as error:
            raise CallError(f"the services do not come up: {error}") from error


def services_of(system: LocalSystem) -> list[Service]:
    """Every process of a local system, the broker last."""
    services = [Service(process.name, process.url, process.pid) for process in system.processes]
    return [*services, *(Service(node.name, None, node.pid) for node in system.brokers)]
