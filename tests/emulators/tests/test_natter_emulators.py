"""The console script and what it prints."""

import asyncio
import json
import signal
import sys

import httpx
import pytest

from natter_emulators.emulators import SERVICES, Emulators
from natter_emulators.main import main

DEADLINE_S = 30


async def test_it_serves_what_it_prints_and_stops_when_told(tmp_path):
    env_file = tmp_path / "emulators.env"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "natter_emulators.main",
        *("--openai-port", "0", "--json", "--env-file", str(env_file), "--key", "sesame"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            environment = json.loads(await process.stdout.readline())
            assert {f"{name.upper()}_BASE_URL" for name in SERVICES} <= environment.keys()
            assert environment["OPENAI_BASE_URL"] != environment["DEEPGRAM_BASE_URL"] + "/v1"
            assert f"OPENAI_BASE_URL={environment['OPENAI_BASE_URL']}\n" in env_file.read_text()
            async with httpx.AsyncClient(headers={"Authorization": "Bearer sesame"}) as client:
                assert (await client.get(f"{environment['OPENAI_BASE_URL']}/models")).status_code == 200
                assert (await client.get(f"{environment['DEEPGRAM_BASE_URL']}/v1/models")).status_code == 404
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_taken_port_is_said():
    async with Emulators() as running:
        port = int(running.url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            async with Emulators(port=port):
                pass


def test_only_services_have_ports():
    with pytest.raises(ValueError, match="azure"):
        Emulators(ports={"azure": 1})


def test_help_and_nonsense(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"--{name}-port" in shown for name in SERVICES)
    with pytest.raises(SystemExit, match="2"):
        main(["--final-ms", "-1"])
    assert "negative" in capsys.readouterr().err
