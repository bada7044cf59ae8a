"""`natter-bench load`: many callers in conversation at once, and what each session costs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from natter_bench.caller import Caller
from natter_bench.conversation import Exchange, exchange, hear_greeting
from natter_bench.errors import CallError
from natter_bench.report import SessionReport, cost_lines, late_lines, session_report, voice_to_voice
from natter_bench.resources import Cost, Service, Usage, costs, process_usage, usages
from natter_bench.signalling import http_client
from natter_bench.speech import QUESTIONS, EncodedSpeech, Voice, encode, question
from natter_bench.undisturbed import undisturbed


@dataclass(slots=True)
class LoadOptions:
    """What to do."""

    url: str
    sessions: int = 10
    seconds: float = 60.0
    bot: str | None = None
    via_start: bool = True
    apart_s: float = 0.5
    """Time between two callers' beginnings, so that they do not speak in step."""
    voice: Voice | None = None
    talk: bool = True
    """False: the callers hear the greeting, and then nobody says anything."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of it. Costs are of the time in which all callers were in conversation."""

    sessions: list[SessionReport]
    failures: list[str]
    """Calls that could not be made, in words."""
    services: dict[str, Cost]
    caller: Cost | None
    """The bench's own cost per call."""


class _Load:
    """The callers of one run, and the window in which all of them talk."""

    def __init__(self, options: LoadOptions, http: httpx.AsyncClient, questions: Sequence[EncodedSpeech]) -> None:
        self.options = options
        self.http = http
        self.questions = questions
        self.stop = asyncio.Event()
        self.settled = asyncio.Event()
        self.failures: list[str] = []
        self.ended: list[tuple[Caller, list[Exchange], float]] = []
        self._waiting = options.sessions

    @property
    def connected(self) -> int:
        """Callers that got through."""
        return self.options.sessions - len(self.failures)

    async def call(self, number: int) -> None:
        """One caller, from its turn to begin to the end of the run."""
        await asyncio.sleep(number * self.options.apart_s)
        begin_s = time.monotonic()
        settled = False
        try:
            async with Caller.connect(
                self.options.url, bot=self.options.bot, via_start=self.options.via_start, http=self.http
            ) as caller:
                exchanges: list[Exchange] = []
                if not self.options.talk:
                    await hear_greeting(caller)
                self._settle()
                settled = True
                if not self.options.talk:
                    await self.stop.wait()
                else:
                    await hear_greeting(caller)
                while not self.stop.is_set():
                    speech = self.questions[(number + len(exchanges)) % len(self.questions)]
                    exchanges.append(await exchange(caller, speech))
            self.ended.append((caller, exchanges, time.monotonic() - begin_s))
        except CallError as error:
            self.failures.append(str(error))
            if not settled:
                self._settle()

    def _settle(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self.settled.set()


async def run_load(options: LoadOptions, services: Sequence[Service]) -> LoadReport:
    """Hold `sessions` conversations for `seconds` and measure them. Raises CallError when no call got through."""
    questions = [
        encode(speech.pcm, speech.rate_hz)
        for speech in (question(number, voice=options.voice) for number in range(len(QUESTIONS)))
    ]
    before: dict[str, Usage] = {}
    after: dict[str, Usage] = {}
    own_before = own_after = None
    window_s = 0.0
    with undisturbed():
        async with http_client() as http:
            load = _Load(options, http, questions)
            async with asyncio.TaskGroup() as tasks:
                for number in range(options.sessions):
                    tasks.create_task(load.call(number), name=f"caller-{number}")
                await load.settled.wait()
                if load.connected > 0:
                    before, own_before, begin_s = (
                        await usages(http, services),
                        process_usage(os.getpid()),
                        time.monotonic(),
                    )
                    await asyncio.sleep(options.seconds)
                    after, own_after = await usages(http, services), process_usage(os.getpid())
                    window_s = time.monotonic() - begin_s
                load.stop.set()
    # Measured when all have ended: it takes a while, and who is still in a call would send late.
    sessions = [session_report(caller, exchanges, [], seconds) for caller, exchanges, seconds in load.ended]
    if not sessions:
        raise CallError(f"no call got through: {load.failures[0] if load.failures else 'unknown'}")
    session_seconds = window_s * load.connected
    own = costs({"caller": own_before}, {"caller": own_after}, session_seconds) if own_before and own_after else {}
    return LoadReport(sessions, load.failures, costs(before, after, session_seconds), own.get("caller"))


def load_text(report: LoadReport) -> str:
    """A run for the terminal."""
    sessions = report.sessions
    speed = voice_to_voice(sessions)
    turns = sum(len(session.turns) for session in sessions)
    lines = [
        f"sessions         {len(sessions)} in conversation"
        + (f", {len(report.failures)} failed" if report.failures else "")
    ]
    lines += [f"  failed: {reason} ({report.failures.count(reason)} times)" for reason in sorted(set(report.failures))]
    if speed.p50 is not None and speed.p95 is not None:
        lines.append(f"voice-to-voice   p50 {speed.p50:.0f} ms   p95 {speed.p95:.0f} ms   ({speed.count} turns)")
    lines += [
        f"missed turns     {sum(session.missed_turns for session in sessions)} of {turns}",
        f"suspected holes  {sum(session.suspected_holes for session in sessions)}",
    ]
    lines += cost_lines(report.services)
    if report.caller is not None:
        lines.append(f"  (this bench)   {report.caller.cpu_s_per_session_s * 100:8.2f} % of a core")
    lines += late_lines(sessions)
    return "\n".join(lines) + "\n"
