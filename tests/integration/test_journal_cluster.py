"""The node that leads a call's journal dies in the middle of it: ten seconds later nothing is missing there."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import structlog

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting
from natter_bench.speech import EncodedSpeech
from natter_common.link import open_link
from natter_common.metrics import Metrics
from natter_gateway.journal.log_store import read_log
from natter_gateway.journal.notes import SessionOver
from natter_gateway.journal.recording import of_batches
from natter_gateway.journal.streams import log_stream
from natter_gateway.turns import actions as act
from natter_local.system import LocalSystem
from natter_proto import LogBatch, RealmSubjects
from natter_testing.emulated_system import BRIEF, emulated_system
from natter_testing.eventually import eventually

COMPLETE_WITHIN_S: Final = 10.0
SPEAKS: Final = "user-started-speaking"
WITHIN_S: Final = 5.0
EXCHANGES: Final = 3
BOT: Final = "name: Echo\ndefault: true\ngreeting: Hello, I am here.\nprompt: You are a script.\nrecord: text\n"


async def test_a_journal_whose_leader_died_is_complete_ten_seconds_later(
    tmp_path: Path, speech: EncodedSpeech, http: httpx.AsyncClient
) -> None:
    bots = tmp_path / "with-record"
    bots.mkdir()
    (bots / "echo.yaml").write_text(BOT)
    env = {"NATTER_BOTS_DIR": str(bots)}
    async with emulated_system(tmp_path, env=env, options=BRIEF, nats_nodes=3, keep_up=True) as system:
        async with Caller.connect(system.url, http=http) as caller:
            await hear_greeting(caller)
            for number in range(EXCHANGES):
                # Its frames pass the broker while a node dies; what the leader had not answered has to be sent again.
                began_s = time.monotonic()
                answering = asyncio.create_task(exchange(caller, speech), name=f"exchange-{number}")
                if number == 1:
                    assert await caller.wait_for(SPEAKS, after_s=began_s, within_s=WITHIN_S)
                    leader = await system.jetstream_leader(log_stream("main"))
                    assert leader is not None
                    await leader.kill(signal.SIGKILL)
                    died_s = time.monotonic()
                await answering
            assert caller.pc_id is not None
            session = caller.pc_id.partition(".")[0]
        recorded = of_batches(session, await complete(system, session, COMPLETE_WITHIN_S - time.monotonic() + died_s))
    assert [entry.number for entry in recorded.entries] == list(range(1, len(recorded.entries) + 1))
    committed = [entry.content for entry in recorded.entries if isinstance(entry.content, act.CommitUser)]
    assert len(committed) == EXCHANGES


async def complete(system: LocalSystem, session: str, within_s: float) -> Sequence[LogBatch]:
    """A session's journal, once its end is there."""
    async with open_link(system.nats_url.split(","), "test", Metrics("testing"), structlog.get_logger()) as link:

        async def look() -> Sequence[LogBatch]:
            return await read_log(link.jetstream(5), RealmSubjects("main"), session)

        def is_over(batches: Sequence[LogBatch]) -> bool:
            entries = of_batches(session, batches).entries if batches else ()
            return bool(entries) and isinstance(entries[-1].content, SessionOver)

        return await eventually(look, is_over, within_s=within_s)
