"""The journal of a session beside the live path: noted at once, in the stream in order, given up in time."""

import asyncio
import time
from dataclasses import replace

import pytest
import structlog

from natter_common.metrics import Metrics
from natter_gateway.context import ContextState
from natter_gateway.journal.journal import Journal
from natter_gateway.journal.log_outbox import Found
from natter_gateway.journal.notes import EntriesLost, HeardSoFar, Opened, SessionOver
from natter_gateway.journal.recording import Recording, of_batches
from natter_gateway.journal.seal import Seal, new_key
from natter_gateway.journal.snapshot import Snapshot, decode
from natter_gateway.journal.snapshot_box import Holder
from natter_gateway.journal.snapshot_keeper import SnapshotKeeper
from natter_gateway.journal.streams import SequenceRefusedError, StoreUnavailableError
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import VERSION
from natter_gateway.turns.settings import TurnSettings
from natter_proto import LogBatch
from natter_proto import decode as decode_frame

OPENED = Opened("friend", "gateway-a", 1, 0, "text", 1_700_000_000_000, VERSION, TurnSettings())
MOST_US_PER_STEP = 50.0
"""On a busy machine; alone it is about two."""


class Logs:
    """Stands for the stream: takes what comes, or fails as it is told."""

    def __init__(self) -> None:
        self.ready = True
        self.payloads: list[bytes] = []
        self.fail = 0
        self.other: Found | None = None

    async def append(
        self, _session: str, payload: bytes, message_id: str, last_sequence: int, _deadline_s: float
    ) -> int:
        await asyncio.sleep(0)
        assert message_id == f"abc-1-gateway-a-{decode_frame(LogBatch, payload).header.number}"
        if self.fail:
            self.fail -= 1
            raise StoreUnavailableError("no leader")
        if self.other is not None or last_sequence != len(self.payloads):
            raise SequenceRefusedError("wrong last sequence")
        self.payloads.append(payload)
        return len(self.payloads)

    async def newest(self, _session: str) -> Found | None:
        return self.other

    @property
    def recording(self) -> Recording:
        return of_batches("abc", [decode_frame(LogBatch, payload) for payload in self.payloads])


def journal(logs: Logs, opened: Opened = OPENED) -> Journal:
    log, seal = structlog.get_logger(), Seal(new_key())
    made = Journal("abc", opened, logs, Metrics("gateway"), log, mic_sample=lambda: 640, seal=seal)  # type: ignore[arg-type]
    made.begin()
    made.begin()
    return made


async def test_all_that_was_noted_is_in_the_stream_in_order() -> None:
    logs = Logs()
    made = journal(logs)
    made.note_step(ev.Say("Hi!"), [act.PublishState(), act.StartVerbatim((1, 1), "Hi!")], 1234.567)
    made.note(HeardSoFar((1, 1), 1, "Hi!"))
    made.close("client_left", 1)
    made.close("twice", 1)
    await made.run()
    assert [entry.content for entry in logs.recording.entries] == [
        OPENED,
        ev.Say("Hi!"),
        act.PublishState(),
        act.StartVerbatim((1, 1), "Hi!"),
        HeardSoFar((1, 1), 1, "Hi!"),
        SessionOver("client_left", "friend", 1, OPENED.started_unix_ms),
    ]
    said = logs.recording.entries[1]
    assert (said.number, said.at_us, said.mic_sample) == (2, 1_234_567, 640)
    assert made.sequence == len(logs.payloads) == 1
    assert decode_frame(LogBatch, logs.payloads[0]).machine_version == VERSION


async def test_a_batch_is_sent_while_the_session_goes_on() -> None:
    logs = Logs()
    made = journal(logs)
    running = asyncio.create_task(made.run(), name="journal")
    async with asyncio.timeout(5):
        while not logs.payloads:
            await asyncio.sleep(0.01)
    made.close("client_left", 0)
    await running
    assert len(logs.payloads) == 2


async def test_what_was_noted_is_in_the_stream_once_it_has_settled() -> None:
    logs = Logs()
    logs.fail = 1
    made = journal(logs)
    running = asyncio.create_task(made.run(), name="journal")
    made.note(HeardSoFar((1, 1), 1, "Hi!"))
    await made.settle()
    assert [entry.number for entry in logs.recording.entries] == [1, 2]
    await made.settle()
    assert len(logs.payloads) == 1
    made.stop()
    await running


async def test_nothing_settles_without_jetstream_and_nobody_waits_for_it() -> None:
    logs = Logs()
    logs.ready = False
    made = journal(logs)
    async with asyncio.timeout(5):
        await made.settle()
    assert not logs.payloads


async def test_while_jetstream_does_not_answer_it_is_tried_again() -> None:
    logs = Logs()
    logs.fail = 2
    made = journal(logs)
    made.close("client_left", 0)
    await made.run()
    assert [entry.number for entry in logs.recording.entries] == [1, 2]


async def test_without_jetstream_the_end_is_not_waited_for() -> None:
    logs = Logs()
    logs.ready, logs.fail = False, 1_000
    made = journal(logs)
    made.close("client_left", 0)
    async with asyncio.timeout(2):
        await made.run()


async def test_another_gateway_ends_it_once() -> None:
    logs = Logs()
    logs.other = Found(9, 2, "gateway-b", 1)
    made = journal(logs)
    told: list[int] = []
    made.on_superseded = lambda: told.append(1)
    async with asyncio.timeout(5):
        await made.run()
    assert told == [1]
    assert logs.payloads == []


async def test_without_texts_nothing_that_was_said_leaves() -> None:
    logs = Logs()
    made = journal(logs, replace(OPENED, record="none"))
    said = "my card is 4711"
    made.note_step(
        ev.Typed(said, Modality.VOICE, run_immediately=True),
        [act.CommitUser(1, said, None), act.StartAttempt((1, 1), said, Modality.VOICE)],
        1.0,
    )
    made.note(HeardSoFar((1, 1), 1, said))
    made.close("client_left", 1)
    await made.run()
    assert len(logs.recording.entries) == 6
    assert not any(b"4711" in payload for payload in logs.payloads)


async def test_what_comes_too_fast_is_lost_in_the_open() -> None:
    logs = Logs()
    made = journal(logs)
    for _ in range(5_000):
        made.note_step(ev.Tick(), [], 1.0)
    made.close("client_left", 0)
    await made.run()
    contents = [entry.content for entry in logs.recording.entries]
    assert EntriesLost(4_097, 5_002) in contents
    assert len(contents) == 4_097


async def test_who_reads_behind_a_snapshot_finds_the_reply_that_lives() -> None:
    logs = Logs()
    made = journal(logs)
    made.note_step(ev.Tick(), [act.StartAttempt((1, 1), "a", Modality.VOICE)], 1.0)
    made.close("client_left", 1)
    await made.run()
    assert (made.sequence, made.read_from_sequence) == (1, 0)
    made.note_step(ev.Tick(), [act.EndAttempt((1, 1), act.Outcome.COMPLETE)], 2.0)
    assert made.read_from_sequence == 1


async def test_noting_costs_the_live_path_next_to_nothing() -> None:
    made = journal(Logs())
    event, actions = ev.Recognised("some words", False, 0), [act.ShowUserText(1, "some words", final=False)]
    best_us = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(200):
            made.note_step(event, actions, 1.0)
        best_us = min(best_us, (time.perf_counter() - began) / 200 * 1e6)
    assert best_us < MOST_US_PER_STEP


# --- Snapshots


class Bucket:
    """Stands for the key-value bucket."""

    def __init__(self) -> None:
        self.ready = True
        self.values: list[bytes] = []
        self.holder_is: Holder | None = None
        self.fail = 0
        self.removed_at: int | None = None

    async def write(self, _session: str, data: bytes, revision: int) -> int:
        await asyncio.sleep(0)
        if self.fail:
            self.fail -= 1
            raise StoreUnavailableError("no leader")
        if revision != len(self.values) or self.holder_is is not None:
            raise SequenceRefusedError("wrong last sequence")
        self.values.append(data)
        return len(self.values)

    async def holder(self, _session: str) -> Holder | None:
        return self.holder_is

    async def remove(self, _session: str, revision: int) -> None:
        if self.holder_is is not None or revision != len(self.values):
            raise SequenceRefusedError("wrong last sequence")
        self.removed_at = revision


def keeper(bucket: Bucket, turns: list[int]) -> SnapshotKeeper:
    def take() -> Snapshot:
        turns[0] += 1
        return Snapshot("abc", "00", "gateway-a", 1, "friend", {}, 1, new_key(), turn=turns[0], context=ContextState())

    return SnapshotKeeper("abc", 1, "gateway-a", bucket, take, structlog.get_logger())  # type: ignore[arg-type]


async def until(done: list[bytes], count: int) -> None:
    async with asyncio.timeout(5):
        while len(done) < count:
            await asyncio.sleep(0.01)


async def test_the_newest_is_written_and_removed_at_the_end() -> None:
    bucket, turns = Bucket(), [0]
    bucket.fail = 1
    made = keeper(bucket, turns)
    running = asyncio.create_task(made.run(), name="snapshot")
    made.want()
    await until(bucket.values, 1)
    made.want()
    made.want()
    await until(bucket.values, 2)
    made.remove()
    await running
    assert [decode(value).turn for value in bucket.values] == [2, 3]
    assert bucket.removed_at == 2


async def test_once_it_has_settled_the_newest_is_written() -> None:
    bucket = Bucket()
    bucket.fail = 1
    made = keeper(bucket, [0])
    await made.settle()
    assert not bucket.values
    running = asyncio.create_task(made.run(), name="snapshot")
    made.want()
    await made.settle()
    assert len(bucket.values) == 1
    made.stop()
    await running


async def test_where_none_was_written_none_is_removed() -> None:
    bucket = Bucket()
    made = keeper(bucket, [0])
    made.remove()
    await made.run()
    assert bucket.removed_at is None


@pytest.mark.parametrize("ended", [False, True])
async def test_a_snapshot_of_another_gateway_is_left_alone(ended: bool) -> None:
    bucket, told = Bucket(), list[int]()
    made = keeper(bucket, [0])
    made.on_superseded = lambda: told.append(1)
    running = asyncio.create_task(made.run(), name="snapshot")
    made.want()
    await until(bucket.values, 1)
    bucket.holder_is = Holder(2, 2, "gateway-b")
    if ended:
        made.remove()
    else:
        made.want()
    async with asyncio.timeout(5):
        await running
    assert told == ([] if ended else [1])
    assert bucket.removed_at is None
