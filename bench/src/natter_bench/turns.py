"""`natter-bench turns`: a thousand turns over emulated vendors, and what they leave behind (nothing, it should be)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx

from natter_bench.errors import CallError
from natter_bench.leak import remains
from natter_bench.signalling import http_client
from natter_bench.speech import encode
from natter_bench.talker import Talk, Talker
from natter_bench.turns_growth import MEMORY, Held, Sample, Trend, trends
from natter_local.broker import BrokerError
from natter_local.supervised import Supervised
from natter_local.system import GATEWAY, StartError

BOT: Final = "turns"
QUESTION: Final = "Yes please."
REPLY: Final = "Good."
MOST_MISSED: Final = 0.02
"""Of all turns; a run that misses more shows little of what turns leave behind."""
_SCRIPTED_BY: Final[Mapping[str, str]] = MappingProxyType({"elevenlabs": "voice"})
"""The field of a section by which an emulator finds its script, where that is not `model`."""
_LOCAL: Final = "local"
QUICK: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "vad": {"min_speech_duration_ms": 100, "min_silence_duration_ms": 50},
        "turn": {"end_of_turn_silence_ms": 150},
        "context": {"max_tokens": 1000},
    }
)
"""A bot's sections for turns that are over soon."""
_READINGS: Final = 5
_READ_EVERY_S: Final = 0.15

OpenSockets = Callable[[], Mapping[str, int]]
"""Connections open at each vendor."""


@dataclass(frozen=True, slots=True)
class TurnsOptions:
    """What to run: how many turns in how many samples, how sessions and connections change, and the providers."""

    turns: int = 1_000
    session_turns: int = 0
    reconnect_every: int = 50
    samples: int = 20
    stt: str = "deepgram"
    llm: str = "openai"
    tts: str = "elevenlabs"


@dataclass(frozen=True, slots=True)
class TurnsReport:
    """What became of the turns, and of what the processes hold."""

    turns: int
    missed: int
    sessions: int
    reconnects: int
    seconds: float
    errors: tuple[str, ...]
    trends: tuple[Trend, ...]

    @property
    def grew(self) -> list[Trend]:
        return [trend for trend in self.trends if trend.grew]

    @property
    def too_many_missed(self) -> bool:
        return self.missed > self.turns * MOST_MISSED


async def held(http: httpx.AsyncClient, processes: Sequence[Supervised], sockets: OpenSockets) -> Held:
    """What the processes hold right now, at the least of a few readings: work that ends meanwhile is not counted."""
    least: dict[str, dict[str, float]] = defaultdict(dict)
    for reading in range(_READINGS):
        if reading:
            await asyncio.sleep(_READ_EVERY_S)
        for process in processes:
            now = await remains(http, process)
            _note(least[process.name], "tasks", now.tasks)
            _note(least[process.name], "files", now.files)
            _note(least[process.name], "threads", now.threads)
            _note(least[process.name], MEMORY, now.memory_mb)
            if now.subscriptions is not None:
                _note(least[process.name], "subscriptions", now.subscriptions)
        for vendor, count in sockets().items():
            _note(least[f"to {vendor}"], "sockets", count)
    return least


def _note(least: dict[str, float], what: str, value: float) -> None:
    least[what] = min(value, least.get(what, value))


async def count_growth(
    talker: Talker,
    http: httpx.AsyncClient,
    processes: Sequence[Supervised],
    sockets: OpenSockets,
    options: TurnsOptions,
    say: Callable[[str], object] = lambda _words: None,
) -> TurnsReport:
    """Talk, and look at what is held between turns. `say` gets a line at each sample. Raises CallError."""
    samples: list[Sample] = []
    begin_s = time.monotonic()
    async with aclosing(talker.turns(options.turns)) as turns:
        async for asked in turns:
            if asked * options.samples // options.turns == (asked - 1) * options.samples // options.turns:
                continue
            samples.append(Sample(asked, await held(http, processes, sockets)))
            say(_line(samples[-1], talker, time.monotonic() - begin_s))
    return TurnsReport(
        talker.asked,
        talker.missed,
        talker.sessions,
        talker.reconnects,
        time.monotonic() - begin_s,
        tuple(talker.errors),
        tuple(trends(samples)),
    )


async def run_turns(options: TurnsOptions) -> TurnsReport:
    """Start emulated vendors and a system that uses them, talk to it, and see what grows. Raises CallError."""
    try:
        # Come with the tests' packages, which are not there where only a client is installed.
        from natter_emulators.emulators import Emulators
        from natter_emulators.marks import caller_speech
        from natter_emulators.script import Reply, Script
        from natter_testing.provider_calls import Case, provider_system
    except ImportError as error:
        raise CallError("emulators are not installed here: run this in the project's own environment") from error
    speech = caller_speech(QUESTION)
    talk = Talk(
        BOT,
        encode(speech.pcm, speech.rate_hz),
        session_turns=options.session_turns,
        reconnect_every=options.reconnect_every,
    )
    case = Case(BOT, sections(options), extra=QUICK)
    with tempfile.TemporaryDirectory(prefix="natter-bench-", ignore_cleanup_errors=True) as name:
        try:
            async with Emulators() as emulators, http_client() as http:
                emulators.openai.script(BOT, Script(replies=lambda _messages: Reply(REPLY)))
                services = (emulators.deepgram, emulators.gladia, emulators.elevenlabs, emulators.openai)
                vendors = dict(zip(("deepgram", "gladia", "elevenlabs", "openai"), services, strict=True))
                async with provider_system(Path(name), emulators, [case], {}, one_of_each()) as system:
                    return await count_growth(
                        Talker(system.url, talk, http),
                        http,
                        system.processes,
                        lambda: {vendor: service.open_connections for vendor, service in vendors.items()},
                        options,
                        sys.stderr.write,
                    )
        except (StartError, BrokerError) as error:
            raise CallError(str(error)) from error


def one_of_each() -> dict[str, int]:
    """Of the services."""
    return dict.fromkeys((GATEWAY, "vad", "stt", "llm", "tts"), 1)


def sections(options: TurnsOptions) -> dict[str, dict[str, Any]]:
    """The bot's sections that name its providers; the emulators find their scripts by the bot's name."""

    def section(provider: str) -> dict[str, Any]:
        return {"provider": provider} | ({} if provider == _LOCAL else {_SCRIPTED_BY.get(provider, "model"): BOT})

    return {"stt": section(options.stt), "llm": section(options.llm), "tts": section(options.tts)}


def _line(sample: Sample, talker: Talker, seconds: float) -> str:
    memory = ", ".join(f"{process} {things[MEMORY]:.1f}" for process, things in sample.held.items() if MEMORY in things)
    return f"{seconds:6.0f} s {sample.turns:6d} turns, {talker.missed} missed; MB: {memory}\n"


def turns_text(report: TurnsReport) -> str:
    """For the terminal."""
    lines = [
        f"{report.turns} turns in {report.seconds:.0f} s, {report.missed} of them unanswered; "
        f"{report.sessions} sessions, {report.reconnects} reconnects, {len(report.errors)} errors told",
        *(f"  error told: {words}" for words in dict.fromkeys(report.errors)),
        f"  {'':<18} {'':<14} {'first':>9} {'last':>9}   per 100 turns, second half",
    ]
    lines += [
        f"  {trend.process:<18} {trend.what:<14} {trend.first:9.1f} {trend.last:9.1f}   {trend.slope:+.2f}"
        + ("  GREW" if trend.grew else "")
        for trend in report.trends
    ]
    lines.append("  nothing grows" if not report.grew else f"  {len(report.grew)} grew")
    if report.too_many_missed:
        lines.append("  TOO MANY turns were not answered")
    return "\n".join(lines) + "\n"
