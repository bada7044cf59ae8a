"""A language model that says what stands in the script, word by word."""

import asyncio
from typing import Final

from natter_common.worker import Input, Outlet, Reached, StageDefinition, StageSession
from natter_proto import EndReason, Header, Lease, Reply, ReplyKind, Stage, State, Turn, Usage
from natter_testing.emulated.script import Pace, reply

_MOST_WAITING: Final = 8


class LlmSession(StageSession):
    """One session's generations, one after the other; one whose attempt dies ends at once."""

    def __init__(self, _lease: Lease, outlet: Outlet, pace: Pace) -> None:
        self._outlet = outlet
        self._pace = pace
        # Over the bound the oldest goes: it is the one that was interrupted first.
        self._turns: asyncio.Queue[Turn] = asyncio.Queue(_MOST_WAITING)
        self._living: set[tuple[int, int]] = set()
        self._reached = Reached()

    async def on_state(self, state: State) -> None:
        self._living = {(attempt.turn, attempt.attempt) for attempt in state.attempts}

    async def on_turn(self, turn: Turn) -> None:
        if self._turns.full():
            self._turns.get_nowait()
        self._turns.put_nowait(turn)

    async def run(self) -> None:
        while True:
            await self._generate(await self._turns.get())

    def reached(self) -> Reached:
        return self._reached

    async def _generate(self, turn: Turn) -> None:
        key = (turn.header.turn, turn.header.attempt)
        sentences = reply(turn.header.turn, self._pace.sentences)
        await asyncio.sleep(self._pace.first_token_ms / 1000)
        words = 0
        for number, sentence in enumerate(sentences, start=1):
            if number <= len(turn.reply_so_far):
                continue
            for word in sentence.split():
                if key not in self._living:
                    return
                words += 1
                delta = Reply(header=_header(turn), kind=ReplyKind.REPLY_KIND_DELTA, text=f"{word} ", provider="local")
                delta.took_ms = self._pace.first_token_ms if words == 1 else 0
                await self._outlet.reply(delta)
                await asyncio.sleep(1 / self._pace.words_per_s)
            kind = ReplyKind.REPLY_KIND_SEGMENT
            await self._outlet.reply(Reply(header=_header(turn, number), kind=kind, text=sentence, spoken=sentence))
            self._reached = Reached(turn=key[0], attempt=key[1], segment=number)
        await self._outlet.reply(
            Reply(
                header=_header(turn),
                kind=ReplyKind.REPLY_KIND_END,
                reason=EndReason.END_REASON_STOP,
                usage=Usage(completion_tokens=words, estimated=True),
                segments=len(sentences),
            )
        )


def definition(pace: Pace) -> StageDefinition:
    def open_session(lease: Lease, outlet: Outlet) -> LlmSession:
        return LlmSession(lease, outlet, pace)

    return StageDefinition(Stage.STAGE_LLM, Input.CONTROLS, {"local": "emulated language model"}, open_session)


def _header(turn: Turn, segment: int = 0) -> Header:
    of = turn.header
    return Header(turn=of.turn, attempt=of.attempt, segment=segment, traceparent=of.traceparent)
