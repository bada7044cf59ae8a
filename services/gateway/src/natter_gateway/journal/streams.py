"""The stream and the bucket that a realm's journals and snapshots live in: made at the gateway's start, in JetStream.

A gateway works without them; it says so once, and goes on trying.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import nats.errors
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from natter_common.backoff import Backoff
from natter_common.logs import Log
from natter_proto import RealmSubjects

DUPLICATE_WINDOW_S: Final = 120.0
"""A batch that comes again under the same message id within this time is in the stream once."""
SNAPSHOT_TTL_S: Final = 86_400.0
_REQUEST_TIMEOUT_S: Final = 5.0
_CLUSTER_REPLICAS: Final = 3
_MORE_COPIES_S: Final = 60.0
_WRONG_SEQUENCE: Final = (10071, 10164)
_NO_MESSAGE: Final = 10037
_NAME_IN_USE: Final = 10058
_TOO_FEW_NODES: Final = (10005, 10023, 10074)
"""No peer for it, no resources on them, or no cluster at all."""
_NO_JETSTREAM: Final = (None, 10039, 10076)
"""Nobody listens for its requests; not for this account; not at all. Without a leader it says 10008, or nothing."""


class StoreUnavailableError(ConnectionError):
    """JetStream did not answer, or can't do it now; of a write it is not known whether it came through."""


class SequenceRefusedError(ValueError):
    """Another sequence is the last of the subject than the one expected."""


class Link(Protocol):
    """What of the link to NATS is needed here."""

    @property
    def up(self) -> bool: ...

    def jetstream(self, timeout_s: float) -> JetStreamContext: ...


def log_stream(realm: str) -> str:
    """Name of the stream with a realm's journals."""
    return f"natter_log_{realm}"


def snapshot_bucket(realm: str) -> str:
    """Name of the key-value bucket with a realm's snapshots."""
    return f"natter_sessions_{realm}"


def snapshot_stream(realm: str) -> str:
    """Name of the stream under that bucket."""
    return f"KV_{snapshot_bucket(realm)}"


def snapshot_subject(realm: str, session: str) -> str:
    """The key of a session, as a subject."""
    return f"$KV.{snapshot_bucket(realm)}.{session}"


class Streams:
    """Makes both, and reads and writes messages in them. Every wait has a deadline."""

    def __init__(self, link: Link, subjects: RealmSubjects, log: Log, *, max_age_days: float, max_bytes: int) -> None:
        """`max_bytes` of all journals together: over it, and when older than `max_age_days`, the oldest go."""
        self.subjects: Final = subjects
        self.ready = False
        """Both were made: JetStream is there, if perhaps not right now."""
        self.absent = False
        """The broker said that it has no JetStream. Neither this nor `ready`: it is not known yet."""
        self._link = link
        self._log = log
        self.js: Final = link.jetstream(_REQUEST_TIMEOUT_S)
        self._look = asyncio.Event()
        realm = subjects.realm
        self._configs: Final[Sequence[api.StreamConfig]] = (
            _log_config(realm, subjects.logs, max_age_days * 86_400, max_bytes),
            _snapshot_config(realm),
        )

    async def run(self) -> None:
        """Make them, and look again when nothing takes messages: they are gone, or without a leader.

        Until cancelled. Where fewer copies were to be had than wanted, that is tried again each minute.
        """
        said, copies = False, 0
        backoff = Backoff(1.0, 30.0)
        while True:
            try:
                replicas = min([await self._make(config) for config in self._configs])
            except StoreUnavailableError as error:
                if not self.ready and not said:
                    said = True
                    self._log.warning("no journal and no snapshots: JetStream can't be used", reason=str(error))
            else:
                self.ready, self.absent = True, False
                backoff.reset()
                if replicas != copies:
                    copies = replicas
                    self._log.info("journal and snapshots are kept", realm=self.subjects.realm, replicas=replicas)
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if copies >= _CLUSTER_REPLICAS else _MORE_COPIES_S):
                        await self._look.wait()
            await asyncio.sleep(backoff.next_s())
            self._look.clear()

    async def append(self, subject: str, payload: bytes, headers: dict[str, str], deadline_s: float) -> int:
        """Write a message; returns its sequence. Raises `SequenceRefusedError`, `StoreUnavailableError`."""
        self._check()
        try:
            ack = await self.js.publish(subject, payload, timeout=deadline_s, headers=headers)
        except js_errors.NoStreamResponseError as error:
            self._look.set()
            raise StoreUnavailableError("no stream takes it") from error
        except js_errors.APIError as error:
            if error.err_code in _WRONG_SEQUENCE:
                raise SequenceRefusedError(str(error)) from error
            raise StoreUnavailableError(str(error)) from error
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error
        return ack.seq

    async def last(self, stream: str, subject: str) -> api.RawStreamMsg | None:
        """The newest message of a subject, asked of the stream's leader; None: there is none."""
        self._check()
        try:
            return await self.js.get_last_msg(stream, subject)
        except js_errors.APIError as error:
            if error.err_code == _NO_MESSAGE:
                return None
            raise StoreUnavailableError(str(error)) from error
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error

    def _check(self) -> None:
        if not self._link.up:
            raise StoreUnavailableError("NATS is not connected")
        if not self.ready:
            raise StoreUnavailableError("JetStream is not there")

    # --- Making them

    async def _make(self, config: api.StreamConfig) -> int:
        """Make a stream, or change one that is there; returns how many copies are kept."""
        if not self._link.up:
            raise StoreUnavailableError("NATS is not connected")
        try:
            for replicas in (_CLUSTER_REPLICAS, 1):
                made = await self._make_with(config.evolve(num_replicas=replicas))
                if made is not None:
                    return made
        except (TimeoutError, nats.errors.Error, OSError) as error:
            self.absent = isinstance(error, js_errors.ServiceUnavailableError) and error.err_code in _NO_JETSTREAM
            raise StoreUnavailableError(str(error) or type(error).__name__) from error
        raise StoreUnavailableError(f"there is no room for {config.name}")

    async def _make_with(self, config: api.StreamConfig) -> int | None:
        """None: so many copies are not to be had."""
        try:
            info = await self.js.add_stream(config)
        except js_errors.APIError as error:
            if error.err_code in _TOO_FEW_NODES:
                return None
            if error.err_code != _NAME_IN_USE:
                raise
            return await self._change(config)
        return info.config.num_replicas or 1

    async def _change(self, config: api.StreamConfig) -> int | None:
        """It is there, with other settings. It never gets fewer copies."""
        there = (await self.js.stream_info(config.name or "")).config.num_replicas or 1
        try:
            info = await self.js.update_stream(config.evolve(num_replicas=max(there, config.num_replicas or 1)))
        except js_errors.APIError as error:
            if error.err_code in _TOO_FEW_NODES:
                return None
            raise
        return info.config.num_replicas or 1


def _log_config(realm: str, subjects: str, max_age_s: float, max_bytes: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=log_stream(realm),
        description="Natter: journals of conversations",
        subjects=[subjects],
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.OLD,
        storage=api.StorageType.FILE,
        max_age=max_age_s,
        max_bytes=max_bytes,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
    )


def _snapshot_config(realm: str) -> api.StreamConfig:
    """As clients make the stream of a bucket, so that they can read it."""
    return api.StreamConfig(
        name=snapshot_stream(realm),
        description="Natter: where conversations stand",
        subjects=[f"$KV.{snapshot_bucket(realm)}.>"],
        discard=api.DiscardPolicy.NEW,
        storage=api.StorageType.FILE,
        max_age=SNAPSHOT_TTL_S,
        max_bytes=-1,
        max_msgs=-1,
        max_consumers=-1,
        max_msgs_per_subject=1,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_direct=True,
    )
