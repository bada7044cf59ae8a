"""One child process in a group of its own, that does not outlive this process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_CHUNK_BYTES: Final = 64 * 1024
_GROUP_SIGNALS: Final = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)


class Child:
    """A running process; made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, output: int) -> None:
        """`output`: the file descriptor that its output is read from, -1 for none."""
        self._process = process
        self._output = output

    @classmethod
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str], cwd: Path, *, niceness: int = 0, quiet: bool = False
    ) -> "Child":
        """Start `command` (its first word a path); stdout and stderr come out of `lines` together, unless `quiet`.

        `niceness`: how far it stands back behind others for a processor, 0 to 19.
        """
        # asyncio's own pipe would let `wait` hang as long as a child of the child keeps it open (CPython before 3.12).
        reading, writing = (-1, asyncio.subprocess.DEVNULL) if quiet else os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(niceness), *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                # Ctrl-C in a terminal goes to the whole group in front: the children are stopped in order instead.
                start_new_session=True,
            )
        except BaseException:
            if not quiet:
                os.close(reading)
            raise
        finally:
            if not quiet:
                os.close(writing)
        return cls(process, reading)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit code, negative for a signal, once it has ended."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; kill, stop and continue go to its own children too. Harmless when it has ended."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                if number in _GROUP_SIGNALS:
                    os.killpg(self.pid, number)
                else:
                    self._process.send_signal(number)

    def sweep(self) -> None:
        """Kill what the process left behind in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def lines(self) -> AsyncGenerator[str, None]:
        """What it writes, line by line, until its output is closed; lines over 64 KiB in pieces. Only once."""
        if self._output < 0:
            return
        reader = asyncio.StreamReader()
        pipe = os.fdopen(self._output, "rb", 0)
        self._output = -1
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            rest = b""
            while chunk := await reader.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace").rstrip("\r")
                if len(rest) >= _CHUNK_BYTES:
                    yield rest.decode(errors="replace")
                    rest = b""
            if rest:
                yield rest.decode(errors="replace")
        finally:
            transport.close()


def exit_words(code: int) -> str:
    """How a process ended: "was killed by SIGKILL"."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
