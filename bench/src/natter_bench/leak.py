"""`natter-bench leak`: many sessions opened and closed, and what they leave behind (nothing, it should be)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import httpx
import psutil
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from natter_bench.caller import Caller
from natter_bench.errors import CallError
from natter_bench.signalling import Signalling, http_client
from natter_local.supervised import Supervised
from natter_local.system import GATEWAY, LocalSystem, StartError

AT_ONCE: Final = 8
GRACE_S: Final = 3.0
"""How long the gateway keeps a session without its caller; the usual 20 s would only make the wait longer."""
_SETTLE_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.2
_CONNECTS_WITHIN_S: Final = 15.0


class Kind(Enum):
    """What a caller does."""

    TALKS = "is greeted and hangs up"
    VANISHES = "connects, and its connection goes without a word"
    NEVER_COMES = "sends an offer and never connects"


_NO_REMAINS: Final[Mapping[str, Remains]] = MappingProxyType({})
_MIX: Final = (Kind.TALKS, Kind.TALKS, Kind.TALKS, Kind.VANISHES, Kind.NEVER_COMES)


@dataclass(frozen=True, slots=True)
class Remains:
    """What a process holds."""

    sessions: int
    tasks: int
    subscriptions: int | None
    """On NATS; None where the process does not say."""
    files: int
    """Open file descriptors, sockets among them."""
    threads: int
    memory_mb: float

    def more_than(self, before: Remains) -> list[str]:
        """What is held now that was not before, in words; memory apart."""
        pairs = (
            ("sessions", self.sessions, before.sessions),
            ("tasks", self.tasks, before.tasks),
            ("subscriptions", self.subscriptions or 0, before.subscriptions or 0),
            ("open files", self.files, before.files),
            ("threads", self.threads, before.threads),
        )
        return [f"{now - then} more {name} ({then} before)" for name, now, then in pairs if now > then]


@dataclass(frozen=True, slots=True)
class LeakReport:
    """By process: what it held after the warm-up, and after all sessions."""

    sessions: int
    seconds: float
    before: dict[str, Remains]
    after: dict[str, Remains]
    growth_kb_per_session: dict[str, float]
    """Of resident memory, over the second half of the run (the first fills caches and arenas)."""

    @property
    def left_behind(self) -> dict[str, list[str]]:
        found = {name: remains.more_than(self.before[name]) for name, remains in self.after.items()}
        return {name: words for name, words in found.items() if words}


async def remains(http: httpx.AsyncClient, process: Supervised) -> Remains:
    """What a service of the local system holds now. Raises CallError when it does not answer."""
    try:
        answer = await http.get(f"{process.url}/health")
        health = cast("dict[str, Any]", answer.json())
        system = psutil.Process(process.pid)
        return Remains(
            health["sessions"],
            health["tasks"],
            health.get("subscriptions"),
            system.num_fds(),
            system.num_threads(),
            system.memory_info().rss / 1e6,
        )
    except (httpx.HTTPError, psutil.NoSuchProcess) as error:
        raise CallError(f"{process.name} does not answer: {error}") from error


async def settled(
    http: httpx.AsyncClient, processes: Sequence[Supervised], before: Mapping[str, Remains] = _NO_REMAINS
) -> dict[str, Remains]:
    """What the processes hold once their sessions are gone, nothing changes and they hold no more than `before`.

    What they still hold after half a minute they will hold for ever.
    """
    last: dict[str, Remains] = {}
    deadline_s = time.monotonic() + _SETTLE_WITHIN_S
    while True:
        now = {process.name: await remains(http, process) for process in processes}
        quiet = all(
            one.sessions == 0
            and name in last
            and (one.tasks, one.files) == (last[name].tasks, last[name].files)
            and not (name in before and one.more_than(before[name]))
            for name, one in now.items()
        )
        if quiet or time.monotonic() > deadline_s:
            return now
        last = now
        await asyncio.sleep(_POLL_S)


class Crowd:
    """Opens and closes sessions, some at a time."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url
        self._made = 0

    async def come_and_go(self, sessions: int) -> None:
        """Return when all of them were opened and left. Raises CallError when one was refused."""
        todo = iter(range(sessions))

        async def one_after_another() -> None:
            for _ in todo:
                kind = _MIX[self._made % len(_MIX)]
                self._made += 1
                await self._call(kind)

        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(min(AT_ONCE, sessions)):
                    tasks.create_task(one_after_another(), name=f"crowd-{number}")
        except* CallError as errors:
            raise CallError(str(errors.exceptions[0])) from errors

    async def _call(self, kind: Kind) -> None:
        if kind is Kind.TALKS:
            async with Caller.connect(self._url, http=self._http) as caller:
                await caller.wait_for_voice(after_s=0.0, within_s=_CONNECTS_WITHIN_S)
            return
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        peer = RTCPeerConnection(configuration)
        try:
            peer.addTransceiver("audio", direction="sendrecv")
            peer.createDataChannel("chat")
            await peer.setLocalDescription(await peer.createOffer())
            answer = await Signalling(self._http, self._url).offer(peer.localDescription.sdp, session_id=None, bot=None)
            if kind is Kind.VANISHES:
                connected = asyncio.Event()
                peer.on("connectionstatechange", lambda: peer.connectionState == "connected" and connected.set())
                await peer.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type="answer"))
                async with asyncio.timeout(_CONNECTS_WITHIN_S):
                    await connected.wait()
        except TimeoutError as error:
            raise CallError("no WebRTC connection") from error
        finally:
            await peer.close()


async def count_leaks(
    system: LocalSystem,
    sessions: int,
    *,
    warm_up: int,
    steps: int = 10,
    say: Callable[[str], object] = lambda _words: None,
) -> LeakReport:
    """Open and close `warm_up` sessions, look, open and close `sessions` more, look again. Raises CallError.

    `say` gets a line after each of the `steps` (two at least) in which the sessions come.
    """
    samples: list[dict[str, Remains]] = []
    async with http_client() as http:
        crowd = Crowd(http, system.url)
        await crowd.come_and_go(warm_up)
        before = await settled(http, system.processes)
        begin_s = time.monotonic()
        for step in range(steps):
            await crowd.come_and_go(sessions * (step + 1) // steps - sessions * step // steps)
            samples.append(await settled(http, system.processes, before))
            gateway = samples[-1][GATEWAY]
            say(
                f"{sessions * (step + 1) // steps:6d} sessions: gateway {gateway.memory_mb:.1f} MB, "
                f"{gateway.tasks} tasks, {gateway.subscriptions} subscriptions, {gateway.files} files, "
                f"{gateway.threads} threads\n"
            )
        seconds = time.monotonic() - begin_s
    middle, after = samples[steps // 2 - 1], samples[-1]
    growth = {
        name: (after[name].memory_mb - middle[name].memory_mb) * 1000 / (sessions - sessions * (steps // 2) // steps)
        for name in after
    }
    return LeakReport(sessions, seconds, before, after, growth)


async def run_leak(sessions: int, *, warm_up: int = 100) -> LeakReport:
    """Start a system on emulated stages and see what sessions leave behind in it. Raises CallError."""
    try:
        # Comes with the tests' packages, which are not there where only a client is installed.
        from natter_testing.emulated_system import emulated_system
    except ImportError as error:
        raise CallError("emulated stages are not installed here: run this in the project's own environment") from error
    with tempfile.TemporaryDirectory(prefix="natter-bench-", ignore_cleanup_errors=True) as name:
        try:
            async with emulated_system(Path(name), env={"NATTER_RECONNECT_GRACE_S": str(GRACE_S)}) as system:
                return await count_leaks(system, sessions, warm_up=warm_up, say=sys.stderr.write)
        except StartError as error:
            raise CallError(str(error)) from error


def leak_text(report: LeakReport) -> str:
    """For the terminal."""
    lines = [f"{report.sessions} sessions opened and closed in {report.seconds:.0f} s"]
    for name, after in report.after.items():
        before = report.before[name]
        lines.append(
            f"  {name:<10} memory {before.memory_mb:.1f} → {after.memory_mb:.1f} MB "
            f"({report.growth_kb_per_session[name]:+.1f} kB a session in the second half), "
            f"tasks {before.tasks} → {after.tasks}, files {before.files} → {after.files}, "
            f"threads {before.threads} → {after.threads}"
            + (f", subscriptions {before.subscriptions} → {after.subscriptions}" if after.subscriptions else "")
        )
    left = report.left_behind
    lines += [f"  LEFT BEHIND in {name}: {', '.join(words)}" for name, words in left.items()]
    if not left:
        lines.append("  nothing left behind")
    return "\n".join(lines) + "\n"
