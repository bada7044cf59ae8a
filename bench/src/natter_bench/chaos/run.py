"""`natter-bench chaos`: calls in which a worker is killed, at every 200 ms of a turn."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from natter_bench.chaos.call import Held, hold_call
from natter_bench.chaos.judge import CallHeard, Usual, judge, judge_built_in, usual_of
from natter_bench.chaos.keeping import story, wav
from natter_bench.chaos.plan import BROKER, ChaosOptions, Series, Strike
from natter_bench.chaos.script import CONVERSATION, STRUCK_TURN
from natter_bench.chaos.sums import Row, Run, row_of
from natter_bench.chaos.table import run_line
from natter_bench.chaos.victim import settled
from natter_bench.chaos.world import SPARED, World, open_world, spoken
from natter_bench.errors import CallError
from natter_bench.speech import EncodedSpeech

NATS_NODES: Final = 3
UNDISTURBED_CALLS: Final = 3
"""Calls without a kill, for what is usual."""
NO_TRANSCRIPT: Final = "the gateway does not tell the transcript"

Say = Callable[[str], object]


@dataclass(slots=True)
class ChaosReport:
    """What came of it: a row a series, and its runs."""

    usual: Usual | None = None
    rows: list[Row] = field(default_factory=list[Row])
    runs: list[list[Run]] = field(default_factory=list[list[Run]])

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return not any(row.misses for row in self.rows)


async def run_chaos(options: ChaosOptions, say: Say) -> ChaosReport:
    """Start systems with a spare worker, call them, kill. `say` gets a line for each call. Raises CallError."""
    say("making the caller's speech\n")
    speeches = [await asyncio.to_thread(spoken, one.text, built_in=options.built_in) for one in CONVERSATION]
    report = ChaosReport()
    for series in options.series():
        say(f"{series.name}: starting the services\n")
        async with _world(options, series) as world:
            if report.usual is None:
                report.usual = await _usual(world, speeches, options, say)
            runs: list[Run] = []
            for number, offset_ms in enumerate(options.offsets_ms()):
                strike = Strike(series.stage, series.signal, offset_ms, number=number)
                runs.append(await strike_once(world, strike, report.usual, speeches, options.keep))
                say(f"  {run_line(runs[-1])}\n")
        report.runs.append(runs)
        report.rows.append(row_of(series, runs))
    return report


@asynccontextmanager
async def _world(options: ChaosOptions, series: Series) -> AsyncGenerator[World]:
    with tempfile.TemporaryDirectory(prefix="natter-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name) if options.keep is None else options.keep / series.name
        folder.mkdir(parents=True, exist_ok=True)
        broker = series.stage == BROKER
        spared = {} if broker else {series.stage: SPARED}
        nodes = NATS_NODES if broker else 1
        async with open_world(folder, spared, built_in=options.built_in, nats_nodes=nodes) as world:
            yield world


async def _usual(world: World, speeches: Sequence[EncodedSpeech], options: ChaosOptions, say: Say) -> Usual:
    calls: list[CallHeard] = []
    for number in range(1, UNDISTURBED_CALLS + 1):
        held = await hold_call(world, speeches, {})
        if held.heard.transcript is None:
            raise CallError(NO_TRANSCRIPT)
        calls.append(held.heard)
        keep_call(options.keep, "undisturbed", f"{number}", held, "nothing is killed")
        waits = ", ".join("never" if one.wait_ms is None else f"{one.wait_ms:.0f} ms" for one in held.heard.turns)
        say(f"  nothing killed: answers after {waits}\n")
        if wrong := await settled(world.http, world.system):
            raise CallError(f"after a call without a kill {wrong}")
    try:
        return usual_of(calls, world.conversation)
    except ValueError as error:
        raise CallError(str(error)) from error


async def strike_once(
    world: World, strike: Strike, usual: Usual, speeches: Sequence[EncodedSpeech], keep: Path | None
) -> Run:
    """One call with a kill, and the wait until all is well again."""
    try:
        held = await hold_call(world, speeches, {STRUCK_TURN: strike})
    except CallError as error:
        await settled(world.http, world.system)
        return Run(strike.after_ms, "-", failed=str(error))
    wrong = await settled(world.http, world.system, held.blows)
    if not wrong and held.heard.transcript is None:
        # Nobody could tell then whether all that the caller said was kept.
        wrong = NO_TRANSCRIPT
    judged = (judge_built_in if world.built_in else judge)(held.heard, world.conversation, usual)
    victim, phase = held.blows[0].victim.name, held.phase(STRUCK_TURN)
    run = Run(strike.after_ms, victim, phase, wrong, judged, held.late_frames)
    keep_call(keep, f"{strike.stage}-{strike.signal}", f"{strike.after_ms:05d}", held, run_line(run))
    return run


def keep_call(keep: Path | None, folder: str, name: str, held: Held, heading: str) -> None:
    """Write a call's timeline and sound into a folder, if there is one."""
    if keep is None:
        return
    place = keep / folder / "calls"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.txt").write_text(story(held, heading=heading))
    (place / f"{name}.wav").write_bytes(wav(held))
