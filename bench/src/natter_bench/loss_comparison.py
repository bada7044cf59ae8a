"""`natter-bench loss`: the same conversation over three networks at once, and what the losses cost in time.

The callers take turns: each asks the same questions in the same order, one after the other, so that all three meet the
same machine in the same minutes. What is left between them is chance in the replies, which a loss has no part in: hence
differences are given for whole turns, and for turns without the time that the model and the voice took.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import httpx

from natter_bench.call import open_tap
from natter_bench.caller import Caller, Network
from natter_bench.conversation import Exchange, exchange, hear_greeting
from natter_bench.loss import LosePackets, RandomLoss
from natter_bench.measure import p50
from natter_bench.report import SessionReport, TurnReport, session_report
from natter_bench.signalling import http_client
from natter_bench.speech import QUESTIONS, Speech, Voice, question
from natter_bench.tap import DEFAULT_REALM, VoiceTap
from natter_bench.undisturbed import undisturbed

CLEAN: Final = "no loss"
RANDOM: Final = "random loss"
SINGLE: Final = "one packet lost"

DEFAULT_PACKET: Final = 60
_PAUSE_S: Final = 0.3
# Chance in the text decides what these take, and packets of the caller have no part in it.
_MADE_BY_CHANCE: Final = ("model", "text", "voice")

_Value = Callable[[TurnReport], float | None]


@dataclass(slots=True)
class LossOptions:
    """What to do."""

    url: str
    bot: str | None = None
    turns: int = 12
    """Questions of each caller."""
    questions: Sequence[Speech] = ()
    """Asked round and round; none: the bench's own."""
    fraction: float = 0.02
    """Random loss of the second caller, both ways."""
    packet: int = DEFAULT_PACKET
    """The third caller's lost packet, of each direction, counted from 0 at 50 a second: before its first question."""
    seed: int = 1
    voice: Voice | None = None
    nats_url: str | None = None
    realm: str = DEFAULT_REALM


@dataclass(frozen=True, slots=True)
class LossReport:
    """Three calls, by the name of their network."""

    runs: Mapping[str, SessionReport] = field(default_factory=dict[str, SessionReport])

    def p50_ms(self, name: str) -> float | None:
        """Median voice-to-voice time of a call."""
        return p50([one.voice_to_voice_ms for one in self.runs[name].turns if one.voice_to_voice_ms is not None])

    def p50_difference_ms(self, name: str) -> float | None:
        """Median of a call less that of the one without loss."""
        lossy, clean = self.p50_ms(name), self.p50_ms(CLEAN)
        return None if lossy is None or clean is None else lossy - clean

    def paired_difference_ms(self, name: str) -> float | None:
        """Median over the questions of a turn's time less that of the same question without loss."""
        return self._paired(name, lambda one: one.voice_to_voice_ms)

    def transport_difference_ms(self, name: str) -> float | None:
        """The same without what model and voice took: all that a network can change. None without contributions."""
        return self._paired(name, _without_chance_ms)

    def _paired(self, name: str, value: _Value) -> float | None:
        pairs = zip(self.runs[name].turns, self.runs[CLEAN].turns, strict=False)
        values = [(value(lossy), value(clean)) for lossy, clean in pairs]
        return p50([lossy - clean for lossy, clean in values if lossy is not None and clean is not None])


async def compare_losses(options: LossOptions) -> LossReport:
    """Hold the three calls. Raises CallError when one cannot be made."""
    own = options.questions or [question(number, voice=options.voice) for number in range(len(QUESTIONS))]
    questions = [own[number % len(own)] for number in range(options.turns)]
    networks = {
        CLEAN: Network(),
        # Two seeds: one network does not lose the same packets both ways.
        RANDOM: Network(RandomLoss(options.fraction, options.seed), RandomLoss(options.fraction, options.seed + 1)),
        SINGLE: Network(LosePackets(frozenset({options.packet})), LosePackets(frozenset({options.packet}))),
    }
    floor = asyncio.Lock()
    # Nobody asks before all are there and have heard their greetings.
    present = asyncio.Barrier(len(networks))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_client())
        taps = {name: await stack.enter_async_context(open_tap(options.nats_url, options.realm)) for name in networks}
        stack.enter_context(undisturbed())
        async with asyncio.TaskGroup() as tasks:
            calls = {
                name: tasks.create_task(
                    _call(options, questions, network, taps[name], floor, present, http), name=f"caller-{name}"
                )
                for name, network in networks.items()
            }
    # Measured when all have ended: it takes a while, and who is still in a call would send late.
    return LossReport({name: session_report(*call.result(), taps[name]) for name, call in calls.items()})


async def _call(
    options: LossOptions,
    questions: Sequence[Speech],
    network: Network,
    tap: VoiceTap | None,
    floor: asyncio.Lock,
    present: asyncio.Barrier,
    http: httpx.AsyncClient,
) -> tuple[Caller, list[Exchange], list[Exchange], float]:
    begin_s = time.monotonic()
    async with Caller.connect(
        options.url, bot=options.bot, network=network, http=http, on_session=None if tap is None else tap.listen
    ) as caller:
        prepared = [await caller.prepare(one.pcm, one.rate_hz) for one in questions]
        await hear_greeting(caller)
        await present.wait()
        exchanges = [await exchange(caller, one, pause_s=_PAUSE_S, floor=floor) for one in prepared]
        return caller, exchanges, [], time.monotonic() - begin_s


def loss_text(report: LossReport) -> str:
    """The comparison for the terminal."""
    lines: list[str] = []
    for name, run in report.runs.items():
        lines.append(
            f"{name:<17}voice-to-voice p50 {_ms(report.p50_ms(name))}   missed turns {run.missed_turns} of "
            f"{len(run.turns)}   holes {'–' if run.holes is None else run.holes}   "
            f"packets lost {run.dropped_outgoing} sent, {run.dropped_incoming} received"
        )
    for name in report.runs:
        if name == CLEAN:
            continue
        lines.append(
            f"{name:<17}p50 {_ms(report.p50_difference_ms(name), sign=True)}   "
            f"same question {_ms(report.paired_difference_ms(name), sign=True)}   "
            f"without model and voice {_ms(report.transport_difference_ms(name), sign=True)}   against no loss"
        )
    return "\n".join(lines) + "\n"


def _without_chance_ms(turn: TurnReport) -> float | None:
    if turn.voice_to_voice_ms is None or turn.latency is None:
        return None
    return turn.voice_to_voice_ms - sum(turn.latency.contributions.get(name, 0.0) for name in _MADE_BY_CHANCE)


def _ms(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "   –"
    return f"{value:+4.0f} ms" if sign else f"{value:4.0f} ms"
