"""Who serves the call, and when all is well again."""

import signal
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest

from natter_bench.chaos import victim
from natter_bench.chaos.plan import Strike
from natter_bench.chaos.victim import Blow, holder, settled, victim_of
from natter_bench.errors import CallError
from natter_local.supervised import Supervised
from natter_local.system import LocalSystem


@dataclass
class Process:
    """What is asked of a supervised process."""

    name: str
    sessions: int | None = 0
    ready: bool = True
    starts: int = 1
    got: list[signal.Signals] = field(default_factory=list[signal.Signals])

    @property
    def url(self) -> str:
        return f"http://{self.name}"

    async def kill(self, number: signal.Signals) -> None:
        self.got.append(number)

    def send(self, number: signal.Signals) -> None:
        self.got.append(number)


@dataclass
class System:
    """One stage."""

    processes: list[Process]
    brokers: tuple[Process, ...] = (Process("nats"), Process("nats-2"))

    def of(self, _stage: str) -> list[Process]:
        return self.processes


def world(*processes: Process) -> tuple[httpx.AsyncClient, LocalSystem]:
    def answer(request: httpx.Request) -> httpx.Response:
        process = next(one for one in processes if one.name == request.url.host)
        if process.sessions is None:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(200, json={"sessions": process.sessions})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return http, cast("LocalSystem", System(list(processes)))


def blow(process: Process, name: str, **fields: Any) -> Blow:
    return Blow(cast("Supervised", process), Strike("stt", name, 0, **fields))


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(victim, "SETTLED_WITHIN_S", 0.0)
    monkeypatch.setattr(victim, "_HELD_WITHIN_S", 0.0)


async def test_who_serves_the_call() -> None:
    second = Process("stt-2", sessions=1)
    assert await holder(*world(Process("stt"), second), "stt") is second


@pytest.mark.parametrize(("sessions", "words"), [((0, 0), "no worker of stt"), ((1, 1), "stt, stt-2 of stt")])
async def test_nobody_and_both(sessions: tuple[int, int], words: str) -> None:
    with pytest.raises(CallError, match=words):
        await holder(*world(Process("stt", sessions[0]), Process("stt-2", sessions[1])), "stt")


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (Process("stt"), ""),
        (Process("stt", sessions=2), "stt holds 2 sessions"),
        (Process("stt", sessions=None), "stt does not answer"),
        (Process("stt", ready=False), "stt not ready"),
    ],
)
async def test_all_is_well_again(process: Process, words: str) -> None:
    assert await settled(*world(process, Process("stt-2"))) == words


async def test_nodes_of_the_broker_take_turns() -> None:
    http, system = world(Process("stt"))
    struck = [await victim_of(http, system, Strike("nats", "KILL", 0, number=number)) for number in range(3)]
    assert [one.name for one in struck] == ["nats", "nats-2", "nats"]


async def test_who_was_killed_has_to_come_back() -> None:
    process = Process("stt")
    struck = blow(process, "TERM")
    assert await settled(*world(process), [struck]) == "stt did not leave"
    process.starts += 1
    assert await settled(*world(process), [struck]) == ""


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("KILL", [signal.SIGKILL]),
        ("STOP", [signal.SIGSTOP, signal.SIGCONT]),
        ("TERM", [signal.SIGTERM]),
    ],
)
async def test_blows(name: str, got: list[signal.Signals]) -> None:
    process = Process("stt")
    struck = blow(process, name, stopped_for_s=0.0)
    await struck.fall()
    assert process.got == got
    assert struck.over.is_set()
    assert struck.fell_s is not None
    assert (struck.went_on_s is not None) == (name == "STOP")
    # One that was stopped is not expected to start again.
    assert struck.has_left == (name == "STOP")
