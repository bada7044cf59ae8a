"""The rival: a Pipecat bot in a Python environment of its own, to be called as Natter is called."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from natter_bench.errors import CallError
from natter_local.child import Child, exit_words
from natter_local.settings import project_root

READY_WITHIN_S: Final = 60.0
"""Its imports alone take 4 s and more, on a machine that does other things much more."""
STOP_WITHIN_S: Final = 5.0

_SOURCES: Final = Path(__file__).resolve().parents[2] / "pipecat"
_STAMP: Final = ".natter-ready"
_STEP_WITHIN_S: Final = 1200.0
_READY: Final = re.compile(r"ready (http://127\.0\.0\.1:\d+)")
_KEPT_LINES: Final = 15
_LAST_WORDS_S: Final = 1.0
_HTTP_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY")


def pipecat_python() -> Path | None:
    """The interpreter that has Pipecat as this version of the bench wants it; None when it has to be installed."""
    python, stamp = _venv() / "bin" / "python", _venv() / _STAMP
    try:
        wanted = _requirements().read_text()
        return python if python.exists() and stamp.read_text() == wanted else None
    except OSError:
        return None


def install_pipecat(say: Callable[[str], object]) -> Path:
    """Make the environment (var/pipecat-venv, 0.8 GB) with uv or pip, unless it is there; gives its interpreter.

    `say` gets a line of text at each step. Raises CallError with the end of what the installer wrote.
    """
    if (python := pipecat_python()) is not None:
        return python
    requirements, venv = _requirements(), _venv()
    if not requirements.exists():
        raise CallError(f"Pipecat can only be installed from Natter's source tree: there is no {requirements}")
    python = venv / "bin" / "python"
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        (venv / _STAMP).unlink(missing_ok=True)
        say(f"installing Pipecat into {venv} (0.8 GB, once)\n")
        for command in _install_commands(_uv(), venv, requirements):
            _install_step(command)
        (venv / _STAMP).write_text(requirements.read_text())
    except OSError as error:
        raise CallError(f"Pipecat cannot be installed into {venv}: {error}") from error
    say("Pipecat is installed\n")
    return python


@asynccontextmanager
async def pipecat_system(
    folder: Path, environment: Mapping[str, str], say: Callable[[str], object]
) -> AsyncGenerator[str]:
    """Run the bot on the services that `environment` names (keys and base URLs); gives the address to call.

    Its output goes to `pipecat.log` in `folder`, which has to be there. `say` gets a line of text now and then. Raises
    CallError when Pipecat is not installed or does not come up.
    """
    python = pipecat_python()
    if python is None:
        raise CallError("Pipecat is not installed: natter-bench latency --install-pipecat brings it")
    say("starting Pipecat; its imports take some seconds\n")
    command = (str(python), "-I", str(_SOURCES / "bot.py"))
    async with run_rival(command, bot_environment(os.environ, environment), folder / "pipecat.log") as url:
        yield url


def bot_environment(ours: Mapping[str, str], services: Mapping[str, str]) -> dict[str, str]:
    """What the bot is started with: our environment and the services', and no proxy in the way to this machine."""
    kept = {name: value for name, value in ours.items() if name.upper() not in _HTTP_PROXIES}
    return {**kept, "NO_PROXY": "*", "no_proxy": "*", **services}


@asynccontextmanager
async def run_rival(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    ready_within_s: float = READY_WITHIN_S,
    stop_within_s: float = STOP_WITHIN_S,
) -> AsyncGenerator[str]:
    """Run a process that writes `ready http://127.0.0.1:<port>` when it takes calls; gives that address.

    Afterwards it gets SIGTERM, and SIGKILL if it is still there `stop_within_s` later; what it left in its process
    group goes with it. What it writes is in `log`. Raises CallError when it is not ready in time, with its last lines.
    """
    child = await Child.start(command, environment, log.parent)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    tail: deque[str] = deque(maxlen=_KEPT_LINES)
    reading = asyncio.create_task(_read(child, log, ready, tail), name="pipecat-output")
    try:
        yield await _address(child, reading, ready, tail, ready_within_s)
    finally:
        try:
            await _stop(child, stop_within_s)
            await asyncio.wait([reading], timeout=_LAST_WORDS_S)
        finally:
            reading.cancel()
            await asyncio.wait([reading])


def address_in(line: str) -> str | None:
    """The address in the line that says that the bot is ready; None for any other line."""
    found = _READY.fullmatch(line.strip())
    return found.group(1) if found else None


async def _read(child: Child, log: Path, ready: asyncio.Future[str], tail: deque[str]) -> None:
    with log.open("w") as file:
        async with aclosing(child.lines()) as lines:
            async for line in lines:
                tail.append(line)
                file.write(f"{line}\n")
                file.flush()
                if not ready.done() and (address := address_in(line)) is not None:
                    ready.set_result(address)


async def _address(
    child: Child, reading: asyncio.Task[None], ready: asyncio.Future[str], tail: deque[str], within_s: float
) -> str:
    ended = asyncio.create_task(child.wait(), name="pipecat-ended")
    try:
        await asyncio.wait([ready, ended], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            return ready.result()
        if ended.done():
            await asyncio.wait([reading], timeout=_LAST_WORDS_S)
            raise CallError(f"Pipecat's bot {exit_words(ended.result())} before it was ready{_wrote(tail)}")
        raise CallError(f"Pipecat's bot was not ready within {within_s:g} s{_wrote(tail)}")
    finally:
        ended.cancel()
        await asyncio.wait([ended])


def _wrote(tail: Sequence[str]) -> str:
    return ". Its last lines:" + "".join(f"\n    {line}" for line in tail) if tail else "; it wrote nothing"


async def _stop(child: Child, within_s: float) -> None:
    child.send(signal.SIGTERM)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await child.wait()
    finally:
        child.send(signal.SIGKILL)
        child.sweep()
    await child.wait()


def _venv() -> Path:
    return project_root() / "var" / "pipecat-venv"


def _requirements() -> Path:
    return _SOURCES / "requirements.txt"


def _uv() -> str | None:
    """uv on the PATH, or where `make setup` put it."""
    own = project_root() / ".venv-tools" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)


def _install_commands(uv: str | None, venv: Path, requirements: Path) -> list[tuple[str, ...]]:
    python = str(venv / "bin" / "python")
    if uv is None:
        pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", str(requirements))
        return [(sys.executable, "-m", "venv", "--clear", str(venv)), pip]
    return [
        (uv, "venv", "--clear", "--no-project", "--python", sys.executable, str(venv)),
        (uv, "pip", "install", "--python", python, "-r", str(requirements)),
    ]


def _install_step(command: Sequence[str]) -> None:
    # Not in the project's folder: uv would read there that Pipecat needs no other package, as Natter wants no more of
    # its wheel than a model file.
    with tempfile.TemporaryDirectory(prefix="natter-bench-") as elsewhere:
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                list(command),
                cwd=elsewhere,
                env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_STEP_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CallError(f"{' '.join(command[:3])} took over {_STEP_WITHIN_S / 60:.0f} minutes") from error
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-_KEPT_LINES:]
        raise CallError("Pipecat cannot be installed:" + "".join(f"\n    {line}" for line in last))
