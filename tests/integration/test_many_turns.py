"""Turn after turn over emulated vendors, spoken and typed, across reconnects and new calls: nothing is left behind.

`natter-bench turns` does the same a thousand times over.
"""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from natter_bench.leak import Remains, settled
from natter_bench.signalling import http_client
from natter_bench.speech import encode
from natter_bench.talker import Talk, Talker
from natter_bench.turns import QUICK, TurnsOptions, one_of_each, sections
from natter_emulators.emulators import Emulators
from natter_emulators.marks import caller_speech
from natter_emulators.script import Reply, Script
from natter_testing.provider_calls import Case, provider_system

pytestmark = pytest.mark.timeout(180)

CALLERS = 4
WARM_UP = 2
TURNS = 8
BOT = "turns"
SLACK = 8
"""Connections and their tasks come and go; what each turn leaves behind is four times as much."""
MEMORY_MB = 25
"""The ring of a caller's last 30 s is 1 MB, and the allocator swings."""


async def talk(talker: Talker, turns: int) -> None:
    async with aclosing(talker.turns(turns)) as asked:
        async for _ in asked:
            pass


async def all_talk(talkers: list[Talker], turns: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number, talker in enumerate(talkers):
            tasks.create_task(talk(talker, turns), name=f"talker-{number}")


def beyond(before: Remains, after: Remains) -> dict[str, int]:
    """What is held now that was not before, but for a little."""
    grown = {
        "sessions": after.sessions,
        "tasks": after.tasks - before.tasks - SLACK,
        "files": after.files - before.files - SLACK,
        "threads": after.threads - before.threads - SLACK,
        "subscriptions": (after.subscriptions or 0) - (before.subscriptions or 0),
        "memory": int(after.memory_mb - before.memory_mb - MEMORY_MB),
    }
    return {name: more for name, more in grown.items() if more > 0}


async def test_turns_leave_nothing_behind(tmp_path: Path) -> None:
    question = caller_speech("Yes please.")
    voice = encode(question.pcm, question.rate_hz)
    case = Case(BOT, sections(TurnsOptions()), extra=QUICK)
    how = Talk(BOT, voice, session_turns=5, reconnect_every=2, typed_every=3)
    async with Emulators() as emulators, http_client() as http:
        emulators.openai.script(BOT, Script(replies=lambda _messages: Reply("Good.")))
        async with provider_system(tmp_path, emulators, [case], {}, one_of_each()) as system:
            talkers = [Talker(system.url, how, http) for _ in range(CALLERS)]
            await all_talk(talkers, WARM_UP)
            before = await settled(http, system.processes)
            await all_talk(talkers, TURNS)
            after = await settled(http, system.processes, before)
            vendors = (emulators.deepgram, emulators.openai, emulators.elevenlabs)
            most = [vendor.max_connections for vendor in vendors]
    assert [talker.errors for talker in talkers] == [[]] * CALLERS
    assert sum(talker.missed for talker in talkers) == 0
    assert all(talker.sessions == 3 and talker.reconnects >= 3 for talker in talkers)
    assert {name: beyond(before[name], remains) for name, remains in after.items()} == {name: {} for name in after}
    # Of each caller at most two at once, while one takes the other's place.
    assert all(connections <= 2 * CALLERS for connections in most), most
