"""The sessions of a realm as the broker has them: a list, a journal, and the way to be rid of one."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from natter_gateway.journal.codec import BadEntryError, decode
from natter_gateway.journal.log_store import read_log, read_messages
from natter_gateway.journal.notes import Opened, SessionOver
from natter_gateway.journal.recording import Recording, of_batches
from natter_gateway.journal.snapshot import BadSnapshotError
from natter_gateway.journal.snapshot import decode as decode_snapshot
from natter_gateway.journal.streams import (
    StoreUnavailableError,
    log_stream,
    snapshot_bucket,
    snapshot_stream,
    snapshot_subject,
)
from natter_proto import Ask, AskSignal, BadFrameError, Header, LogBatch, RealmSubjects, last_token
from natter_proto import decode as decode_frame

_CONNECT_S: Final = 3.0
_REQUEST_S: Final = 5.0
_OWNER_S: Final = 1.0
_ALL_OWNERS_S: Final = 5.0
_ASKED_AT_ONCE: Final = 64


class ArchiveError(RuntimeError):
    """What was asked for can't be had; the text says why."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A line of the list; None where it is not known."""

    session: str
    state: str
    """`going on`, `over`, or `broken off`: its gateway is gone and nobody took it over."""
    bot: str | None = None
    started_unix_ms: int | None = None
    turns: int | None = None
    reason: str | None = None
    """Why it is over."""


@asynccontextmanager
async def open_archive(servers: list[str], realm: str) -> AsyncGenerator["Archive"]:
    """Connect for the time of the block. Raises `ArchiveError`."""

    async def quiet(_error: Exception) -> None:
        """What is wrong is raised where it is waited for."""

    try:
        async with asyncio.timeout(_CONNECT_S):
            client = await nats.connect(
                servers=servers,
                name="natter-cli",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=2,
                error_cb=quiet,
            )
    except (TimeoutError, nats.errors.Error, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"no broker at {', '.join(servers)}: {reason} (is it running? --nats-url)") from error
    try:
        yield Archive(client, client.jetstream(timeout=_REQUEST_S), RealmSubjects(realm))
    except StoreUnavailableError as error:
        raise ArchiveError(f"the broker does not answer as expected: {error}") from error
    except BadFrameError as error:
        raise ArchiveError(f"the journal can't be read: {error}") from error
    finally:
        await client.close()


class Archive:
    """The journals and snapshots of a realm."""

    def __init__(self, client: Client, js: JetStreamContext, subjects: RealmSubjects) -> None:
        self._client = client
        self._js = js
        self._subjects = subjects

    async def sessions(self) -> list[SessionSummary]:
        """All that anything is known of, the oldest first. Raises `ArchiveError`, `StoreUnavailableError`."""
        await self._check()
        realm = self._subjects.realm
        newest = api.ConsumerConfig(deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT)
        found: dict[str, SessionSummary] = {}
        for message in await read_messages(self._js, log_stream(realm), self._subjects.logs, newest):
            summary = _by_log(message)
            found[summary.session] = summary
        kept: dict[str, SessionSummary] = {}
        everything = f"$KV.{snapshot_bucket(realm)}.>"
        for message in await read_messages(self._js, snapshot_stream(realm), everything, newest):
            summary = _by_snapshot(message)
            if summary is not None:
                kept[summary.session] = summary
        gone = await self._gone(kept)
        for session, summary in kept.items():
            if session not in gone:
                found[session] = summary
            elif session not in found or found[session].state != "over":
                found[session] = replace(summary, state="broken off")
        for summary in list(found.values()):
            if summary.bot is None:
                found[summary.session] = await self._by_beginning(summary)
        return sorted(found.values(), key=lambda one: (one.started_unix_ms or 0, one.session))

    async def _gone(self, sessions: Iterable[str]) -> set[str]:
        """Those of them that no gateway has, as far as there is time to ask. Raises `StoreUnavailableError`."""
        gone: set[str] = set()
        free = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def ask(session: str) -> None:
            # Without the secret: whoever has the session answers at once, and does nothing.
            question = AskSignal(header=Header(session=session)).SerializeToString()
            async with free:
                try:
                    # A gateway that stands still has its sessions: they may be taken over, or go on.
                    with suppress(TimeoutError):
                        await self._client.request(self._subjects.session(session).ask(Ask.SIGNAL), question, _OWNER_S)
                except nats.errors.NoRespondersError:
                    gone.add(session)

        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ALL_OWNERS_S):
                    await asyncio.gather(*map(ask, sessions))
        except nats.errors.Error as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error
        return gone

    async def _by_beginning(self, summary: SessionSummary) -> SessionSummary:
        """A session whose gateway died: its journal's first batch says what it was."""
        subject = self._subjects.session_log(summary.session)
        try:
            first = await self._js.get_msg(log_stream(self._subjects.realm), seq=1, subject=subject, next=True)
        except (TimeoutError, nats.errors.Error):
            return summary
        for entry in decode_frame(LogBatch, first.data or b"").entries:
            opened = _note(entry.kind, entry.content)
            if isinstance(opened, Opened):
                return SessionSummary(summary.session, summary.state, opened.bot, opened.started_unix_ms)
        return summary

    async def recording(self, session: str) -> Recording:
        """The journal of a session. Raises `ArchiveError`, `StoreUnavailableError`, `BadFrameError`."""
        await self._check()
        batches = await read_log(self._js, self._subjects, session)
        if not batches:
            raise ArchiveError(f"there is no journal of session {session} in realm {self._subjects.realm}")
        return of_batches(session, batches)

    async def purge(self, session: str) -> bool:
        """Remove all that is kept of a session; returns whether it goes on: then what follows is kept.

        Raises `ArchiveError`, `StoreUnavailableError`.
        """
        await self._check()
        realm, subject = self._subjects.realm, self._subjects.session_log(session)
        key = snapshot_subject(realm, session)
        try:
            logs = await self._js.stream_info(log_stream(realm), subjects_filter=subject)
            snapshots = await self._js.stream_info(snapshot_stream(realm), subjects_filter=key)
            if not logs.state.subjects and not snapshots.state.subjects:
                raise ArchiveError(f"nothing is kept of session {session} in realm {realm}")
            goes_on = False
            if snapshots.state.subjects:
                held = bool((await self._js.get_last_msg(snapshot_stream(realm), key)).data)
                goes_on = held and not await self._gone([session])
            await self._js.purge_stream(log_stream(realm), subject=subject)
            await self._js.purge_stream(snapshot_stream(realm), subject=key)
        except (TimeoutError, nats.errors.Error) as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error
        return goes_on

    async def _check(self) -> None:
        realm = self._subjects.realm
        try:
            for stream in (log_stream(realm), snapshot_stream(realm)):
                await self._js.stream_info(stream)
        except js_errors.NotFoundError as error:
            raise ArchiveError(f"nothing is kept in realm {realm}: no gateway was ever there (--realm)") from error
        except js_errors.ServiceUnavailableError as error:
            raise ArchiveError("the broker has no JetStream: nothing is kept there") from error
        except (TimeoutError, nats.errors.Error) as error:
            raise StoreUnavailableError(str(error) or type(error).__name__) from error


def _note(kind: str, content: bytes) -> object:
    try:
        return decode(kind, content)
    except BadEntryError:
        return None


def _by_log(message: Msg) -> SessionSummary:
    session = last_token(message.subject)
    for entry in decode_frame(LogBatch, message.data).entries:
        over = _note(entry.kind, entry.content)
        if isinstance(over, SessionOver):
            return SessionSummary(session, "over", over.bot, over.started_unix_ms, over.turns, over.reason)
    return SessionSummary(session, "broken off")


def _by_snapshot(message: Msg) -> SessionSummary | None:
    try:
        snapshot = decode_snapshot(message.data)
    except BadSnapshotError:
        # The marker of a session that is over.
        return None
    return SessionSummary(snapshot.session, "going on", snapshot.bot, snapshot.started_unix_ms, snapshot.turn)
