"""All sessions of a gateway: made, found by their public id, swept when their caller is gone."""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from nats.aio.msg import Msg

from natter_common.link import Subscription
from natter_common.logs import Log
from natter_gateway.bots.model import Bot
from natter_gateway.elsewhere import Asked, knows_secret
from natter_gateway.journal.snapshot import BadSnapshotError
from natter_gateway.journal.snapshot_store import HeldElsewhereError
from natter_gateway.journal.streams import StoreUnavailableError
from natter_gateway.journal.takeover import TakenOver, take_over
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.session_leases import STAGES
from natter_gateway.session import GatewayParts, OnSignal, Session, nobody_signals
from natter_proto import (
    Ask,
    AskSignal,
    AskSignalAnswer,
    BadFrameError,
    BadTokenError,
    Held,
    Stage,
    decode,
    new_id,
    token,
)

_SECRET_BYTES: Final = 16
_RESERVATION_S: Final = 60.0
_SWEEP_INTERVAL_S: Final = 0.5
_MAX_RESERVED: Final = 1_000

BotOf = Callable[[str, Mapping[str, str]], Bot]


class NotServingError(RuntimeError):
    """No new session now, for a reason that passes: HTTP 503."""


@dataclass(frozen=True, slots=True)
class _Reserved:
    """A session whose caller has not come yet."""

    session: Session
    since_s: float
    listening: Subscription
    """For other gateways that its caller may come to."""


class Sessions:
    """Owns the sessions and the tasks that close them."""

    def __init__(self, parts: GatewayParts, log: Log) -> None:
        self._parts = parts
        self._log = log
        self._open: dict[str, Session] = {}
        self._reserved: dict[str, _Reserved] = {}
        self._opening: dict[str, asyncio.Event] = {}
        self._resuming: set[str] = set()
        self._started_at: dict[str, datetime] = {}
        self._emptied = asyncio.Event()
        self.draining = False
        self.on_signal: OnSignal = nobody_signals
        """Answers what other gateways are asked about the sessions that are held here."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def reserved(self) -> int:
        return len(self._reserved)

    async def reserve(self, bot: Bot) -> Session:
        """A session that has its id and nothing else yet: its caller comes with an offer within a minute.

        The offer may come to another gateway, which asks here. Raises `NotServingError`, `LinkDownError`.
        """
        self._check_serving()
        if len(self._reserved) >= _MAX_RESERVED:
            raise NotServingError("too many callers are starting at once")
        session = self._new(bot)
        link, asks = self._parts.link, self._parts.subjects.session(session.id).ask(Ask.SIGNAL)
        listening = await link.subscribe(asks, partial(self._on_ask_for_reserved, session))
        self._reserved[session.id] = _Reserved(session, asyncio.get_running_loop().time(), listening)
        await link.barrier()
        return session

    async def _on_ask_for_reserved(self, session: Session, message: Msg) -> None:
        if session.id not in self._reserved:
            # It is being opened, and listens itself.
            return
        # A task, for what is to be answered ends this subscription, and with it its handler.
        self._parts.spawn(self._answer_for_reserved(session, message), f"signal-{session.id}")

    async def _answer_for_reserved(self, session: Session, message: Msg) -> None:
        ask = decode(AskSignal, message.data)
        answer = AskSignalAnswer()
        # Whoever asks for anything else may go on waiting: the call has not begun.
        if ask.method == Asked.OFFER and knows_secret(session.secret, ask):
            answer = await self.on_signal(session, ask)
        await self._parts.link.respond(message, answer)

    async def resume(self, public_id: str, bot_of: BotOf) -> Session | None:
        """A session whose gateway is gone, taken over and open here; None when there is none.

        `bot_of` gives a bot by its id and variables. Raises what `open_new` does: who asked may ask again then.
        """
        session_id = _session_id(public_id)
        if session_id is None:
            return None
        self._check_serving()
        if session_id in self._resuming:
            # To take it twice would take it away from oneself.
            raise NotServingError("the conversation is being taken over")
        self._resuming.add(session_id)
        try:
            return await self._resume(session_id, public_id, bot_of)
        finally:
            self._resuming.discard(session_id)

    async def _resume(self, session_id: str, public_id: str, bot_of: BotOf) -> Session | None:
        if session_id in self._open:
            # Another offer of the same page was faster.
            return await self.find(public_id)
        try:
            taken = await take_over(
                self._parts.stores, session_id, lambda found: _same(f"{session_id}.{found.secret}", public_id)
            )
        except (HeldElsewhereError, StoreUnavailableError) as error:
            raise NotServingError(f"the conversation can't be taken over yet: {error}") from error
        except (BadSnapshotError, BadFrameError) as error:
            self._log.error("snapshot or journal can't be read", session=session_id, reason=str(error))
            return None
        if taken is None:
            return None
        snapshot = taken.recovered.snapshot
        session = self._new(bot_of(snapshot.bot, snapshot.variables), session_id, snapshot.secret, taken)
        await self._open_session(session)
        self._started_at[session.id] = datetime.fromtimestamp(snapshot.started_unix_ms / 1000, UTC)
        self._log.info("session taken over", session=session.id, term=snapshot.term, turn=snapshot.turn)
        return session

    async def open_new(self, bot: Bot) -> Session:
        """A session that is open. Raises `NotServingError`, `NoCapacityError`, `LeaseRefusedError`, `LinkDownError`."""
        session = self._new(bot)
        await self._open_session(session)
        return session

    async def find(self, public_id: str) -> Session | None:
        """The session of a public id, opened now if it was reserved; None when there is none."""
        session_id = _session_id(public_id)
        if session_id is None:
            return None
        if session_id in self._opening:
            await self._opening[session_id].wait()
        reserved = self._reserved.get(session_id)
        session = self._open.get(session_id) or (reserved.session if reserved is not None else None)
        if session is None or not _same(session.public_id, public_id):
            return None
        if reserved is not None:
            del self._reserved[session_id]
            try:
                await self._open_session(session)
            except BaseException:
                # The client tries again after a 503, with the same id, and has a minute for it again.
                self._reserved[session_id] = replace(reserved, since_s=asyncio.get_running_loop().time())
                raise
            # From now on the session listens itself.
            await self._parts.link.unsubscribe(reserved.listening)
        return session

    def going_on(self, public_id: str) -> tuple[Session, datetime] | None:
        """The session of a public id and when it was opened; None when there is none, or none that is open already."""
        session = self._open.get(_session_id(public_id) or "")
        if session is None or not _same(session.public_id, public_id):
            return None
        started_at = self._started_at.get(session.id)
        return None if started_at is None else (session, started_at)

    async def has_capacity(self, bot: Bot) -> None:
        """Raise `NotServingError` in words when a call to `bot` would be refused now."""
        self._check_serving()
        for stage in STAGES:
            providers = bot.providers(stage)
            if await self._parts.broker.has_room(stage, providers) is None:
                raise NotServingError(no_capacity(stage, self._parts.broker.problem(stage, providers)))

    # --- What the keeper of the leases says

    def on_lease_lost(self, lease: HeldLease, since_s: float) -> None:
        """A worker is gone or forgot the session."""
        if (session := self._open.get(lease.session)) is not None:
            session.leases.on_lost(lease, since_s)

    def on_frames_lost(self, lease: HeldLease, since_s: float) -> None:
        """Frames to or from a worker may be missing."""
        if (session := self._open.get(lease.session)) is not None:
            session.leases.on_frames_lost(lease, since_s)

    def on_worker_leaves(self, lease: HeldLease) -> None:
        """A worker drains."""
        if (session := self._open.get(lease.session)) is not None:
            session.leases.on_worker_leaves(lease)

    def on_progress(self, lease: HeldLease, held: Held) -> None:
        """How far a worker is."""
        if (session := self._open.get(lease.session)) is not None:
            session.on_progress(lease, held)

    def on_failed(self, lease: HeldLease) -> None:
        """A session could not cope with what it was told: it ends, and its caller may call again."""
        if (session := self._open.get(lease.session)) is not None:
            self._end(session, "failed", "Something went wrong here. Please call again.")

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            now = loop.time()
            grace_s = self._parts.settings.reconnect_grace_s
            for session in list(self._open.values()):
                session.look(now)
                if session.lost_at is not None and now - session.lost_at > grace_s:
                    self._end(session, "connection_lost")
            for reserved in list(self._reserved.values()):
                if now - reserved.since_s > _RESERVATION_S:
                    del self._reserved[reserved.session.id]
                    await self._parts.link.unsubscribe(reserved.listening)

    async def move_all(self, within_s: float) -> None:
        """Have the callers go to another gateway: each when nobody speaks, or when the time is over."""
        await asyncio.gather(*(self._move(session, within_s) for session in list(self._open.values())))

    async def _move(self, session: Session, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await session.until_idle()
        session.ask_to_move()

    async def wait_until_empty(self, timeout_s: float) -> None:
        """Return when the last conversation is over, or the time is."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            self._log.warning("conversations still going on at the end of the drain", sessions=len(self._open))

    async def close_all(self, reason: str, words: str) -> None:
        """End every conversation."""
        await asyncio.gather(*(self._close(session, reason, words) for session in list(self._open.values())))

    def check_leaving(self) -> None:
        """Raise `NotServingError` when callers are to go to another gateway."""
        if self.draining:
            raise NotServingError("this gateway is leaving")

    def _check_serving(self) -> None:
        self.check_leaving()
        if not self._parts.link.up:
            raise NotServingError("NATS is not connected")
        if len(self._open) >= self._parts.settings.max_sessions:
            raise NotServingError(f"{len(self._open)} conversations are going on, more do not fit")

    def _new(
        self, bot: Bot, session_id: str | None = None, secret: str | None = None, taken: TakenOver | None = None
    ) -> Session:
        self._check_serving()
        session = Session(
            session_id or new_id(), secret or secrets.token_hex(_SECRET_BYTES), bot, self._parts, self._log, taken
        )
        session.over = lambda: self._end(session, "client_left")
        session.on_signal = self.on_signal
        return session

    async def _open_session(self, session: Session) -> None:
        self._check_serving()
        opened = self._opening[session.id] = asyncio.Event()
        self._open[session.id] = session
        try:
            await session.open()
        except BaseException:
            del self._open[session.id]
            raise
        finally:
            del self._opening[session.id]
            opened.set()
        self._started_at[session.id] = datetime.now(UTC)

    def _end(self, session: Session, reason: str, words: str | None = None) -> None:
        if self._open.get(session.id) is session:
            self._parts.spawn(self._close(session, reason, words), f"close-{session.id}")

    async def _close(self, session: Session, reason: str, words: str | None) -> None:
        self._open.pop(session.id, None)
        self._started_at.pop(session.id, None)
        await session.close(reason, words)
        if not self._open:
            self._emptied.set()


def _session_id(public_id: str) -> str | None:
    """The part of a public id that names the session; None where it can't be one."""
    session_id = public_id.partition(".")[0]
    try:
        return token(session_id)
    except BadTokenError:
        return None


def _same(public_id: str, given: str) -> bool:
    """Takes the same time wherever they differ: the ids hold a secret."""
    # JSON can carry halves of surrogate pairs: they are wrong, but no reason to fail.
    return hmac.compare_digest(public_id.encode(), given.encode(errors="surrogatepass"))


def no_capacity(stage: Stage, problem: str | None) -> str:
    """Words for a caller when a stage is full, or has a `problem` that keeps it from serving."""
    if problem is not None:
        return problem
    names = {
        Stage.STAGE_VAD: "speech detection",
        Stage.STAGE_STT: "speech recognition",
        Stage.STAGE_LLM: "the language model",
        Stage.STAGE_TTS: "the voice",
    }
    return f"All lines are busy: no room for {names[stage]} right now. Please try again in a moment."
