"""`LocalSystem` with fake services over a real nats-server."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from natter_local.ready import READY, http_get, tcp_ready
from natter_local.system import LocalOptions, LocalSystem, StartError

Fakes = Callable[..., dict[str, Sequence[str]]]
LIMIT_S = 20.0


async def env_of(url: str) -> dict[str, str]:
    _, body = await http_get(f"{url}/env")
    return json.loads(body)


def options(fakes: Fakes, *names: str, **fields: Any) -> LocalOptions:
    fields.setdefault("services", dict.fromkeys(names, 1))
    return LocalOptions(commands=fakes(*names), **fields)


async def test_all_is_up_inside_and_gone_after(tmp_path: Path, fakes: Fakes) -> None:
    file = tmp_path / "run" / "services.json"
    chosen = options(
        fakes,
        "gateway",
        "stt",
        services={"gateway": 1, "stt": 2},
        services_file=file,
        env={"COLOUR": "red", "SHAPE": "round"},
        env_of={"stt": {"SHAPE": "square"}, "stt-2": {"COLOUR": "blue"}},
    )
    async with LocalSystem(tmp_path / "logs", chosen) as system:
        pids = [process.pid for process in system.processes if process.pid is not None]
        assert len(pids) == 3
        assert system.broker is not None
        assert json.loads(file.read_text()) == {
            "gateway": {"url": system.url, "pid": system.of("gateway")[0].pid},
            "stt": [{"url": process.url, "pid": process.pid} for process in system.of("stt")],
            "nats": {"url": system.nats_url, "pid": system.broker.pid},
        }
        seen = [await env_of(process.url) for process in system.processes]
        assert [(env["COLOUR"], env["SHAPE"]) for env in seen] == [
            ("red", "round"),
            ("red", "square"),
            ("blue", "square"),
        ]
        assert {env["NATS_URL"] for env in seen} == {system.nats_url}
        assert seen[0]["FAST_API_PORT"] == system.url.rpartition(":")[2]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not file.exists()
    assert (tmp_path / "logs" / "stt-2.log").read_text() == "hello from stt\ngoodbye\n"
    assert "stt-2: ready" in (tmp_path / "logs" / "events.log").read_text()


async def test_a_service_that_dies_is_started_again_at_its_address(tmp_path: Path, fakes: Fakes) -> None:
    file = tmp_path / "services.json"
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, options(fakes, "llm", services_file=file)) as system:
        process = system.of("llm")[0]
        before = (process.pid, process.url)
        await system.kill("llm")
        assert not process.ready
        await system.wait_ready()
        assert process.pid != before[0]
        assert process.url == before[1]
        assert json.loads(file.read_text())["llm"] == {"url": process.url, "pid": process.pid}
        assert "was killed by SIGKILL; started again in 0.2 s" in (tmp_path / "events.log").read_text()


async def test_the_broker_is_started_again_too(tmp_path: Path, fakes: Fakes) -> None:
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, options(fakes, "llm")) as system:
        broker = system.broker
        assert broker is not None
        url = broker.url
        await broker.kill(signal.SIGKILL)
        await broker.wait_ready()
        assert broker.url == url
        assert await tcp_ready(url) == READY


async def test_restart_is_orderly_and_one_after_another(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "stt", services={"stt": 2})
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, chosen) as system:
        await system.restart("stt")
        assert [process.starts for process in system.of("stt")] == [2, 2]
        await system.restart("stt", number=2)
        assert [process.starts for process in system.of("stt")] == [2, 3]
    assert (tmp_path / "stt-2.log").read_text().count("goodbye") == 3


async def test_one_more_can_be_added(tmp_path: Path, fakes: Fakes) -> None:
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, options(fakes, "stt")) as system:
        added = await system.add("stt")
        assert added.name == "stt-2"
        assert system.of("stt")[1] is added
        assert added.ready


async def test_without_keep_up_a_dead_service_stays_down(tmp_path: Path, fakes: Fakes) -> None:
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, options(fakes, "tts", keep_up=False)) as system:
        await system.kill("tts")
        process = system.of("tts")[0]
        assert process.pid is None
        assert not process.ready
    assert process.starts == 1


async def test_why_a_service_is_not_ready_is_said_once(tmp_path: Path, fakes: Fakes) -> None:
    async with LocalSystem(tmp_path, options(fakes, "stt", env={"FAKE_MODE": "slow"})):
        pass
    assert (tmp_path / "events.log").read_text().count("stt: loading models…") == 1


async def test_a_service_that_never_gets_up_stops_everything(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "gateway", "stt", env_of={"stt": {"FAKE_MODE": "die"}})
    system = LocalSystem(tmp_path, chosen)
    with pytest.raises(StartError, match="stt ended with exit code 3, 5 times in a row") as caught:
        await system.start()
    assert "no model here" in str(caught.value)
    assert all(process.pid is None for process in system.processes)
    assert system.broker is not None
    assert system.broker.pid is None


async def test_a_service_that_is_never_ready_is_named(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "stt", env={"FAKE_MODE": "never"}, ready_timeout_s=1.0)
    with pytest.raises(StartError, match=r"not ready after 1 s: stt \(loading models\)\n    hello from stt"):
        await LocalSystem(tmp_path, chosen).start()


async def test_what_is_not_installed_is_said_at_once(tmp_path: Path) -> None:
    chosen = LocalOptions(services={"stt": 1}, commands={"stt": [str(tmp_path / "natter-stt")]})
    with pytest.raises(StartError, match=r"natter-stt does not exist: run `make setup`"):
        await LocalSystem(tmp_path, chosen).start()


async def test_a_broker_that_is_not_there_is_said(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "stt", nats_url="nats://127.0.0.1:1", ready_timeout_s=0.5)
    with pytest.raises(StartError, match=r"nats \(nats://127.0.0.1:1\)"):
        await LocalSystem(tmp_path, chosen).start()


async def test_a_running_broker_is_used(tmp_path: Path, fakes: Fakes, nats_url: str) -> None:
    async with LocalSystem(tmp_path, options(fakes, "stt", nats_url=nats_url)) as system:
        assert system.broker is None
        assert (await env_of(system.processes[0].url))["NATS_URL"] == nats_url


async def test_who_ignores_sigterm_is_killed(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "stt", env={"FAKE_MODE": "stubborn"}, stop_grace_s=0.3)
    async with asyncio.timeout(LIMIT_S), LocalSystem(tmp_path, chosen) as system:
        process = system.of("stt")[0]
    assert process.pid is None
    assert "stt: did not stop within" in (tmp_path / "events.log").read_text()


async def test_kill_all_leaves_nothing_and_starts_nothing(tmp_path: Path, fakes: Fakes) -> None:
    chosen = options(fakes, "gateway", "stt", env={"FAKE_MODE": "stubborn"}, stop_grace_s=LIMIT_S)
    system = LocalSystem(tmp_path, chosen)
    async with asyncio.timeout(LIMIT_S):
        await system.start()
        stopping = asyncio.create_task(system.stop())
        system.kill_all()
        await stopping
    assert [process.pid for process in system.processes] == [None, None]
    assert [process.starts for process in system.processes] == [1, 1]


async def test_children_of_a_service_end_with_it(tmp_path: Path, fakes: Fakes) -> None:
    async with LocalSystem(tmp_path, options(fakes, "stt", env={"FAKE_MODE": "parent"})):
        line = next(line for line in (tmp_path / "stt.log").read_text().splitlines() if line.startswith("child "))
        left = psutil.Process(int(line.split()[1]))
        assert left.is_running()
    left.wait(LIMIT_S)


RUNNER = """
import asyncio, pathlib, sys
from natter_local.system import LocalOptions, LocalSystem

async def main():
    commands = {"stt": [sys.executable, "-I", "-S", "-c", sys.argv[2], "stt"]}
    options = LocalOptions(services={"stt": 1}, commands=commands)
    async with LocalSystem(pathlib.Path(sys.argv[1]), options) as system:
        print(system.broker.pid, system.processes[0].pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that is gone")
async def test_nothing_outlives_a_runner_that_is_killed(tmp_path: Path, fakes: Fakes) -> None:
    source = fakes("stt")["stt"][-2]
    runner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUNNER, str(tmp_path), source, stdout=asyncio.subprocess.PIPE
    )
    assert runner.stdout is not None
    children = [psutil.Process(int(pid)) for pid in (await runner.stdout.readline()).split()]
    assert len(children) == 2
    runner.kill()
    await runner.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, LIMIT_S)
    assert alive == []
