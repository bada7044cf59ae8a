"""Journals in JetStream: batches written in order, each once, and read back."""

from typing import Final

import nats.errors
from nats.js import api
from nats.js import errors as js_errors
from nats.js.client import JetStreamContext

from natter_gateway.journal.log_outbox import Found
from natter_gateway.journal.streams import StoreUnavailableError, Streams, log_stream
from natter_proto import BadFrameError, LogBatch, RealmSubjects, decode

MESSAGE_ID: Final = api.Header.MSG_ID.value
EXPECTED: Final = api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
_FETCH: Final = 200
_FETCH_TIMEOUT_S: Final = 5.0
_KEPT_S: Final = 30.0


class LogStore:
    """The journals of a realm."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    @property
    def ready(self) -> bool:
        """Whether there is a stream to write to."""
        return self._streams.ready

    async def append(self, session: str, payload: bytes, message_id: str, last_sequence: int, deadline_s: float) -> int:
        """Write a batch behind `last_sequence` (0: as the first); returns its sequence, also if it was there already.

        Raises `SequenceRefusedError`, `StoreUnavailableError`.
        """
        headers = {MESSAGE_ID: message_id, EXPECTED: str(last_sequence)}
        return await self._streams.append(self._streams.subjects.session_log(session), payload, headers, deadline_s)

    async def newest(self, session: str) -> Found | None:
        """The newest batch of a session; None where there is none. Raises `StoreUnavailableError`."""
        subjects = self._streams.subjects
        message = await self._streams.last(log_stream(subjects.realm), subjects.session_log(session))
        if message is None or message.seq is None:
            return None
        try:
            header = decode(LogBatch, message.data or b"").header
        except BadFrameError as error:
            raise StoreUnavailableError(f"sequence {message.seq} is no batch: {error}") from error
        return Found(message.seq, header.term, header.producer, header.number)

    async def read(self, session: str, after_sequence: int) -> list[LogBatch]:
        """The batches of a session behind a sequence. Raises `StoreUnavailableError`, `BadFrameError`."""
        return await read_log(self._streams.js, self._streams.subjects, session, after_sequence)


async def read_log(
    js: JetStreamContext, subjects: RealmSubjects, session: str, after_sequence: int = 0
) -> list[LogBatch]:
    """The batches of a session behind a sequence of the stream, in order.

    Raises `StoreUnavailableError`, `BadFrameError`.
    """
    subject, stream = subjects.session_log(session), log_stream(subjects.realm)
    try:
        try:
            newest = (await js.get_last_msg(stream, subject)).seq or 0
        except js_errors.NotFoundError:
            return []
        if newest <= after_sequence:
            return []
        return await _fetch(js, stream, subject, after_sequence, newest)
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise StoreUnavailableError(str(error) or type(error).__name__) from error


async def _fetch(js: JetStreamContext, stream: str, subject: str, after_sequence: int, newest: int) -> list[LogBatch]:
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after_sequence + 1,
        ack_policy=api.AckPolicy.NONE,
        inactive_threshold=_KEPT_S,
        mem_storage=True,
        num_replicas=1,
    )
    reader = await js.pull_subscribe(subject, stream=stream, config=config)
    batches: list[LogBatch] = []
    try:
        reached = after_sequence
        while reached < newest:
            for message in await reader.fetch(_FETCH, timeout=_FETCH_TIMEOUT_S):
                reached = message.metadata.sequence.stream
                batches.append(decode(LogBatch, message.data))
    finally:
        await reader.unsubscribe()
    return batches
