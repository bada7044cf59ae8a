"""`natter-local`: the broker and the five services in the foreground, until Ctrl-C. This is what `make up` runs.

`natter-local roll` has one that runs replace its workers without an end of any conversation: `make roll`.
"""

import argparse
import asyncio
import contextlib
import http.client
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from natter_local.broker import NATS, BrokerError
from natter_local.console import Console
from natter_local.control import ask_to_roll, control_link, serve_control
from natter_local.ports import NoPortError, is_free, next_free
from natter_local.ready import http_get
from natter_local.rolling import RollError
from natter_local.settings import DEFAULT_PORT, LocalSettings, project_root, read_settings
from natter_local.summary import advice, default_bot, problems, uses_keys
from natter_local.system import GATEWAY, SERVICES, LocalOptions, LocalSystem, StartError

_FAILED: Final = 1
_KILLED: Final = 130
_STILL_WAITING_S: Final = 10.0
_STOP_GRACE_S: Final = 5.0
_FIRST_PROBE_S: Final = 1.5
"""Workers look whether a provider's key is good once they are up, and are told within this time mostly."""
_HELP: Final = """\
Runs Natter on this machine: the broker and one each of gateway, vad, stt, llm and tts. What dies is started again;
Ctrl-C stops all of it, a second Ctrl-C at once."""
_ENVIRONMENT: Final = """\
environment (also read from .env; every other variable is passed on to the services):
  FAST_API_PORT         port of the page and the API (7860, or the next free one)
  NATS_URL              a broker that runs already; without it one is started
  NATTER_NATS_NODES     nodes of the broker that is started: 1 or 3 (1)
  NATTER_BOTS_DIR       folder of bots (bots)
  NATTER_WEB_DIR        the built page (web/dist)
  OPENAI_API_KEY, OPENAI_BASE_URL, DEEPGRAM_API_KEY, ELEVENLABS_API_KEY, GLADIA_API_KEY
                        larger models than the built-in ones; bots/README.md says which are used
  NATTER_LOG_LEVEL      debug, info, warning or error (info)
  NATTER_LOG_FORMAT     console or json (console)
  NATTER_LOG_FILE       also log to files: natter.log becomes natter-stt.log for stt, and so on
  NATTER_DRAIN_S        how long conversations may go on after Ctrl-C (2)
  NATTER_SERVICES_FILE  where addresses and pids are written while all is up (var/run/services.json)"""
_ROLL_HELP: Final = """\
Replaces the workers of a running natter-local, one after another: a new one starts, and when it is ready the old one
hands its conversations over and leaves. The gateway stays. Exit code 1 when nothing runs here, or a new one does not
get ready; then the old one stays."""


def main() -> int:
    """Console script. 0 when stopped by a signal, 1 when it could not come up or go on, 130 when killed."""
    parser = argparse.ArgumentParser(
        prog="natter-local",
        description=_HELP,
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rolling = parser.add_subparsers(dest="command", metavar="").add_parser(
        "roll",
        help="replace the workers of a natter-local that runs, one after another",
        description=_ROLL_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rolling.add_argument("stages", nargs="*", metavar="STAGE", help="vad, stt, llm or tts; all without it")
    parsed = parser.parse_args()
    root = project_root()
    console = Console(sys.stdout, (NATS, *SERVICES))
    try:
        settings = read_settings(root)
        if parsed.command == "roll":
            return _roll(root / settings.services_file, parsed.stages, console)
        port = _gateway_port(settings, console)
    except ValidationError as error:
        problems = [f"{item['loc'][0]}: {item['msg']}" for item in error.errors()]
        console.complain("; ".join(problems))
        return _FAILED
    except NoPortError as error:
        console.complain(str(error))
        return _FAILED
    with tempfile.TemporaryDirectory(prefix="natter-", ignore_cleanup_errors=True) as folder:
        system = LocalSystem(Path(folder), _options(settings, root, port), console)
        link = control_link(root / settings.services_file)
        return asyncio.run(_run(system, console, partial(serve_control, Path(folder), link, system.roll, console.say)))


def _roll(services_file: Path, stages: Sequence[str], console: Console) -> int:
    try:
        console.say(asyncio.run(ask_to_roll(control_link(services_file), stages, console.say)))
    except RollError as error:
        console.complain(str(error))
        return _FAILED
    except KeyboardInterrupt:
        console.say("what was begun goes on in the other terminal")
        return _KILLED
    return 0


def _gateway_port(settings: LocalSettings, console: Console) -> int:
    host = "" if settings.http_host == "0.0.0.0" else settings.http_host  # noqa: S104
    if settings.port is not None:
        if not is_free(settings.port, host):
            raise NoPortError(f"port {settings.port} (FAST_API_PORT) is taken: stop what uses it, or set another one")
        return settings.port
    port = next_free(DEFAULT_PORT, host)
    if port != DEFAULT_PORT:
        console.say(f"port {DEFAULT_PORT} is taken, so this uses {port} (FAST_API_PORT chooses one)")
    return port


def _options(settings: LocalSettings, root: Path, port: int) -> LocalOptions:
    # What comes from .env has to win over the defaults given here, so it is read here and passed on.
    env = {
        "NATTER_BOTS_DIR": str(root / settings.bots_dir),
        "NATTER_WEB_DIR": str(root / settings.web_dir),
        "NATTER_LOG_FORMAT": settings.log_format,
    }
    if settings.http_host:
        env["NATTER_HTTP_HOST"] = settings.http_host
    return LocalOptions(
        env=env,
        # Not for workers: when the gateway has gone they have nothing left to do, and in a roll they need their time.
        env_of={GATEWAY: {"NATTER_DRAIN_S": str(settings.drain_s)}},
        log_file=root / settings.log_file if settings.log_file is not None else None,
        nats_url=settings.nats_url or None,
        nats_nodes=settings.nats_nodes,
        gateway_port=port,
        services_file=root / settings.services_file,
        cwd=root,
        ready_timeout_s=None,
        stop_grace_s=_STOP_GRACE_S + settings.drain_s,
    )


async def _run(system: LocalSystem, console: Console, control: Callable[[], Coroutine[None, None, None]]) -> int:
    """`control`: answers `natter-local roll` until cancelled."""
    stopping = asyncio.Event()
    exit_code = 0

    def on_signal() -> None:
        nonlocal exit_code
        if stopping.is_set():
            exit_code = _KILLED
            system.kill_all()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    stop = asyncio.create_task(stopping.wait(), name="stop-signal")
    life = asyncio.create_task(_live(system, console, control), name="life")
    await asyncio.wait({stop, life}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if stopping.is_set():
        console.say("stopping (again Ctrl-C: at once)")
        life.cancel()
    try:
        await life
    except asyncio.CancelledError:
        console.say("stopped")
    except (StartError, BrokerError) as error:
        console.complain(f"Natter can't go on. {error}")
        return _FAILED
    return exit_code


async def _live(system: LocalSystem, console: Console, control: Callable[[], Coroutine[None, None, None]]) -> None:
    """Up until cancelled."""
    console.say("starting; models take a few seconds to load")
    async with asyncio.TaskGroup() as tasks:
        reporting = tasks.create_task(_report(system, console), name="report-progress")
        try:
            # Raised outside of the group, so that it reaches the caller as it is.
            failed = await _start(system)
        finally:
            reporting.cancel()
    if failed is not None:
        raise failed
    try:
        console.show(await _welcome(system, console))
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(control(), name="control")
            try:
                failed = await _watch(system)
            finally:
                answering.cancel()
        raise failed
    finally:
        await system.stop()


async def _start(system: LocalSystem) -> StartError | BrokerError | None:
    try:
        await system.start()
    except (StartError, BrokerError) as error:
        return error
    return None


async def _watch(system: LocalSystem) -> StartError:
    try:
        await system.watch()
    except StartError as error:
        return error


async def _report(system: LocalSystem, console: Console) -> None:
    """Say now and then who isn't ready yet."""
    while True:
        await asyncio.sleep(_STILL_WAITING_S)
        late = [f"{process.name} ({process.waiting_for})" for process in system.processes if not process.ready]
        if late:
            console.say(f"still waiting for {', '.join(late)}")


async def _welcome(system: LocalSystem, console: Console) -> str:
    lines = ["", f"  Natter is up: {console.bold(system.url)}", ""]
    healths = await _healths(system)
    if uses_keys(healths):
        await asyncio.sleep(_FIRST_PROBE_S)
        healths = await _healths(system)
    found = problems(healths)
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        _, answer = await http_get(f"{system.url}/api/bots")
        name, stages = default_bot(answer)
        lines.append(f"  {name} runs on:")
        for stage in stages:
            limits = f" {console.dim(f'({stage.limits})')}" if stage.limits else ""
            lines.append(f"    {stage.stage}: {stage.uses}{limits}")
        lines += [f"  {line}" for line in advice(stages, found)]
        lines.append("")
    if found:
        lines += ["  What can't be used:", *(f"    {console.red(problem)}" for problem in found), ""]
    lines += ["  Open it in a browser on this machine: others give a page the microphone over https only.", ""]
    return "\n".join(lines)


async def _healths(system: LocalSystem) -> list[tuple[str, bytes]]:
    """What every worker says of itself, with its stage; who does not answer is left out."""
    answers: list[tuple[str, bytes]] = []
    for process in system.processes:
        if process.service != GATEWAY:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answers.append((process.service, (await http_get(f"{process.url}/health"))[1]))
    return answers


if __name__ == "__main__":
    raise SystemExit(main())
