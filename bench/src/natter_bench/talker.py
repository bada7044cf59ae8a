"""A caller who asks the same short question again and again, as fast as the bot answers."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import httpx

from natter_bench.caller import Caller
from natter_bench.errors import CallError
from natter_bench.speech import EncodedSpeech

ANSWERED_WITHIN_S: Final = 10.0
_SPOKEN_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Talk:
    """How to talk.

    Attributes:
        bot: whom to call.
        speech: the question.
        session_turns: after so many turns the caller hangs up and calls again; 0: one session for all.
        reconnect_every: after so many turns the peer connection is replaced inside the session; 0: never.
        typed_every: each so manyth question is typed; 0: none.
    """

    bot: str
    speech: EncodedSpeech
    session_turns: int = 0
    reconnect_every: int = 0
    typed_every: int = 0
    typed: str = "Yes please."


class Talker:
    """`async for _ in talker.turns(n)`: n turns, the next one when the one before is over and the loop comes back."""

    def __init__(self, url: str, talk: Talk, http: httpx.AsyncClient) -> None:
        self.asked = 0
        self.missed = 0
        """Questions that nothing audible answered."""
        self.sessions = 0
        self.reconnects = 0
        self.errors: list[str] = []
        """What the bot said of trouble."""
        self._url = url
        self._talk = talk
        self._http = http

    async def turns(self, count: int) -> AsyncGenerator[int]:
        """Yields how many turns were asked, between the turns. Raises CallError."""
        end = self.asked + count
        while self.asked < end:
            until = min(end, self.asked + self._talk.session_turns) if self._talk.session_turns else end
            async with aclosing(self._session(until)) as session:
                async for asked in session:
                    yield asked

    async def _session(self, until: int) -> AsyncGenerator[int]:
        async with Caller.connect(self._url, bot=self._talk.bot, http=self._http) as caller:
            self.sessions += 1
            first = self.asked
            while self.asked < until:
                if self.asked > first and _due(self.asked - first, self._talk.reconnect_every):
                    await caller.reconnect()
                    self.reconnects += 1
                await self._ask(caller)
                yield self.asked

    async def _ask(self, caller: Caller) -> None:
        self.asked += 1
        # The caller's notes would grow with the call, and looking through them with them.
        caller.recording.clear()
        if _due(self.asked, self._talk.typed_every):
            caller.send_text(self._talk.typed)
        else:
            await caller.say(self._talk.speech)
        said_s = time.monotonic()
        if await caller.wait_for_voice(after_s=said_s, within_s=ANSWERED_WITHIN_S):
            await caller.wait_for("bot-stopped-speaking", after_s=said_s, within_s=_SPOKEN_WITHIN_S)
        else:
            self.missed += 1
        self.errors += [str(message.data) for message in caller.recording.of_type("error")]
        if caller.connection_state == "closed":
            raise CallError(f"the call ended after {self.asked} turns")


def _due(turns: int, every: int) -> bool:
    return every > 0 and turns % every == 0
