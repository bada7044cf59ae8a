"""Journals and snapshots in a real JetStream: complete, in order, none twice, of one gateway."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from nats.js import api

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting, interrupt
from natter_bench.speech import EncodedSpeech
from natter_common.link import NatsLink, open_link
from natter_common.metrics import Metrics
from natter_gateway.cli.main import main
from natter_gateway.journal.journal import Journal
from natter_gateway.journal.keeping import Stores
from natter_gateway.journal.log_store import read_log
from natter_gateway.journal.notes import Opened, SessionOver
from natter_gateway.journal.recording import of_batches
from natter_gateway.journal.recovery import recovered
from natter_gateway.journal.seal import Seal, new_key
from natter_gateway.journal.snapshot import Snapshot, encode
from natter_gateway.journal.snapshot_store import HeldElsewhereError, Stored
from natter_gateway.journal.streams import SequenceRefusedError, Streams, log_stream
from natter_gateway.transcript import turns_of
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.machine import VERSION
from natter_gateway.turns.settings import TurnSettings
from natter_local.broker import Broker
from natter_proto import RealmSubjects, new_id
from natter_testing.emulated_system import BRIEF, emulated_system
from natter_testing.eventually import eventually
from natter_testing.tcp_proxy import TcpProxy

LOG = structlog.get_logger()
WITHIN_S = 20.0
RECORDED = """\
name: Recorded
default: false
greeting: Hello, I am here.
prompt: You are a script.
record: text
"""


@asynccontextmanager
async def stores(url: str, realm: str, gateway: str = "gateway-a") -> AsyncIterator[tuple[NatsLink, Stores]]:
    """A gateway's side of JetStream, ready."""
    metrics = Metrics("gateway")
    async with open_link([url], f"test-{gateway}", metrics, LOG) as link:
        streams = Streams(link, RealmSubjects(realm), LOG, max_age_days=1, max_bytes=16 * 1024 * 1024)
        making = asyncio.create_task(streams.run(), name="streams")
        try:
            await eventually(_ready(streams), bool, within_s=WITHIN_S)
            yield link, Stores.of(gateway, streams)
        finally:
            making.cancel()


def _ready(streams: Streams) -> Any:
    async def look() -> bool:
        return streams.ready

    return look


def journal(found: Stores, session: str, term: int = 1) -> Journal:
    opened = Opened("friend", found.gateway, term, 0, "text", 1, VERSION, TurnSettings())
    seal = Seal(new_key())
    made = Journal(session, opened, found.logs, Metrics("gateway"), LOG, mic_sample=lambda: 0, seal=seal)
    made.begin()
    return made


def snapshot(session: str, term: int = 1, gateway: str = "gateway-a") -> Snapshot:
    return Snapshot(session, "00ff", gateway, term, "friend", {}, 1, "5f" * 32)


# --- The journal


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_goes_and_comes_back_loses_nothing_and_has_nothing_twice(
    tmp_path: Path, ending: signal.Signals
) -> None:
    session, entries = new_id(), 1
    async with Broker(tmp_path) as broker, stores(broker.url, "main") as (link, found):
        made = journal(found, session)
        running = asyncio.create_task(made.run(), name="journal")
        for outage in range(3):
            for turn in range(40):
                made.note_step(ev.Tick(), [act.UserStarted(40 * outage + turn)], float(turn))
                entries += 2
                await asyncio.sleep(0.01)
            broker.process.send(ending)
            await broker.process.wait()
            made.note_step(ev.Tick(), [], 1_000.0)
            entries += 1
            await broker.start()
        await eventually(_up(link, found), bool, within_s=WITHIN_S)
        made.close("client_left", 120)
        await running
        batches = await read_log(link.jetstream(5), RealmSubjects("main"), session)
    recorded = of_batches(session, batches)
    assert [entry.number for entry in recorded.entries] == list(range(1, entries + 2))
    assert [batch.header.number for batch in batches] == list(range(1, len(batches) + 1))
    started = [entry.content.turn for entry in recorded.entries if isinstance(entry.content, act.UserStarted)]
    assert started == list(range(120))
    assert isinstance(recorded.entries[-1].content, SessionOver)


def _up(link: NatsLink, found: Stores) -> Any:
    async def look() -> bool:
        return link.up and found.streams.ready

    return look


async def test_a_network_that_is_cut_loses_nothing_and_has_nothing_twice(tmp_path: Path) -> None:
    session = new_id()
    async with (
        Broker(tmp_path) as broker,
        TcpProxy(broker.port) as proxy,
        stores(f"nats://127.0.0.1:{proxy.port}", "main") as (link, found),
    ):
        made = journal(found, session)
        running = asyncio.create_task(made.run(), name="journal")
        for turn in range(300):
            made.note_step(ev.Tick(), [act.UserStarted(turn)], float(turn))
            if turn % 60 == 30:
                # Whatever is on its way then, batch or acknowledgement, is gone.
                proxy.cut()
            elif turn % 60 == 50:
                proxy.heal()
            await asyncio.sleep(0.02)
        proxy.heal()
        await eventually(_up(link, found), bool, within_s=WITHIN_S)
        made.close("client_left", 300)
        await running
        batches = await read_log(link.jetstream(5), RealmSubjects("main"), session)
    recorded = of_batches(session, batches)
    assert [entry.number for entry in recorded.entries] == list(range(1, 603))


async def test_a_batch_that_comes_again_is_there_once_and_a_wrong_sequence_is_refused(
    nats_url: str, realm: str
) -> None:
    async with stores(nats_url, realm) as (_link, found):
        assert await found.logs.append("abc", b"", "abc-1-a-1", 0, 5) == 1
        for message_id in ("abc-1-a-1", "abc-1-b-1"):
            # Of the two, the server looks at the sequence first.
            with pytest.raises(SequenceRefusedError):
                await found.logs.append("abc", b"", message_id, 0, 5)
        assert await found.logs.append("abc", b"", "abc-1-a-1", 1, 5) == 1
        assert await found.logs.append("other", b"", "other-1-a-1", 0, 5) == 2
        assert await found.logs.append("abc", b"", "abc-1-a-2", 1, 5) == 3
        assert (await found.logs.newest("nobody")) is None


async def test_who_was_taken_over_from_notices_and_writes_no_more(nats_url: str, realm: str) -> None:
    session = new_id()
    async with stores(nats_url, realm) as (link, old), stores(nats_url, realm, "gateway-b") as (_, new):
        first, told = journal(old, session), asyncio.Event()
        first.on_superseded = told.set
        running = asyncio.create_task(first.run(), name="journal-old")
        await eventually(_sequence(first), bool, within_s=WITHIN_S)
        second = journal(new, session, term=2)
        going_on = asyncio.create_task(second.run(), name="journal-new")
        # The new one does not know how far the old one has come: it looks.
        await eventually(_sequence(second), bool, within_s=WITHIN_S)
        first.note_step(ev.Tick(), [act.HoldVoice()], 1.0)
        async with asyncio.timeout(WITHIN_S):
            await told.wait()
            await running
        second.close("client_left", 0)
        await going_on
        batches = await read_log(link.jetstream(5), RealmSubjects(realm), session)
        assert [batch.header.producer for batch in batches] == ["gateway-a", "gateway-b", "gateway-b"]


def _sequence(made: Journal) -> Any:
    async def look() -> int:
        return made.sequence

    return look


async def test_streams_are_made_once_changed_where_needed_and_again_when_they_are_gone(
    nats_url: str, realm: str
) -> None:
    async with stores(nats_url, realm) as (link, found):
        js = link.jetstream(5)
        config = (await js.stream_info(log_stream(realm))).config
        assert (config.storage, config.num_replicas, config.max_age) == (api.StorageType.FILE, 1, 86_400)
        streams = Streams(link, RealmSubjects(realm), LOG, max_age_days=2, max_bytes=32 * 1024 * 1024)
        making = asyncio.create_task(streams.run(), name="streams")
        await eventually(_ready(streams), bool, within_s=WITHIN_S)
        making.cancel()
        config = (await js.stream_info(log_stream(realm))).config
        assert (config.max_bytes, config.max_age) == (32 * 1024 * 1024, 172_800)
        await js.delete_stream(log_stream(realm))
        made = journal(found, "abc")
        made.close("client_left", 0)
        running = asyncio.create_task(made.run(), name="journal")
        await eventually(_sequence(made), bool, within_s=WITHIN_S)
        await running


# --- Snapshots


async def test_of_two_that_take_over_one_succeeds(nats_url: str, realm: str) -> None:
    async with stores(nats_url, realm) as (_, one), stores(nats_url, realm, "gateway-b") as (_, other):
        for session in [new_id() for _ in range(10)]:
            await one.snapshots.write(session, encode(snapshot(session)), 0)
            found = [await stored.snapshots.read(session) for stored in (one, other)]
            assert found[0] is not None
            assert found[1] is not None
            results = await asyncio.gather(
                one.snapshots.take_over(found[0]), other.snapshots.take_over(found[1]), return_exceptions=True
            )
            won = [result for result in results if not isinstance(result, BaseException)]
            lost = [result for result in results if isinstance(result, HeldElsewhereError)]
            assert (len(won), len(lost)) == (1, 1)
            holder = await one.snapshots.holder(session)
            assert holder is not None
            assert (holder.term, holder.gateway, holder.revision) == (
                2,
                won[0].snapshot.gateway,
                won[0].revision,
            )


async def test_a_removed_snapshot_can_t_be_taken_over_nor_written(nats_url: str, realm: str) -> None:
    async with stores(nats_url, realm) as (_, found):
        snapshots = found.snapshots
        assert await snapshots.read("abc") is None
        revision = await snapshots.write("abc", encode(snapshot("abc")), 0)
        with pytest.raises(SequenceRefusedError):
            await snapshots.remove("abc", revision + 1)
        stored = await snapshots.read("abc")
        assert stored == Stored(snapshot("abc"), revision)
        await snapshots.remove("abc", revision)
        assert await snapshots.read("abc") is None
        with pytest.raises(SequenceRefusedError):
            await snapshots.write("abc", encode(snapshot("abc")), revision)
        holder = await snapshots.holder("abc")
        assert holder is not None
        assert holder.removed
        with pytest.raises(HeldElsewhereError):
            await snapshots.take_over(stored)


# --- A call


async def command(*arguments: str) -> int:
    """The command in a thread of its own, for it has its own event loop."""
    return await asyncio.to_thread(main, ["sessions", *arguments])


async def test_a_call_is_kept_shown_replayed_and_purged(
    tmp_path: Path, speech: EncodedSpeech, http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    bots = tmp_path / "bots"
    bots.mkdir()
    (bots / "recorded.yaml").write_text(RECORDED)
    async with emulated_system(tmp_path, options=BRIEF) as system:
        at = ("--nats-url", system.nats_url)
        async with Caller.connect(system.url, bot="recorded", http=http) as caller:
            session = str(caller.pc_id).partition(".")[0]
            await hear_greeting(caller)
            await exchange(caller, speech)
            await exchange(caller, speech)
            await interrupt(caller, speech, speech)
            assert await command("list", "--json", *at) == 0
            (listed,) = orjson.loads(capsys.readouterr().out)
            assert (listed["session"], listed["state"], listed["bot"]) == (session, "going on", "recorded")
            transcript = (await http.get(f"{system.url}/sessions/{caller.pc_id}/transcript")).json()
            async with stores(system.nats_url, "main", "gateway-x") as (_, found):

                async def kept() -> list[dict[str, Any]]:
                    stored = await found.snapshots.read(session)
                    assert stored is not None
                    batches = await found.logs.read(session, stored.snapshot.journal_sequence)
                    now = recovered(stored.snapshot, of_batches(session, batches))
                    return turns_of(now.snapshot.context.entries)

                await eventually(kept, lambda turns: turns == transcript["turns"], within_s=WITHIN_S)

        async def over() -> str:
            capsys.readouterr()
            await command("list", "--json", *at)
            return orjson.loads(capsys.readouterr().out)[0]["state"]

        await eventually(over, lambda state: state == "over", within_s=WITHIN_S)
        assert await command("show", session, *at) == 0
        shown = capsys.readouterr().out
        for words in ('bot: "Hello, I am here."', "caller: ", "answered within", "interrupted", "over: client_left"):
            assert words in shown
        kept_file = tmp_path / "call.jsonl"
        assert await command("replay", session, "--save", str(kept_file), *at) == 0
        assert await command("replay", str(kept_file)) == 0
        assert await command("purge", session, *at) == 0
        assert await command("show", session, *at) == 2
        assert await command("purge", session, *at) == 2


async def test_without_record_a_call_has_a_journal_without_words(
    tmp_path: Path, speech: EncodedSpeech, http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    async with emulated_system(tmp_path, options=BRIEF) as system:
        async with Caller.connect(system.url, http=http) as caller:
            session = str(caller.pc_id).partition(".")[0]
            await hear_greeting(caller)
            await exchange(caller, speech)
        at = ("--nats-url", system.nats_url)
        assert await command("show", session, *at) == 0
        shown = capsys.readouterr().out
        assert "Hello, I am here." not in shown
        assert "characters)" in shown
        assert await command("replay", session, *at) == 2
        assert "recorded without text" in capsys.readouterr().err
