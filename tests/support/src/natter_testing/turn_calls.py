"""Calls in which taking turns matters: bots on emulated vendors, what their models were asked, what was heard."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx

from natter_bench.caller import Caller
from natter_bench.measure import AUDIBLE_DBFS
from natter_bench.signalling import http_client
from natter_bench.words import normalise
from natter_emulators.emulators import Emulators
from natter_emulators.script import Delays, Messages, Reply, Script
from natter_local.system import LocalSystem
from natter_testing.eventually import eventually
from natter_testing.provider_calls import Case, provider_system
from natter_testing.tool_calls import WITHIN_S, ToolTalk

MISHEARD: Final = "nova-2"
"""Each of this recognizer's interims has another last word than its final."""
_VOICE: Final = "brisk"
_WORDS_PER_S: Final = 4.5
_DELAYS: Final = Delays(final_ms=150, tokens_per_s=40.0)
"""A reply is prepared before finals come, on a busy machine too; after 300 ms the interim would count as one. And a
reply that nobody wants any more is not whole yet."""
_ONE_OF_EACH: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(("gateway", "vad", "stt", "llm", "tts"), 1))

Asked = list[tuple[str, list[str]]]
"""A request's messages but for the prompt: role and words, in lower case without punctuation."""


@dataclass(frozen=True, slots=True)
class TurnBot:
    """A bot whose model has its name."""

    name: str
    replies: Callable[[Messages], Reply]
    turn: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Its section of that name."""
    stt_model: str = "nova-3"

    @property
    def case(self) -> Case:
        """Its file."""
        stages = {
            "stt": {"provider": "deepgram", "model": self.stt_model},
            "llm": {"provider": "openai", "model": self.name},
            "tts": {"provider": "elevenlabs", "voice": _VOICE},
        }
        return Case(self.name, stages, extra={"turn": self.turn})


@dataclass(frozen=True, slots=True)
class TurnWorld:
    """Natter with its bots, and the emulated vendors."""

    emulators: Emulators
    system: LocalSystem
    http: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, bots: Sequence[TurnBot]) -> AsyncGenerator[TurnWorld]:
        """One of each service."""
        async with AsyncExitStack() as stack:
            emulators = await stack.enter_async_context(Emulators(delays=_DELAYS))
            emulators.elevenlabs.script(_VOICE, Script(words_per_s=_WORDS_PER_S))
            emulators.deepgram.script(MISHEARD, Script(finals_differ_every=1))
            for bot in bots:
                emulators.openai.script(bot.name, Script(replies=bot.replies))
            cases = [bot.case for bot in bots]
            system = await stack.enter_async_context(provider_system(folder, emulators, cases, {}, _ONE_OF_EACH))
            yield cls(emulators, system, await stack.enter_async_context(http_client()))

    @asynccontextmanager
    async def call(self, bot: str) -> AsyncGenerator[ToolTalk]:
        """A conversation with a bot."""
        async with Caller.connect(self.system.url, bot=bot, http=self.http) as caller:
            yield ToolTalk(caller, self.http, self.system.url)

    async def asked(self, bot: str, at_least: int = 0) -> list[Asked]:
        """Each request that the bot's model got, once there are so many."""

        async def requests() -> list[Asked]:
            bodies = [one.json() for one in self.emulators.openai.requests if one.method == "POST"]
            return [_words_of(body["messages"]) for body in bodies if body["model"] == bot]

        return await eventually(requests, lambda seen: len(seen) >= at_least, WITHIN_S)


def silences_s(talk: ToolTalk, after_s: float) -> list[float]:
    """How long nothing was to be heard between two sounds of the bot."""
    loud_s = [one.time_s for one in talk.caller.recording.frames() if one.dbfs > AUDIBLE_DBFS and one.time_s > after_s]
    return [after - before for before, after in pairwise(loud_s)]


def _words_of(messages: Messages) -> Asked:
    return [(str(one["role"]), normalise(str(one["content"]))) for one in messages if one["role"] != "system"]
