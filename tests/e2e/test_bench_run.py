"""`make bench`: one call to services of its own, and every figure that it promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONTRIBUTIONS = {"endpointing", "transcription", "model", "text", "voice", "playout"}
SERVICES = {"gateway", "vad", "stt", "llm", "tts", "nats"}


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    command = [Path(sys.executable).with_name("natter-bench"), "run", "--turns", "2", "--barge-ins", "1", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_setup_and_turns(printed: dict[str, Any]) -> None:
    setup, latency = printed["session"]["setup"], printed["voice_to_voice_ms"]
    assert 0 < setup["started_ms"] < setup["answered_ms"] < setup["connected_ms"] < setup["ready_ms"]
    assert latency["count"] == 2
    assert latency["p50"] > 0
    assert printed["missed_turns"] == 0
    assert printed["holes"] is not None


def test_contributions_add_up_to_the_total(printed: dict[str, Any]) -> None:
    assert set(printed["contributions_ms"]) == CONTRIBUTIONS | {"total"}
    for turn in printed["session"]["turns"]:
        assert sum(turn["latency"]["contributions"].values()) == pytest.approx(turn["latency"]["total_ms"], abs=1)


def test_time_to_silence(printed: dict[str, Any]) -> None:
    assert printed["time_to_silence_ms"]["count"] == 1


def test_cost_of_each_service(printed: dict[str, Any]) -> None:
    assert set(printed["services"]) == SERVICES
    assert all(cost["cpu_s_per_session_s"] > 0 for cost in printed["services"].values())
    assert all(cost["memory_mb"] > 1 for cost in printed["services"].values())
