"""Feeds one `StageSession` with its session's frames, for as long as its lease lives."""

from __future__ import annotations

import asyncio
from typing import Final

from nats.aio.msg import Msg

from natter_common.attempts import AttemptGate
from natter_common.link import NatsLink, Subscription
from natter_common.mic import MicInlet
from natter_common.worker.definition import Input
from natter_common.worker.outlet import Outlet
from natter_common.worker.session import StageSession
from natter_proto import (
    Control,
    Fault,
    Finalize,
    Header,
    Lease,
    Playout,
    Reply,
    Report,
    SessionSubjects,
    Stage,
    State,
    Turn,
    decode,
    decode_mic,
    last_token,
)


class SessionRunner:
    """Subscriptions of one lease and the order in which its frames reach the session object."""

    def __init__(
        self,
        link: NatsLink,
        subjects: SessionSubjects,
        lease: Lease,
        inputs: Input,
        session: StageSession,
        outlet: Outlet,
    ) -> None:
        self.session: Final = session
        self._link = link
        self._subjects = subjects
        self._lease = lease
        self._inputs = inputs
        self._outlet = outlet
        self._subscriptions: list[Subscription] = []
        self._gate: AttemptGate[Reply] = AttemptGate(lambda reason: outlet.metrics.drop("reply", reason))
        self._model_epoch = 0
        """Of the llm lease that the newest state names; 0: nobody serves."""
        self._conductor = ""
        """Who sent that state."""
        self._term = lease.term
        self._finalized = 0
        """The newest request; a repeated one is not answered twice."""
        self._mic = MicInlet(lease.from_sample, outlet.ask_mic, session.on_mic)

    async def listen(self) -> None:
        """Subscribe to all that the stage wants; frames sent after this are not missed."""
        if Input.CONTROLS in self._inputs:
            self._subscriptions.append(await self._link.subscribe(self._subjects.controls, self._on_control))
        if Input.REPLIES in self._inputs:
            subject = self._subjects.report(Report.REPLY)
            self._subscriptions.append(await self._link.subscribe(subject, self._on_reply))
        if Input.MIC in self._inputs:
            self._subscriptions.append(await self._link.subscribe(self._subjects.mic, self._on_mic))
        await self._link.barrier()

    async def run(self, stage: Stage) -> None:
        """Run the session's own work until cancelled; say a fault when it breaks."""
        try:
            try:
                await self.session.run()
            finally:
                await self.close()
        except Exception as error:
            # One session's failure, whatever it is, must not end the worker's other sessions: told and logged whole.
            self._outlet.log.exception("session failed")
            await self._outlet.fault(
                Fault(
                    code="internal",
                    stage=stage,
                    provider=self._lease.provider,
                    retryable=True,
                    words=f"{type(error).__name__} in {self._lease.provider}",
                )
            )

    async def close(self) -> None:
        """Stop listening, and free what the session holds: the end of `run`, or of a lease that did not come to it."""
        try:
            for subscription in self._subscriptions:
                await self._link.unsubscribe(subscription)
        finally:
            await self.session.close()

    def _stale(self, header: Header) -> bool:
        if header.term < self._lease.term:
            self._outlet.metrics.drop("control", "old_term")
            return True
        return False

    def _of_another_model(self, header: Header) -> bool:
        """Whether text comes from nobody who serves the session (any more). The conductor itself has no epoch."""
        if header.producer == self._conductor:
            return False
        if self._model_epoch and (header.term, header.epoch) == (self._term, self._model_epoch):
            return False
        self._outlet.metrics.drop("reply", "old_epoch")
        return True

    async def _on_mic(self, message: Msg) -> None:
        await self._mic.feed(decode_mic(message.data))

    async def _on_control(self, message: Msg) -> None:
        match last_token(message.subject):
            case Control.STATE:
                await self._on_state(decode(State, message.data))
            case Control.TURN:
                turn = decode(Turn, message.data)
                if not self._stale(turn.header):
                    await self.session.on_turn(turn)
            case Control.FINALIZE:
                finalize = decode(Finalize, message.data)
                if not self._stale(finalize.header) and finalize.finalize_id > self._finalized:
                    self._finalized = finalize.finalize_id
                    await self.session.on_finalize(finalize)
            case Control.PLAYOUT:
                playout = decode(Playout, message.data)
                if not self._stale(playout.header):
                    await self.session.on_playout(playout)
            case unknown:
                self._outlet.metrics.drop(unknown, "unknown_control")

    async def _on_state(self, state: State) -> None:
        if self._stale(state.header) or not self._gate.is_news(state):
            return
        self._conductor, self._term = state.header.producer, state.header.term
        self._model_epoch = next((one.epoch for one in state.leases if one.stage == Stage.STAGE_LLM), 0)
        free = self._gate.on_state(state, asyncio.get_running_loop().time())
        await self.session.on_state(state)
        for reply in free:
            await self._act_on(reply)

    async def _on_reply(self, message: Msg) -> None:
        reply = decode(Reply, message.data)
        if self._stale(reply.header):
            return
        key = (reply.header.turn, reply.header.attempt)
        if self._gate.admit(key, reply, asyncio.get_running_loop().time()):
            await self._act_on(reply)

    async def _act_on(self, reply: Reply) -> None:
        if not self._of_another_model(reply.header):
            await self.session.on_reply(reply)
