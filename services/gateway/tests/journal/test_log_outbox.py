"""One batch in flight, none lost while there is room, none twice: in virtual time."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.journal.log_outbox import MAX_BATCHES, MAX_BYTES, Batch, Found, LogOutbox

TERM = 2
ME = "gateway-a"
LONGEST_WAIT_MS = 1_000.0


def batch(number: int, size: int = 100, entries: int = 3) -> Batch:
    return Batch(number, entries * (number - 1) + 1, entries * number, bytes(size))


def outbox(batches: int = 0, last_sequence: int = 0) -> LogOutbox:
    made = LogOutbox(TERM, ME, last_sequence)
    for number in range(1, batches + 1):
        assert made.put(batch(number)) == 0
    return made


def test_batches_go_one_by_one_in_order() -> None:
    log = outbox(2, last_sequence=7)
    assert log.next(0) == batch(1)
    assert log.last_sequence == 7
    assert log.next(10) is None
    assert log.due_ms is None
    log.on_acknowledged(9)
    assert log.last_sequence == 9
    assert log.next(10) == batch(2)
    log.on_acknowledged(10)
    assert len(log) == 0
    assert log.due_ms is None


def test_what_is_not_acknowledged_is_sent_again_and_waits_longer_each_time() -> None:
    log = outbox(1)
    now_ms, waits_ms = 0.0, list[float]()
    for _ in range(8):
        assert log.next(now_ms) == batch(1)
        log.on_failed(now_ms)
        assert log.next(now_ms) is None
        assert log.due_ms is not None
        waits_ms.append(log.due_ms - now_ms)
        now_ms = log.due_ms
    assert 125 <= waits_ms[0] <= 250
    assert LONGEST_WAIT_MS / 2 <= waits_ms[-1] <= LONGEST_WAIT_MS
    assert log.next(now_ms) == batch(1)
    log.on_acknowledged(1)
    log.put(batch(2))
    assert log.next(now_ms) == batch(2)


def test_over_the_bound_the_oldest_goes_but_not_the_one_in_flight() -> None:
    log = outbox(MAX_BATCHES)
    assert log.next(0) == batch(1)
    assert log.put(batch(MAX_BATCHES + 1)) == 3
    assert log.put(batch(MAX_BATCHES + 2)) == 3
    assert len(log) == MAX_BATCHES
    assert log.take_lost() == (4, 9)
    assert log.take_lost() is None
    log.on_acknowledged(1)
    assert log.next(0) == batch(4)


def test_a_batch_that_was_sent_once_is_kept_between_its_tries() -> None:
    log = outbox(MAX_BATCHES)
    log.next(0)
    log.on_failed(0)
    log.put(batch(MAX_BATCHES + 1))
    assert log.next(10_000) == batch(1)


def test_bytes_are_bounded_too() -> None:
    log = outbox()
    big = MAX_BYTES // 4
    assert sum(log.put(batch(number, big)) for number in range(1, 5)) == 0
    assert log.put(batch(5, big)) == 3
    assert log.take_lost() == (1, 3)


def test_a_batch_of_another_term_or_gateway_ends_it() -> None:
    for found in (Found(9, TERM + 1, "gateway-b", 1), Found(9, TERM, "gateway-b", 1)):
        log = outbox(2)
        log.next(0)
        log.on_refused(found, 0)
        assert log.superseded
        assert log.due_ms is None
        assert log.next(1e9) is None


def test_a_late_batch_of_the_gateway_before_does_not() -> None:
    log = outbox(1, last_sequence=4)
    log.next(0)
    log.on_refused(Found(5, TERM - 1, "gateway-b", 40), 0)
    assert not log.superseded
    assert log.next(300) == batch(1)
    assert log.last_sequence == 5


def test_its_own_batch_in_the_stream_is_an_acknowledgement() -> None:
    log = outbox(2, last_sequence=4)
    log.next(0)
    log.on_failed(0)
    log.next(300)
    log.on_refused(Found(5, TERM, ME, 1), 300)
    assert log.next(300) == batch(2)
    assert log.last_sequence == 5


def test_a_purged_journal_goes_on() -> None:
    log = outbox(1, last_sequence=4)
    log.next(0)
    log.on_refused(None, 0)
    assert log.next(300) == batch(1)
    assert log.last_sequence == 0


@dataclass
class Stream:
    """What JetStream does: message ids for a while, the expected sequence always."""

    messages: list[Batch] = field(default_factory=list[Batch])
    remembered: dict[int, int] = field(default_factory=dict[int, int])

    def append(self, one: Batch, expected: int) -> int | None:
        """The sequence; None: refused."""
        if one.number in self.remembered:
            return self.remembered[one.number]
        if expected != len(self.messages):
            return None
        self.messages.append(one)
        self.remembered[one.number] = len(self.messages)
        return len(self.messages)

    @property
    def found(self) -> Found | None:
        return Found(len(self.messages), TERM, ME, self.messages[-1].number) if self.messages else None


fates = st.sampled_from(["ok", "ok", "lost on the way", "answer lost", "answer lost, ids forgotten"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), fates), max_size=120))
def test_whatever_gets_lost_each_batch_is_in_the_stream_once_and_in_order(steps: list[tuple[bool, str]]) -> None:
    log, stream, number, now_ms = outbox(), Stream(), 0, 0.0
    for more, fate in [*steps, *[(False, "ok")] * 2 * (len(steps) + 1)]:
        if more:
            number += 1
            log.put(batch(number))
        now_ms += LONGEST_WAIT_MS
        one = log.next(now_ms)
        if one is None:
            continue
        if fate == "lost on the way":
            log.on_failed(now_ms)
            continue
        sequence = stream.append(one, log.last_sequence)
        if fate.endswith("ids forgotten"):
            stream.remembered.clear()
        if fate.startswith("answer lost"):
            log.on_failed(now_ms)
        elif sequence is None:
            log.on_refused(stream.found, now_ms)
        else:
            log.on_acknowledged(sequence)
    assert not log.superseded
    assert [one.number for one in stream.messages] == list(range(1, number + 1))
