"""Journals in JetStream: batches written in order, each once, and read back."""

from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

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
        """Write a batch behind `last_sequence` (0: as the first); returns its sequence.

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

    async def read(self, session: str, after_sequence: int = 0) -> list[LogBatch]:
        """The batches of a session behind a sequence. Raises `StoreUnavailableError`, `BadFrameError`."""
        return await read_log(self._streams.js, self._streams.subjects, session, after_sequence)


async def read_log(
    js: JetStreamContext, subjects: RealmSubjects, session: str, after_sequence: int = 0
) -> list[LogBatch]:
    """The batches of a session behind a sequence of the stream, in order.

    Raises `StoreUnavailableError`, `BadFrameError`.
    """
    config = api.ConsumerConfig(deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after_sequence + 1)
    messages = await read_messages(js, log_stream(subjects.realm), subjects.session_log(session), config)
    return [decode(LogBatch, message.data) for message in messages]


async def read_messages(js: JetStreamContext, stream: str, subject: str, config: api.ConsumerConfig) -> list[Msg]:
    """What a stream has of a subject now, as `config` chooses. Raises `StoreUnavailableError`."""
    config = config.evolve(ack_policy=api.AckPolicy.NONE, inactive_threshold=_KEPT_S, mem_storage=True, num_replicas=1)
    messages: list[Msg] = []
    try:
        reader = await js.pull_subscribe(subject, stream=stream, config=config)
        try:
            left = (await reader.consumer_info()).num_pending or 0
            while left:
                messages += await reader.fetch(_FETCH, timeout=_FETCH_TIMEOUT_S)
                left = messages[-1].metadata.num_pending
        finally:
            await reader.unsubscribe()
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise StoreUnavailableError(str(error) or type(error).__name__) from error
    return messages
