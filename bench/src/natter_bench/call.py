"""`natter-bench call`: one caller, some turns, and at the end some interruptions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from natter_bench.caller import Caller, Network
from natter_bench.conversation import Exchange, exchange, hear_greeting, interrupt
from natter_bench.report import SessionReport, session_report
from natter_bench.resources import Cost, Service, costs, usages
from natter_bench.signalling import http_client
from natter_bench.speech import INTERRUPTION, LONG_QUESTIONS, Speech, Voice, question, say
from natter_bench.tap import DEFAULT_REALM, VoiceTap
from natter_bench.undisturbed import undisturbed

_TRIES_PER_BARGE_IN: Final = 3
# A small model's replies are short: the sooner it is interrupted, the surer it still speaks.
_INTERRUPT_AFTER_S: Final = (0.5, 0.4, 0.3)


@dataclass(slots=True)
class CallOptions:
    """What to do."""

    url: str
    bot: str | None = None
    turns: int = 10
    via_start: bool = True
    barge_ins: int = 3
    network: Network = field(default_factory=Network)
    voice: Voice | None = None
    nats_url: str | None = None
    """To compare what was heard with what tts made; None leaves that out."""
    realm: str = DEFAULT_REALM


@dataclass(frozen=True, slots=True)
class CallReport:
    """What came of it."""

    session: SessionReport
    services: dict[str, Cost]


@asynccontextmanager
async def open_tap(nats_url: str | None, realm: str) -> AsyncGenerator[VoiceTap | None]:
    """A tap where there is a NATS to listen on."""
    if nats_url is None:
        yield None
        return
    async with VoiceTap.open(nats_url, realm) as tap:
        yield tap


async def run_call(options: CallOptions, services: Sequence[Service]) -> CallReport:
    """Make one call and measure it. Raises CallError when it cannot be made."""
    # Made ahead: a voice takes its time, and a caller that is busy sends late.
    questions = [question(number, voice=options.voice) for number in range(options.turns)]
    long_questions = [say(text, voice=options.voice) for text in LONG_QUESTIONS] if options.barge_ins else []
    stop = say(INTERRUPTION, voice=options.voice)
    async with http_client() as http, open_tap(options.nats_url, options.realm) as tap:
        before = await usages(http, services)
        begin_s = time.monotonic()
        connecting = Caller.connect(
            options.url,
            bot=options.bot,
            via_start=options.via_start,
            network=options.network,
            http=http,
            on_session=None if tap is None else tap.listen,
        )
        with undisturbed():
            async with connecting as caller:
                await hear_greeting(caller)
                prepared = [await caller.prepare(one.pcm, one.rate_hz) for one in questions]
                exchanges = [await exchange(caller, one) for one in prepared]
                barge_ins = await _interrupt(caller, long_questions, stop, options.barge_ins)
                # Before the caller leaves: afterwards a worker may already be gone.
                seconds = time.monotonic() - begin_s
                after = await usages(http, services)
    return CallReport(
        session_report(caller, exchanges, barge_ins, seconds, tap),
        costs(before, after, seconds),
    )


async def _interrupt(caller: Caller, questions: Sequence[Speech], stop: Speech, wanted: int) -> list[Exchange]:
    """As many interruptions as wanted; a reply that is over too soon is tried again with another question."""
    interruption = await caller.prepare(stop.pcm, stop.rate_hz)
    done: list[Exchange] = []
    for number in range(wanted * _TRIES_PER_BARGE_IN):
        if len(done) == wanted:
            break
        asked = questions[number % len(questions)]
        wait_s = _INTERRUPT_AFTER_S[min(number - len(done), len(_INTERRUPT_AFTER_S) - 1)]
        prepared = await caller.prepare(asked.pcm, asked.rate_hz)
        found = await interrupt(caller, prepared, interruption, after_voice_s=wait_s)
        if found is not None:
            done.append(found)
    return done
