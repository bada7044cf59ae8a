"""Runs one service process: command line, logs, event loop, signals, link and HTTP; the service brings its body."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, TypeVar

import uvloop
from pydantic import ValidationError

from natter_common.link import NatsLink, open_link
from natter_common.logs import Log, configure_logs
from natter_common.metrics import Metrics
from natter_common.settings import ServiceSettings
from natter_proto import BadTokenError, RealmSubjects, new_id

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Service:
    """What a running service process stands on."""

    name: str
    process_id: str
    """Random per process start: the worker's or gateway's token in subjects."""
    version: str
    subjects: RealmSubjects
    link: NatsLink
    metrics: Metrics
    log: Log
    stopping: asyncio.Event
    """Set by SIGTERM and SIGINT: drain, then return from the body."""


def run_service(
    name: str,
    settings_type: type[SettingsT],
    body: Callable[[Service, SettingsT], Awaitable[None]],
    description: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Entry point of a console script. Exits with a sentence on settings that can't be.

    `arguments`: of the command line; None takes the process's own.
    """
    settings = _read_settings(name, settings_type, description, arguments)
    log = configure_logs(name, settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(name, settings, body, log))


async def _run(name: str, settings: SettingsT, body: Callable[[Service, SettingsT], Awaitable[None]], log: Log) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    metrics = Metrics(name)
    process_id = new_id()
    subjects = RealmSubjects(settings.realm)
    link_opening = open_link(settings.nats_servers, f"natter-{name}-{process_id}", metrics, log)
    async with asyncio.TaskGroup() as tasks:
        # A signal has to end the wait for a broker that never comes.
        stop = tasks.create_task(stopping.wait(), name="stop-signal")
        entering = tasks.create_task(link_opening.__aenter__(), name="link-open")
        await asyncio.wait({stop, entering}, return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            entering.cancel()
            return
        link = entering.result()
        service = Service(
            name, process_id, version(f"natter-{name}"), subjects, link, metrics, log.bind(process=process_id), stopping
        )
        watching = tasks.create_task(link.watch(f"{subjects.beat(process_id)}.self"), name="link-watch")
        try:
            await body(service, settings)
        finally:
            stop.cancel()
            watching.cancel()
            await asyncio.wait({watching})
            await link_opening.__aexit__(None, None, None)


STOP_GRACE_S: Final = 30.0
"""A service leaves this long after SIGTERM, whatever is still going on."""


def _read_settings(
    name: str, settings_type: type[SettingsT], description: str, arguments: Sequence[str] | None
) -> SettingsT:
    fields = settings_type.model_fields
    lines = [f"  {_variable(key)} (default: {field.default})" for key, field in fields.items()]
    parser = argparse.ArgumentParser(
        prog=f"natter-{name}",
        description=description,
        epilog="environment:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version(f"natter-{name}"))
    parser.parse_args(arguments)
    try:
        settings = settings_type()
        RealmSubjects(settings.realm)
    except ValidationError as error:
        problems = [f"{_variable(str(item['loc'][0]))}: {item['msg']}" for item in error.errors()]
        raise SystemExit(f"natter-{name}: {'; '.join(problems)}") from error
    except BadTokenError as error:
        raise SystemExit(f"natter-{name}: NATTER_REALM: {error}") from error
    return settings


def _variable(field: str) -> str:
    return {"nats_url": "NATS_URL"}.get(field, field if field.isupper() else f"NATTER_{field.upper()}")
