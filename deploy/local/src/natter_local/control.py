"""What `make roll` says to a running `natter-local`: a Unix socket, one JSON object a line.

The socket is in a folder of the runner's that nobody else may enter, and a link beside the services file leads there:
the path of a socket may not be long. Asked `{"roll": ["stt"]}` (an empty list: all), it answers `{"progress": "…"}` as
often as there is something to say, and at last `{"done": "…"}` or `{"failed": "…"}`.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

from natter_local.rolling import READY_WITHIN_S, RollError, Say

_SOCKET: Final = "control.sock"
_LONGEST_LINE_BYTES: Final = 16 * 1024
_MOST_REQUESTS: Final = 8
_REQUEST_WITHIN_S: Final = 5.0
_ANSWER_WITHIN_S: Final = READY_WITHIN_S + 30.0
"""Longest pause between two answers: the start of a new process, and what it takes to end it if it fails."""

Roll = Callable[[Sequence[str], Say], Awaitable[None]]
"""`LocalSystem.roll`: raises `RollError`."""


def control_link(services_file: Path) -> Path:
    """Where the link to the socket is."""
    return services_file.with_suffix(".control")


async def serve_control(folder: Path, link: Path, roll: Roll, say: Say) -> None:
    """Answer requests until cancelled. `folder`: for the socket; nobody else may enter it.

    Where the socket can't be opened `say` gets why, and the rest of the system does without.
    """
    path = folder / _SOCKET
    requests: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as tasks:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(requests) >= _MOST_REQUESTS:
                writer.close()
                return
            task = tasks.create_task(_answer(reader, writer, roll, say), name="control-request")
            requests.add(task)
            task.add_done_callback(requests.discard)

        try:
            server = await asyncio.start_unix_server(accept, path, limit=_LONGEST_LINE_BYTES)
            _publish(link, path)
        except OSError as error:
            say(f"`make roll` can't reach this system: {error}")
            return
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            _withdraw(link, path)


async def ask_to_roll(link: Path, services: Sequence[str], say: Say) -> str:
    """Have the running system roll `services` (all where none is named); gives its last words. Raises `RollError`.

    `say` gets the progress. Once asked for, it goes on there even if this is cancelled.
    """
    nobody = "no system is up here: `make up` starts one (in this folder, and it is up once it prints its address)"
    try:
        path = os.readlink(link)
        async with asyncio.timeout(_REQUEST_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE_BYTES)
    except (OSError, TimeoutError) as error:
        raise RollError(nobody) from error
    try:
        writer.write(_line({"roll": list(services)}))
        while True:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                answer = _read(await reader.readline())
            if "failed" in answer:
                raise RollError(str(answer["failed"]))
            if "done" in answer:
                return str(answer["done"])
            say(str(answer.get("progress", "")))
    except TimeoutError as error:
        raise RollError(f"the running system said nothing for {_ANSWER_WITHIN_S:.0f} s") from error
    except (OSError, ValueError) as error:
        raise RollError("the running system went away before all was done") from error
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, roll: Roll, say: Say) -> None:
    def tell(kind: str, words: str) -> None:
        # Whoever asked may be gone: what they asked for is done all the same.
        if not writer.is_closing():
            writer.write(_line({kind: words}))

    def progress(words: str) -> None:
        say(words)
        tell("progress", words)

    with contextlib.closing(writer):
        try:
            async with asyncio.timeout(_REQUEST_WITHIN_S):
                services = _services(_read(await reader.readline()))
        except (OSError, TimeoutError, ValueError) as error:
            tell("failed", f"not a request: {error or type(error).__name__}")
            return
        say("a rolling restart was asked for")
        try:
            await roll(services, progress)
        except RollError as error:
            say(f"the rolling restart failed. {error}")
            tell("failed", str(error))
        else:
            say("the rolling restart is done")
            tell("done", "all are new")


def _services(request: dict[str, Any]) -> list[str]:
    services: Any = request.get("roll")
    if not isinstance(services, list):
        raise ValueError("it has no list of services")  # noqa: TRY004 - what came from outside, not a caller's mistake
    return [str(service) for service in cast("list[Any]", services)]


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    content: Any = json.loads(line)
    if not isinstance(content, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - what came from outside, not a caller's mistake
    return cast("dict[str, Any]", content)


def _publish(link: Path, path: Path) -> None:
    """Put the link there in one step, in place of one that a dead system may have left."""
    link.parent.mkdir(parents=True, exist_ok=True)
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(path)
    draft.replace(link)


def _withdraw(link: Path, path: Path) -> None:
    """Remove the link, unless another system has put its own there."""
    with contextlib.suppress(OSError):
        if os.readlink(link) == str(path):
            link.unlink()
