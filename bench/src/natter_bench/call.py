"""`natter-bench call`: one caller, some turns, and at the end a barge-in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from natter_bench.caller import Caller, Network
from natter_bench.conversation import Exchange, exchange, hear_greeting, interrupt
from natter_bench.report import SessionReport, session_report
from natter_bench.resources import Cost, Service, costs, usages
from natter_bench.signalling import http_client
from natter_bench.speech import INTERRUPTION, LONG_QUESTION, Voice, question, say

# A small model's replies are short: the sooner it is interrupted, the surer it still speaks.
_INTERRUPT_AFTER_S = (0.7, 0.4, 0.2)


@dataclass(slots=True)
class CallOptions:
    """What to do."""

    url: str
    bot: str | None = None
    turns: int = 10
    via_start: bool = True
    barge_in: bool = True
    network: Network = field(default_factory=Network)
    voice: Voice | None = None


@dataclass(frozen=True, slots=True)
class CallReport:
    """What came of it."""

    session: SessionReport
    services: dict[str, Cost]


async def run_call(options: CallOptions, services: Sequence[Service]) -> CallReport:
    """Make one call and measure it. Raises CallError when it cannot be made."""
    questions = [question(number, voice=options.voice) for number in range(options.turns)]
    long_question, stop = say(LONG_QUESTION, voice=options.voice), say(INTERRUPTION, voice=options.voice)
    async with http_client() as http:
        before = await usages(http, services)
        begin_s = time.monotonic()
        async with Caller.connect(
            options.url, bot=options.bot, via_start=options.via_start, network=options.network, http=http
        ) as caller:
            await hear_greeting(caller)
            prepared = [await caller.prepare(one.pcm, one.rate_hz) for one in questions]
            exchanges = [await exchange(caller, one) for one in prepared]
            interrupted: Exchange | None = None
            if options.barge_in:
                first = await caller.prepare(long_question.pcm, long_question.rate_hz)
                second = await caller.prepare(stop.pcm, stop.rate_hz)
                for after_s in _INTERRUPT_AFTER_S:
                    interrupted = await interrupt(caller, first, second, after_voice_s=after_s)
                    if interrupted is not None:
                        break
            # Before the caller leaves: afterwards a worker may already be gone.
            seconds = time.monotonic() - begin_s
            after = await usages(http, services)
    return CallReport(
        session_report(caller, exchanges, interrupted, seconds),
        costs(before, after, seconds),
    )
