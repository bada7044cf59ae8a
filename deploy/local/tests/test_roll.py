"""Rolling restarts, with fake services."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from natter_local.rolling import RollError, to_roll
from natter_local.system import LocalOptions, LocalSystem

Fakes = Callable[..., dict[str, Sequence[str]]]
LIMIT_S = 20.0


@asynccontextmanager
async def running(folder: Path, fakes: Fakes, nats_url: str, **fields: Any) -> AsyncGenerator[LocalSystem]:
    """Fake services over the broker of the test run."""
    services = fields.setdefault("services", {"gateway": 1, "stt": 1, "tts": 1})
    chosen = LocalOptions(commands=fakes(*services), nats_url=nats_url, **fields)
    async with asyncio.timeout(LIMIT_S), LocalSystem(folder, chosen) as system:
        yield system


def names(system: LocalSystem) -> list[str]:
    return [process.name for process in system.processes]


def test_what_is_rolled() -> None:
    up = ["gateway", "vad", "stt", "stt", "llm"]
    assert to_roll([], up, "gateway") == ["vad", "stt", "llm"]
    assert to_roll(["stt", "vad", "stt"], up, "gateway") == ["stt", "vad"]
    with pytest.raises(RollError, match="no tts runs here"):
        to_roll(["vad", "tts"], up, "gateway")
    with pytest.raises(RollError, match="gateway has an address"):
        to_roll(["gateway"], up, "gateway")


async def test_all_workers_are_replaced_and_the_gateway_stays(tmp_path: Path, fakes: Fakes, nats_url: str) -> None:
    file = tmp_path / "services.json"
    said: list[str] = []
    services = {"gateway": 1, "stt": 2, "tts": 1}
    async with running(tmp_path, fakes, nats_url, services=services, services_file=file) as system:
        gateway = system.of("gateway")[0]
        before = {process.pid for process in system.processes} - {gateway.pid}
        await system.roll(say=said.append)
        assert names(system) == ["gateway", "stt-3", "stt-4", "tts-2"]
        assert all(process.ready and process.starts == 1 for process in system.processes)
        assert system.of("gateway") == (gateway,)
        assert not any(pid is None or psutil.pid_exists(pid) for pid in before)
        assert json.loads(file.read_text())["stt"] == [
            {"url": process.url, "pid": process.pid} for process in system.of("stt")
        ]
        assert [line.rpartition(" after ")[0] or line for line in said[:6]] == [
            "stt-3 starts in place of stt",
            "stt-3 is ready; stt hands over and leaves",
            "stt left",
            "stt-4 starts in place of stt-2",
            "stt-4 is ready; stt-2 hands over and leaves",
            "stt-2 left",
        ]
        # Nothing that left comes back, and what came is kept up as any other.
        await system.kill("tts")
        await system.wait_ready()
        assert names(system) == ["gateway", "stt-3", "stt-4", "tts-2"]
        assert system.of("tts")[0].starts == 2
    again = [line for line in (tmp_path / "events.log").read_text().splitlines() if "started again" in line]
    assert len(again) == 1
    assert "tts-2: was killed" in again[0]


async def test_the_new_one_is_ready_before_the_old_one_is_asked_to_leave(
    tmp_path: Path, fakes: Fakes, nats_url: str
) -> None:
    env_of = {"stt-2": {"FAKE_MODE": "slow"}}
    async with running(tmp_path, fakes, nats_url, env_of=env_of) as system:
        seen: list[tuple[bool, bool]] = []

        def look(_words: str) -> None:
            pair = {process.name: process for process in system.of("stt")}
            seen.append(("stt" in pair and pair["stt"].ready, pair["stt-2"].ready))

        await system.roll(["stt"], look)
    assert seen == [(True, False), (True, True), (False, True)]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("die", r"stt-2 ended with exit code 3, 5 times in a row"), ("never", r"stt-2 was not ready after 2 s \(loading")],
)
async def test_where_the_new_one_does_not_get_ready_the_old_one_stays(
    mode: str, reason: str, tmp_path: Path, fakes: Fakes, nats_url: str
) -> None:
    async with running(tmp_path, fakes, nats_url, env_of={"stt-2": {"FAKE_MODE": mode}}) as system:
        old = system.of("stt")[0].pid
        limit_s = LIMIT_S if mode == "die" else 2.0
        with pytest.raises(RollError, match=reason) as caught:
            await system.roll(ready_within_s=limit_s)
        assert "hello from stt" in str(caught.value)
        assert names(system) == ["gateway", "stt", "tts"]
        assert system.of("stt")[0].pid == old
        # What stood in the way is gone: the next one has a number of its own.
        await system.roll(["stt"])
        assert names(system) == ["gateway", "tts", "stt-3"]


async def test_one_that_does_not_leave_is_killed(
    tmp_path: Path, fakes: Fakes, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("natter_local.system.RESTART_GRACE_S", 0.3)
    said: list[str] = []
    async with running(tmp_path, fakes, nats_url, env_of={"stt": {"FAKE_MODE": "stubborn"}}) as system:
        old = system.of("stt")[0].pid
        assert old is not None
        await system.roll(["stt"], said.append)
        assert not psutil.pid_exists(old)
    assert said[-1].startswith("stt was killed after 0.")


async def test_one_that_is_frozen_is_replaced(
    tmp_path: Path, fakes: Fakes, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("natter_local.system.RESTART_GRACE_S", 0.3)
    async with running(tmp_path, fakes, nats_url) as system:
        await system.kill("stt", signal.SIGSTOP)
        await system.roll(["stt"])
        assert names(system) == ["gateway", "tts", "stt-2"]


async def test_only_one_roll_at_a_time(tmp_path: Path, fakes: Fakes, nats_url: str) -> None:
    async with running(tmp_path, fakes, nats_url) as system, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(system.roll())
        await asyncio.sleep(0)
        with pytest.raises(RollError, match="under way already"):
            await system.roll()
        await first
        assert names(system) == ["gateway", "stt-2", "tts-2"]


async def test_the_end_of_the_system_ends_a_roll(tmp_path: Path, fakes: Fakes, nats_url: str) -> None:
    begun = asyncio.Event()
    async with running(tmp_path, fakes, nats_url, env_of={"stt-2": {"FAKE_MODE": "never"}}) as system:
        rolling = asyncio.create_task(system.roll(["stt"], lambda _words: begun.set()))
        await begun.wait()
        children = psutil.Process().children(recursive=True)
        await system.stop()
        with pytest.raises(RollError, match="the system was stopped"):
            await rolling
    assert system.of("stt")[0].pid is None
    assert not any(child.is_running() and "stt" in child.cmdline() for child in children)
