"""One caller's conversation: its leases, its subscriptions, its peer connection and its conductor.

It outlives a peer connection: the client may come back with a new one within the grace time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg

from natter_common.link import NatsLink, Subscription
from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_common.trace import Trace
from natter_gateway.attendance import Close
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.attendant import Attendant
from natter_gateway.conductor.conductor import Conductor
from natter_gateway.conductor.frames import FrameWriter
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.resumption import go_on
from natter_gateway.conductor.stage_frames import StageFrames
from natter_gateway.conductor.turn_settings import turn_settings
from natter_gateway.elsewhere import knows_secret
from natter_gateway.journal.keeping import Keeping, Standing, Stores
from natter_gateway.journal.takeover import TakenOver
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import LeaseBroker
from natter_gateway.leases.keeper import LeaseKeeper
from natter_gateway.leases.session_leases import SessionLeases
from natter_gateway.line import Line, OnChannel, OnState
from natter_gateway.llm_orders import LlmOrders
from natter_gateway.media.playout import PoppedFrame
from natter_gateway.media.receive import MicFrame, MicReceiver
from natter_gateway.media.sdp import OfferError
from natter_gateway.microphone import MicSender
from natter_gateway.outbox import Outbox, OutboxFullError
from natter_gateway.page_desk import PageDesk
from natter_gateway.peer import Peer
from natter_gateway.rtvi import outgoing
from natter_gateway.settings import GatewaySettings
from natter_proto import (
    MAX_REPLAY_BYTES,
    MIC_RATE_HZ,
    Ask,
    AskMic,
    AskMicAnswer,
    AskSignal,
    AskSignalAnswer,
    Held,
    RealmSubjects,
    Stage,
    decode,
    last_token,
)

_FIRST_TERM: Final = 1
_SKIPPED_SAMPLES: Final = 60 * MIC_RATE_HZ
"""Numbers that the gateway before may have given to samples since its last snapshot: nobody may mistake them."""
_REPLAY_LIMIT_SAMPLES: Final = 9 * MIC_RATE_HZ
_UNDER_WAY_S: Final = 0.3
"""A sound that began so long before may not have been told of."""


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What all sessions of a gateway share."""

    gateway: str
    version: str
    settings: GatewaySettings
    link: NatsLink
    subjects: RealmSubjects
    outbox: Outbox
    broker: LeaseBroker
    keeper: LeaseKeeper
    stores: Stores
    metrics: Metrics
    spawn: Callable[[Coroutine[None, None, None], str], None]
    """Starts a named task of a session's, owned by the gateway; what it raises is logged and ends no other."""


OnSignal = Callable[["Session", AskSignal], Awaitable[AskSignalAnswer]]


async def nobody_signals(_session: "Session", _ask: AskSignal) -> AskSignalAnswer:
    return AskSignalAnswer()


class Session:
    """Made when a caller starts; `open` takes the leases, `close` gives everything back."""

    def __init__(
        self,
        session_id: str,
        secret: str,
        bot: Bot,
        parts: GatewayParts,
        log: Log,
        taken: TakenOver | None = None,
    ) -> None:
        """`taken`: what another gateway left of it; None for a new session."""
        self.id: Final = session_id
        self.secret: Final = secret
        self.bot: Final = bot
        self.over: Callable[[], None] = lambda: None
        """Called once when the session should be closed, by whoever keeps it."""
        self.on_signal: OnSignal = nobody_signals
        """Answers what another gateway was asked about the session."""
        trace = Trace.start()
        before = None if taken is None else taken.recovered.snapshot
        term = _FIRST_TERM if before is None else before.term
        first_sample = 0 if before is None else before.mic_sample + _SKIPPED_SAMPLES
        self._log = log.bind(session=session_id, trace_id=trace.trace_id)
        self._parts = parts
        self._subjects = parts.subjects.session(session_id)
        self._subscriptions: list[Subscription] = []
        self._line = Line(
            self._new_peer,
            on_changed=self._line_changed,
            spawn=parts.spawn,
            metrics=parts.metrics,
            log=self._log,
            resumed=taken is not None,
        )
        self._receiver = MicReceiver(first_sample)
        self._mic = MicSender(session_id, term, parts.gateway, self._receiver.next_sample)
        self._recovered = None if taken is None else taken.recovered
        self._superseded = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._page = Page(self._line.tell)
        frames = FrameWriter(session_id, term, self._subjects, parts.outbox, parts.gateway, trace)
        self.conductor: Final = Conductor(bot, frames, self._page, self._mic.clock, parts.metrics, self._log, before)
        self.leases: Final = SessionLeases(
            session_id,
            term,
            parts.subjects.realm,
            bot,
            self.conductor.stages,
            parts.broker,
            parts.keeper,
            self._log,
            spawn=parts.spawn,
            from_sample=self._replay_from,
            gone=self._stage_gone,
        )
        worker = LlmOrders(session_id, term, self.conductor, parts.broker, parts.spawn, self._log)
        self._attendant = Attendant(bot, say=self.conductor.say, close=self._close_by_itself)
        self._desk = PageDesk(
            self.conductor,
            self._attendant,
            self._line,
            parts.version,
            parts.metrics,
            self._log,
            greeted=taken is not None,
            next_sample=lambda: self._mic.next_sample,
            over=self._page_ends,
        )
        self.conductor.on_settled = self._on_settled
        self.conductor.on_caller_active = self._attendant.caller_active
        self.conductor.stages.on_trouble = self.leases.on_trouble
        self.conductor.stages.on_stuck = self.leases.on_stuck
        self.conductor.stages.on_lacking = self.leases.on_lacking
        self.conductor.on_idle = self._on_idle
        self.conductor.tools.orders = worker
        self._worker = worker
        self.keeping: Final = Keeping(
            session_id,
            secret,
            bot,
            turn_settings(bot),
            parts.stores,
            parts.metrics,
            self._log,
            standing=self._standing,
            mic_sample=lambda: self._mic.next_sample,
            turn=self.conductor.turn,
            taken=None if taken is None else taken.stored,
        )
        self.keeping.on_superseded = self._on_superseded
        self.conductor.on_step = self.keeping.journal.note_step
        self.conductor.on_note = self.keeping.journal.note
        self.conductor.on_turn_border = self.keeping.turn_border

    def _standing(self) -> Standing:
        conductor = self.conductor
        # Until the caller is here again nobody has taken up what was said before.
        words = conductor.unfinished if self._recovered is None else self._recovered.snapshot.words
        state, next_segment_id = conductor.context.state, conductor.next_segment_id
        return Standing(conductor.turn, state, next_segment_id, self._mic.next_sample, words)

    def _on_superseded(self) -> None:
        """Another gateway has the session: this one lets go of it."""
        self._superseded = True
        self.over()

    def _close_by_itself(self, close: Close) -> None:
        self._log.info("the bot ends the call", why=close.reason.value)
        self._page.error(close.words, fatal=True)
        self.over()

    def _page_ends(self) -> None:
        self.over()

    def _on_settled(self, idle: bool) -> None:
        self._attendant.settled(idle=idle)
        if idle:
            self._idle.set()
        else:
            self._idle.clear()

    async def until_idle(self) -> None:
        """Return when nobody speaks and nothing is being answered."""
        await self._idle.wait()

    def _on_idle(self) -> None:
        self.leases.on_idle()
        self._worker.sum_up()

    @property
    def public_id(self) -> str:
        """The id in URLs and `pc_id`: whoever knows it may come back to the session."""
        return f"{self.id}.{self.secret}"

    @property
    def lost_at(self) -> float | None:
        """Since when there is no connection to the caller (loop time)."""
        return self._line.lost_at

    def look(self, now_s: float) -> None:
        """To be called twice a second (loop time): is the caller still to be heard?"""
        self._attendant.line_heard(self._line.is_heard(now_s))

    # --- Life

    async def open(self) -> None:
        """Listen and lease the four stages, all or none.

        Raises `NoCapacityError`, `LeaseRefusedError` or `LinkDownError`; nothing is held then.
        """
        link = self._parts.link
        self.keeping.journal.begin()
        try:
            frames = StageFrames(self.conductor, self._parts.metrics)
            self._subscriptions.append(await link.subscribe(self._subjects.reports, frames.on_report))
            self._subscriptions.append(await link.subscribe(self._subjects.voice, frames.on_voice))
            self._subscriptions.append(await link.subscribe(self._subjects.asks, self._on_ask))
            await link.barrier()
            await self.leases.take_all()
        except BaseException:
            await self._give_back()
            raise
        self._line.lost_at = asyncio.get_running_loop().time()
        self.keeping.open(self._parts.spawn)
        self._log.info("session open", bot=self.bot.id)

    async def close(self, reason: str, words: str | None = None) -> None:
        """End the conversation and give everything back; `words` are told to the caller. May be called again."""
        if self._closed:
            return
        self._closed = True
        if words is not None:
            self._page.error(words, fatal=True)
        self._attendant.end()
        try:
            self.conductor.end()
        except OutboxFullError as error:
            # The stages learn of it by the leases that are given back.
            self._log.error("the stages were not told of the end", reason=str(error))
        self.keeping.close(reason)
        await self.leases.close()
        await self._give_back()
        # Whose session it is now has a connection of its own, and says goodbye when it is time.
        await self._line.close(say=not self._superseded)
        playout = self.conductor.playout.counters
        received = self._receiver.counters
        self._log.info(
            "session over",
            reason=reason,
            turns=self.conductor.turn,
            mic_lost=received.lost,
            mic_late=received.late,
            voice_holes=playout.holes,
            voice_hole_ms=playout.hole_ms,
        )

    async def _give_back(self) -> None:
        await self.leases.give_back_all()
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await self._parts.link.unsubscribe(subscription)

    # --- Leases

    def on_progress(self, lease: HeldLease, held: Held) -> None:
        """How far a worker is."""
        self.conductor.stages.on_progress(lease, held, self._mic.next_sample)

    def _replay_from(self, stage: Stage, since_s: float) -> int:
        """Where a new worker begins to read: the caller's turn, if one is open, as far as it may be asked for."""
        next_sample = self._mic.next_sample
        unheard_s = asyncio.get_running_loop().time() - since_s + _UNDER_WAY_S
        unheard_from = next_sample - int(unheard_s * MIC_RATE_HZ)
        oldest = max(next_sample - _REPLAY_LIMIT_SAMPLES, 0)
        return self.conductor.stages.replay_from_sample(stage, unheard_from, oldest)

    def _stage_gone(self, words: str) -> None:
        self._page.error(words, fatal=True)
        self.over()

    # --- What others ask

    async def _on_ask(self, message: Msg) -> None:
        match last_token(message.subject):
            case Ask.MIC:
                await self._replay(message)
            case Ask.SIGNAL:
                # It takes its time, and a worker may ask for the microphone meanwhile.
                self._parts.spawn(self._signal(message), f"signal-{self.id}")
            case unknown:
                self._parts.metrics.drop(unknown, "unknown_ask")

    async def _signal(self, message: Msg) -> None:
        ask = decode(AskSignal, message.data)
        known = knows_secret(self.secret, ask)
        await self._parts.link.respond(message, await self.on_signal(self, ask) if known else AskSignalAnswer())

    async def _replay(self, message: Msg) -> None:
        ask = decode(AskMic, message.data)
        answer = AskMicAnswer(audio=self._mic.replay(ask.from_sample, ask.to_sample), next_sample=self._mic.next_sample)
        await self._parts.link.respond(message, answer, MAX_REPLAY_BYTES)

    # --- The caller

    async def connect(self, offer_sdp: str, *, new_client: bool) -> str:
        """Answer an offer with a new peer connection; the one before is closed once this one is connected.

        `new_client`: whoever offers was not told of the conversation so far.
        """

        async def answer(peer: Peer) -> str:
            return await peer.answer(
                offer_sdp, self._receiver, self._on_mic_frame, self.conductor.playout, self._on_voice_frame
            )

        try:
            return await self._line.connect(answer, new_client=new_client)
        except OfferError:
            if not self._line.began:
                # The client takes a 4xx for final: it will not come back to what was leased for it.
                self.over()
            raise

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_mline_index: int | None) -> None:
        await self._line.add_candidate(candidate, sdp_mid, sdp_mline_index)

    def _new_peer(self, on_state: OnState, on_channel: OnChannel) -> Peer:
        return Peer(
            self._parts.settings.ice_servers,
            on_state=on_state,
            on_message=self._on_message,
            on_channel=on_channel,
            log=self._log,
        )

    def _line_changed(self) -> None:
        self._mic.clock.restart()
        self.conductor.reconnected()
        if self._recovered is not None:
            self._attendant.begin()
            go_on(self._recovered, self.conductor, self._page)
            self._recovered = None

    def ask_to_move(self) -> None:
        """This gateway leaves: the page is asked to connect again, and gets to another one."""
        self._line.send(outgoing.renegotiate())

    def _on_mic_frame(self, frame: MicFrame) -> None:
        payload = self._mic.payload(frame, muted=self._desk.muted)
        self._parts.outbox.put_audio(self._subjects.mic, payload)
        if not self._desk.muted and self.conductor.hears_echo(frame.arrival_ms):
            self.conductor.on_mic(frame.pcm, self._mic.next_sample, frame.arrival_ms)

    def _on_voice_frame(self, frame: PoppedFrame, at_s: float) -> None:
        try:
            self.conductor.on_frame(frame, at_s)
        except Exception:  # noqa: BLE001 - logged whole
            # aiortc's sender would end here without a word, and the caller would hear silence for good.
            self._log.exception("conductor failed")
            self._page.error("Something went wrong here. Please call again.", fatal=True)
            self.over()

    def _on_message(self, text: str | bytes) -> None:
        self._desk.on_message(text, asyncio.get_running_loop().time())
