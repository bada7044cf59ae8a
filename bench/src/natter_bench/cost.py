"""`natter-bench cost`: what a session costs the gateway, on emulated stages (no models)."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from natter_bench.errors import CallError
from natter_bench.resources import Cost, process_usage
from natter_local.system import GATEWAY, LocalSystem, StartError

LIMIT: Final = 0.025
"""Of a core, for each session in conversation: what the gateway may cost at most."""
_EMPTY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class CostOptions:
    """What to do. Seconds are those of measuring; callers come and go outside of them."""

    sessions: int = 10
    seconds: float = 60.0
    quiet_seconds: float = 20.0
    services_file: Path | None = None
    """Where to write pids and addresses while it runs, for a profiler to find the gateway."""
    stage_options: tuple[str, ...] = ()
    """Of `natter-emulated-stage`: shorter replies, slower stages."""


@dataclass(frozen=True, slots=True)
class CostReport:
    """Of the gateway: CPU seconds per session-second (per second, without sessions), and memory."""

    sessions: int
    empty_cpu_s_per_s: float
    quiet: Cost
    """All connected, nobody talks."""
    talking: Cost
    """All in conversation."""
    talking_stages: Cost
    voice_to_voice_p50_ms: float | None
    missed_turns: int
    late_frames: int
    """That the callers sent late: many, and the machine was too busy for the latencies to mean anything."""

    @property
    def within_limit(self) -> bool:
        return self.talking.cpu_s_per_session_s <= LIMIT


async def run_cost(options: CostOptions) -> CostReport:
    """Start a system on emulated stages, call it from another process, measure. Raises CallError."""
    try:
        # Comes with the tests' packages, which are not there where only a client is installed.
        from natter_testing.emulated_system import ALL, emulated_system
    except ImportError as error:
        raise CallError("emulated stages are not installed here: run this in the project's own environment") from error
    with tempfile.TemporaryDirectory(prefix="natter-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        file = options.services_file or folder / "services.json"
        try:
            async with emulated_system(folder, services_file=file, options=options.stage_options) as system:
                empty = await _empty(system)
                quiet = await _load(system, file, options.sessions, options.quiet_seconds, talk=False)
                talking = await _load(system, file, options.sessions, options.seconds, talk=True)
        except StartError as error:
            raise CallError(str(error)) from error
    return CostReport(
        options.sessions,
        empty,
        _cost(quiet, GATEWAY),
        _cost(talking, GATEWAY),
        _cost(talking, ALL),
        talking["voice_to_voice_ms"]["p50"],
        talking["missed_turns"],
        sum(session["late_frames"] for session in talking["sessions"]),
    )


def cost_text(report: CostReport) -> str:
    """For the terminal."""
    quiet, talking = report.quiet.cpu_s_per_session_s, report.talking.cpu_s_per_session_s
    lines = [
        f"the gateway, {report.sessions} sessions on emulated stages",
        f"  no sessions      {report.empty_cpu_s_per_s * 100:6.2f} % of a core in all",
        f"  nobody talks     {quiet * 100:6.2f} % of a core per session",
        f"  in conversation  {talking * 100:6.2f} % of a core per session"
        f"   ({'within' if report.within_limit else 'OVER'} the limit of {LIMIT * 100:g} %)",
        f"  memory           {report.talking.memory_mb:6.0f} MB",
        f"emulated stages    {report.talking_stages.cpu_s_per_session_s * 100:6.2f} % of a core per session, all four",
    ]
    if report.voice_to_voice_p50_ms is not None:
        lines.append(
            f"voice-to-voice     p50 {report.voice_to_voice_p50_ms:.0f} ms, {report.missed_turns} missed turns, "
            f"{report.late_frames} frames sent late"
        )
    return "\n".join(lines) + "\n"


async def _empty(system: LocalSystem) -> float:
    pid = system.of(GATEWAY)[0].pid
    before, begin_s = process_usage(pid or 0), time.monotonic()
    await asyncio.sleep(_EMPTY_S)
    after = process_usage(pid or 0)
    if before is None or after is None:
        raise CallError("the gateway is gone")
    return (after.cpu_s - before.cpu_s) / (time.monotonic() - begin_s)


async def _load(system: LocalSystem, file: Path, sessions: int, seconds: float, *, talk: bool) -> dict[str, Any]:
    """The callers, in a process of their own: their work must not be taken for the system's."""
    command = [
        *(sys.executable, "-m", "natter_bench", "load", "--json", "--url", system.url),
        *("--services-file", str(file), "--sessions", str(sessions), "--seconds", str(seconds)),
    ]
    if not talk:
        command.append("--quiet")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise CallError(f"the callers failed: {errors.decode(errors='replace').strip()[-500:]}")
    report = cast("dict[str, Any]", json.loads(output))
    if report["failures"]:
        raise CallError(f"{len(report['failures'])} of {sessions} calls failed: {report['failures'][0]}")
    return report


def _cost(report: dict[str, Any], service: str) -> Cost:
    entry = report["services"].get(service)
    if entry is None:
        raise CallError(f"no figures of {service}")
    return Cost(**entry)
