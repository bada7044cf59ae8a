"""The console script, with fake services beside a Python of its own."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from natter_local.ports import free_port, next_free

LIMIT_S = 20.0


@asynccontextmanager
async def running(python: Path, *arguments: str, **env: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """`natter-local` in an empty folder with bots; killed at the end. `arguments`: of its command line."""
    cwd = python.parents[2]
    (cwd / "bots").mkdir(exist_ok=True)
    base = {key: value for key, value in os.environ.items() if not key.startswith(("NATTER_", "NATS_", "FAST_API"))}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "natter_local.main", *arguments),
        cwd=cwd,
        env={**base, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    seen = ""
    while text not in seen:
        line = await process.stdout.readline()
        assert line, seen
        seen += line.decode()
    return seen


async def read_rest(process: asyncio.subprocess.Process) -> tuple[str, int]:
    assert process.stdout is not None
    return (await process.stdout.read()).decode(), await process.wait()


async def test_up_with_the_address_and_down_with_ctrl_c(fake_python: Path) -> None:
    port = free_port()
    async with running(fake_python, FAST_API_PORT=str(port)) as process:
        seen = await read_until(process, "https only")
        assert f"Natter is up: http://127.0.0.1:{port}\n" in seen
        assert "  Ann runs on:\n    vad: built-in vad\n    stt: built-in stt (good at " in seen
        assert "set OPENAI_API_KEY" in seen
        assert "can't be used" not in seen
        assert "stt     | hello from" in seen
        assert "\x1b" not in seen
        services = json.loads((fake_python.parents[2] / "var/run/services.json").read_text())
        assert list(services) == ["gateway", "vad", "stt", "llm", "tts", "nats"]
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 6
        process.send_signal(signal.SIGINT)
        rest, code = await read_rest(process)
    assert code == 0, rest
    goodbyes = [line.split()[0] for line in rest.splitlines() if line.endswith("goodbye")]
    assert goodbyes[0] == "gateway"
    assert sorted(goodbyes) == ["gateway", "llm", "stt", "tts", "vad"]
    assert not any(child.is_running() for child in children)
    assert not (fake_python.parents[2] / "var/run/services.json").exists()


async def test_providers_that_can_not_be_used_are_named(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT=str(free_port()), FAKE_MODE="refused") as process:
        seen = await read_until(process, "https only")
        assert "  What can't be used:\n    vad, stt, llm, tts: Cloud refused the key.\n" in seen
        assert "set OPENAI_API_KEY" not in seen


async def test_sigterm_while_models_load(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT=str(free_port()), FAKE_MODE="never") as process:
        await read_until(process, "loading models")
        process.send_signal(signal.SIGTERM)
        rest, code = await read_rest(process)
    assert code == 0, rest
    assert "stopped" in rest


async def test_a_second_ctrl_c_does_not_wait(fake_python: Path) -> None:
    async with running(
        fake_python, FAST_API_PORT=str(free_port()), FAKE_MODE="stubborn", NATTER_DRAIN_S="600"
    ) as process:
        await read_until(process, "https only")
        process.send_signal(signal.SIGINT)
        await read_until(process, "stopping")
        process.send_signal(signal.SIGINT)
        rest, code = await read_rest(process)
    assert code == 130, rest


async def test_a_service_that_can_not_start_is_explained(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT=str(free_port()), FAKE_MODE="die") as process:
        rest, code = await read_rest(process)
    assert code == 1
    assert "Natter can't go on." in rest
    assert "5 times in a row, and was never ready" in rest
    assert "no model here" in rest


async def test_the_chosen_port_is_taken(fake_python: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        async with running(fake_python, FAST_API_PORT=str(port)) as process:
            rest, code = await read_rest(process)
    assert code == 1
    assert f"port {port} (FAST_API_PORT) is taken" in rest


async def test_settings_come_from_the_env_file_too(fake_python: Path) -> None:
    port = free_port()
    cwd = fake_python.parents[2]
    (cwd / ".env").write_text(
        f"FAST_API_PORT={port}\nNATTER_LOG_FILE=logs/natter.log\nNATTER_SERVICES_FILE=here.json\n"
    )
    async with running(fake_python) as process:
        await read_until(process, f"Natter is up: http://127.0.0.1:{port}\n")
        services = json.loads((cwd / "here.json").read_text())
        env = psutil.Process(services["stt"]["pid"]).environ()
        assert env["NATTER_LOG_FILE"] == str(cwd / "logs" / "natter-stt.log")
        assert env["NATTER_LOG_FORMAT"] == "console"
        assert env["NATTER_BOTS_DIR"] == str(cwd / "bots")
        process.send_signal(signal.SIGTERM)
        _, code = await read_rest(process)
    assert code == 0


async def test_bad_settings_are_named(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT="http") as process:
        rest, code = await read_rest(process)
    assert code == 1
    assert "FAST_API_PORT: Input should be a valid integer" in rest


async def test_a_roll_from_another_terminal(fake_python: Path) -> None:
    run = fake_python.parents[2] / "var/run"
    log = fake_python.parents[2] / "natter.log"
    async with running(fake_python, FAST_API_PORT=str(free_port()), NATTER_LOG_FILE=str(log)) as process:
        await read_until(process, "https only")
        before = json.loads((run / "services.json").read_text())
        async with running(fake_python, "roll", "vad", "tts") as rolling:
            said, code = await read_rest(rolling)
        assert code == 0, said
        assert "| vad-2 starts in place of vad\n" in said
        assert "| tts-2 is ready; tts hands over and leaves\n" in said
        assert said.endswith("| all are new\n")
        seen = await read_until(process, "the rolling restart is done")
        assert "natter  | vad left after " in seen
        after = json.loads((run / "services.json").read_text())
        assert {name for name in before if before[name] != after[name]} == {"vad", "tts"}
        assert psutil.Process(after["vad"]["pid"]).environ()["NATTER_LOG_FILE"] == str(log.with_stem("natter-vad-2"))

        async with running(fake_python, "roll", "gateway") as rolling:
            said, code = await read_rest(rolling)
        assert code == 1
        assert "gateway has an address that callers know" in said

        process.send_signal(signal.SIGINT)
        rest, code = await read_rest(process)
    assert code == 0, rest
    assert list(run.iterdir()) == []


async def test_a_roll_where_nothing_runs(fake_python: Path) -> None:
    run = fake_python.parents[2] / "var/run"
    run.mkdir(parents=True)
    for _ in range(2):
        async with running(fake_python, "roll") as rolling:
            said, code = await read_rest(rolling)
        assert code == 1
        assert "no system is up here: `make up` starts one" in said
        # The second time there is what a system left that was killed.
        (run / "services.control").unlink(missing_ok=True)
        (run / "services.control").symlink_to(run / "gone" / "control.sock")


async def test_a_roll_whose_system_goes_away(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT=str(free_port()), FAKE_MODE="stubborn") as process:
        await read_until(process, "https only")
        async with running(fake_python, "roll") as rolling:
            await read_until(rolling, "vad-2 is ready")
            process.kill()
            said, code = await read_rest(rolling)
    assert code == 1
    assert "went away before all was done" in said


async def test_workers_keep_their_own_time_to_drain(fake_python: Path) -> None:
    async with running(fake_python, FAST_API_PORT=str(free_port())) as process:
        await read_until(process, "https only")
        services = json.loads((fake_python.parents[2] / "var/run/services.json").read_text())
        assert psutil.Process(services["gateway"]["pid"]).environ()["NATTER_DRAIN_S"] == "2.0"
        assert "NATTER_DRAIN_S" not in psutil.Process(services["stt"]["pid"]).environ()


def test_the_next_free_port() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert next_free(port) > port
