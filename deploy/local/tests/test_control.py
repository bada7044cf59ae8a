"""What is said over the control socket when it is not `natter-local roll` that speaks."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from natter_local.control import ask_to_roll, control_link, serve_control
from natter_local.rolling import RollError, Say

LIMIT_S = 10.0


async def no_roll(services: Sequence[str], say: Say) -> None:
    say(f"asked for {','.join(services)}")
    raise RollError("nothing to roll")


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[Path, list[str]]]:
    """Gives the link to the socket, and what is said on the running system's terminal."""
    said: list[str] = []
    link = control_link(folder / "run" / "services.json")
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve_control(folder, link, no_roll, said.append), name="control")
        while not link.is_symlink() and not task.done():
            await asyncio.sleep(0.01)
        yield link, said
        task.cancel()


async def test_progress_and_failure_reach_both_sides(tmp_path: Path) -> None:
    heard: list[str] = []
    async with serving(tmp_path) as (link, said):
        with pytest.raises(RollError, match="nothing to roll"):
            await ask_to_roll(link, ["stt", "llm"], heard.append)
    assert heard == ["asked for stt,llm"]
    assert said == [
        "a rolling restart was asked for",
        "asked for stt,llm",
        "the rolling restart failed. nothing to roll",
    ]
    assert not link.is_symlink()


@pytest.mark.parametrize("line", [b"\n", b"roll\n", b"[]\n", b'{"roll": "stt"}\n', b"\xff\n", b"x" * 100_000, b""])
async def test_what_is_no_request_is_refused(line: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path) as (link, said):
        reader, writer = await asyncio.open_unix_connection(os.readlink(link))
        writer.write(line)
        writer.write_eof()
        assert (await reader.readline()).startswith(b'{"failed": "not a request: ')
        assert await reader.read() == b""
        writer.close()
    assert said == []


async def test_more_requests_than_anybody_needs_are_not_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as (link, _):
        path = os.readlink(link)
        silent = [await asyncio.open_unix_connection(path) for _ in range(8)]
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        for _, other in (*silent, (reader, writer)):
            other.close()


async def test_a_socket_that_can_not_be_opened_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path / "nowhere") as (_, said):
        pass
    assert len(said) == 1
    assert said[0].startswith("`make roll` can't reach this system: ")
