"""`natter-bench soak`: callers side by side, and now and then a random worker is killed."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from natter_bench.caller import Caller
from natter_bench.chaos.call import converse_turn, transcript_of
from natter_bench.chaos.judge import TurnHeard
from natter_bench.chaos.plan import STAGES, Kill, kills
from natter_bench.chaos.sound import heard_turns
from natter_bench.chaos.world import BOT, SPARED, World, open_world, spoken
from natter_bench.errors import CallError
from natter_bench.latency_script import UTTERANCES, Utterance
from natter_bench.leak import remains
from natter_bench.recording import Recording
from natter_bench.speech import EncodedSpeech
from natter_bench.turns_growth import MEMORY, Held, Sample, Trend, trends
from natter_bench.words import normalise
from natter_emulators.marks import count_words
from natter_local.rolling import RollError
from natter_local.supervised import Supervised

MOST_HOLE_MS: Final = 100.0
"""In a rolling restart."""
SESSION_TURNS: Final = 8
"""Then a caller hangs up and calls again, and what it said is compared with the transcript."""
_CALL_AGAIN_AFTER_S: Final = 2.0
_READINGS: Final = 3
_READ_EVERY_S: Final = 0.2
_LEAST_SAMPLES: Final = 8

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """What to run; `keep` takes the services' logs. `roll`: instead of kills, all stages are replaced in turn."""

    minutes: float = 30.0
    calls: int = 8
    kill_every_s: float = 20.0
    stages: tuple[str, ...] = STAGES
    seed: int = 1
    roll: bool = False
    keep: Path | None = None


@dataclass(slots=True)
class SoakReport:
    """What became of it.

    Attributes:
        calls: that were begun; `failed`: why some of them ended early or never began.
        wrong: words lost and doubled, call by call, for people.
        kills: that were done; `spared` were not, because the spare worker was not ready.
        rolls: rolling restarts of all stages that were done; `roll_failed` says why the last one was not.
        hole_ms: the longest break between two words of a clause.
        waits_ms: from the end of the caller's speech to the bot's voice.
        trends: of all that each process holds; empty after a run too short to tell.
        turns_per_hour: makes hourly rates of the trends, which go by turns.
    """

    calls: int = 0
    turns: int = 0
    missed: int = 0
    lost: int = 0
    doubled: int = 0
    reply_lost: int = 0
    reply_doubled: int = 0
    failed: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    kills: int = 0
    spared: int = 0
    rolls: int = 0
    rolled: bool = False
    roll_failed: str = ""
    hole_ms: float = 0.0
    late_frames: int = 0
    waits_ms: list[float] = field(default_factory=list[float])
    trends: list[Trend] = field(default_factory=list[Trend])
    turns_per_hour: float = 0.0

    @property
    def grew(self) -> list[Trend]:
        return [trend for trend in self.trends if trend.grew]

    @property
    def met(self) -> bool:
        """Whether nothing was missed, lost, doubled or failed, nothing grew, and no rolling restart was heard."""
        words = self.lost + self.doubled + self.reply_lost + self.reply_doubled
        heard = self.rolled and (self.hole_ms > MOST_HOLE_MS or self.roll_failed != "" or not self.rolls)
        return not (self.missed or words or self.failed or self.grew or heard)


class Soak:
    """One run over a system that is up."""

    def __init__(self, world: World, options: SoakOptions, speeches: Mapping[str, EncodedSpeech], say: Say) -> None:
        self.report: Final = SoakReport(rolled=options.roll)
        self._world: Final = world
        self._options: Final = options
        self._speeches: Final = speeches
        self._say: Final = say
        self._samples: list[Sample] = []
        self._over = asyncio.Event()

    async def run(self) -> SoakReport:
        """Talk and kill until the time is over."""
        seconds = self._options.minutes * 60
        begin_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._options.calls):
                tasks.create_task(self._caller(number), name=f"caller-{number}")
            if self._options.roll:
                tasks.create_task(self._roll(), name="rolling")
            await self._kill_and_look(begin_s, seconds)
            self._over.set()
        hours = (time.monotonic() - begin_s) / 3600
        self.report.turns_per_hour = self.report.turns / hours
        # In a rolling restart no process lives long enough.
        if len(self._samples) >= _LEAST_SAMPLES and not self._options.roll:
            self.report.trends = trends(self._samples)
        return self.report

    async def _kill_and_look(self, begin_s: float, seconds: float) -> None:
        options = self._options
        todo = [] if options.roll else kills(options.seed, seconds, options.kill_every_s, options.stages)
        if not todo:
            # Looks are taken all the same.
            todo = [Kill(at_s, "", 0.0) for at_s in range(20, int(seconds), 20)]
        for kill in todo:
            await asyncio.sleep(max(0.0, begin_s + kill.at_s - time.monotonic()))
            await self._look(time.monotonic() - begin_s)
            if kill.stage:
                await self._kill(kill)
        await asyncio.sleep(max(0.0, begin_s + seconds - time.monotonic()))

    async def _roll(self) -> None:
        """Again and again; the last one is over after the calls."""
        try:
            while not self._over.is_set():
                await self._world.system.roll(say=lambda words: self._say(f"  {words}\n"))
                self.report.rolls += 1
        except RollError as error:
            self.report.roll_failed = str(error)

    async def _kill(self, kill: Kill) -> None:
        workers = self._world.system.of(kill.stage)
        if not all(worker.ready for worker in workers):
            self.report.spared += 1
            self._say(f"  no spare of {kill.stage}: nobody is killed\n")
            return
        victim = workers[int(kill.pick * len(workers))]
        self._say(f"  kill {victim.name}\n")
        self.report.kills += 1
        await self._world.system.kill(kill.stage, number=workers.index(victim) + 1)

    async def _look(self, seconds: float) -> None:
        last: Held = self._samples[-1].held if self._samples else {}
        held = await held_now(self._world.http, self._world.system.processes, last)
        report = self.report
        self._samples.append(Sample(report.turns, held))
        gateway = held["gateway"]
        self._say(
            f"{seconds:6.0f} s {report.turns:5d} turns, {report.missed} missed; words lost {report.lost}+"
            f"{report.reply_lost}, doubled {report.doubled}+{report.reply_doubled}; {len(report.failed)} calls failed; "
            f"gateway {gateway[MEMORY]:.1f} MB, {gateway['tasks']:.0f} tasks\n"
        )

    async def _caller(self, number: int) -> None:
        """Call again and again."""
        session = 0
        while not self._over.is_set():
            first = (number * 3 + session * SESSION_TURNS) % len(UTTERANCES)
            script = [UTTERANCES[(first + turn) % len(UTTERANCES)] for turn in range(SESSION_TURNS)]
            session += 1
            self.report.calls += 1
            try:
                await self._call(script)
            except CallError as error:
                self.report.failed.append(str(error))
                self._say(f"  caller {number}: {error}\n")
                await asyncio.sleep(_CALL_AGAIN_AFTER_S)

    async def _call(self, script: Sequence[Utterance]) -> None:
        system, http, report = self._world.system, self._world.http, self.report
        said: list[str] = []
        async with Caller.connect(system.url, bot=BOT, http=http) as caller:
            for one in script:
                if self._over.is_set():
                    break
                exchange = await converse_turn(caller, self._speeches[one.text])
                said.append(one.text)
                recording = Recording(list(caller.recording.sent), list(caller.recording.packets))
                report.errors += [str(message.data) for message in caller.recording.of_type("error")]
                # The caller's notes would grow with the call.
                caller.recording.clear()
                # Beside the loop, which sends for all the others.
                (turn,) = await asyncio.to_thread(heard_turns, recording, [exchange], [one.reply])
                self._note(one, turn)
                if caller.connection_state == "closed":
                    raise CallError(f"the call ended after {len(said)} turns")
            transcript = await transcript_of(http, system.url, caller.session_id)
            report.late_frames += caller.microphone.late_frames
        count = count_words(" ".join(said), normalise(transcript or ""))
        report.lost += len(count.lost)
        report.doubled += len(count.doubled)
        if not count.exact:
            words = f"lost: {' '.join(count.lost) or '-'}; doubled: {' '.join(count.doubled) or '-'}"
            report.wrong.append(f"caller's words, {words}")
            self._say(f"  {report.wrong[-1]}\n")

    def _note(self, one: Utterance, turn: TurnHeard) -> None:
        report = self.report
        report.turns += 1
        report.missed += turn.missed
        report.hole_ms = max(report.hole_ms, turn.hole_ms)
        if turn.hole_ms > MOST_HOLE_MS:
            self._say(f"  hole of {turn.hole_ms:.0f} ms in the reply to {one.text!r}\n")
        if turn.wait_ms is not None:
            report.waits_ms.append(turn.wait_ms)
        count = count_words(one.reply, turn.words)
        report.reply_lost += len(count.lost)
        report.reply_doubled += len(count.doubled)
        if turn.missed or not count.exact:
            words = f"lost: {' '.join(count.lost) or '-'}; doubled: {' '.join(count.doubled) or '-'}"
            missed = "missed, " if turn.missed else ""
            report.wrong.append(f"reply to {one.text!r}, {missed}{words}")
            self._say(f"  {report.wrong[-1]}\n")


async def held_now(http: httpx.AsyncClient, processes: Sequence[Supervised], last: Held) -> Held:
    """What each process holds, at the least of a few readings; of one that does not answer what it held before."""
    found: dict[str, dict[str, float]] = {}
    for reading in range(_READINGS):
        if reading:
            await asyncio.sleep(_READ_EVERY_S)
        for process in processes:
            try:
                now = await remains(http, process)
            except CallError:
                continue
            least = found.setdefault(process.name, {})
            values = {"tasks": now.tasks, "files": now.files, "threads": now.threads, MEMORY: now.memory_mb}
            if now.subscriptions is not None:
                values["subscriptions"] = now.subscriptions
            for what, value in values.items():
                least[what] = min(value, least.get(what, value))
    for process in processes:
        if process.name not in found and process.name in last:
            found[process.name] = dict(last[process.name])
    return found


async def run_soak(options: SoakOptions, say: Say) -> SoakReport:
    """Start emulators and two of each stage, talk, kill. `say` gets a line at each look. Raises CallError."""
    say("making the callers' speech\n")
    speeches = {one.text: await asyncio.to_thread(spoken, one.text, built_in=False) for one in UTTERANCES}
    temporary = tempfile.TemporaryDirectory(prefix="natter-soak-", ignore_cleanup_errors=True)
    with temporary if options.keep is None else nullcontext(str(options.keep)) as name:
        # A rolling restart brings its own spare.
        workers: dict[str, int] = {} if options.roll else dict.fromkeys(STAGES, SPARED)
        async with open_world(Path(name), workers, conversation=UTTERANCES) as world:
            return await Soak(world, options, speeches, say).run()
