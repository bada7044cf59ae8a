"""Calls to bots with tools: spoken questions, a scripted model that calls the tools, and what the caller heard."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from natter_bench.caller import Caller
from natter_bench.recording import VOICE_HZ, Message
from natter_bench.signalling import http_client
from natter_bench.words import normalise
from natter_emulators.emulators import Emulators
from natter_emulators.marks import caller_speech, count_words, hear, heard_text
from natter_emulators.script import Fault, Messages, Reply, Script, ToolCall
from natter_local.system import GATEWAY, LocalOptions, LocalSystem
from natter_testing.eventually import eventually
from natter_testing.webhooks import SECRET, SECRET_VARIABLE, Webhooks

WITHIN_S: Final = 20.0
_VOICE: Final = "brisk"
_WORDS_PER_S: Final = 4.5
_FINAL_GRACE_MS: Final = 2_000
"""Calls that run all at once may get their finals late; that the last interim counts then is another test's."""


@dataclass(frozen=True, slots=True)
class ToolBot:
    """A bot whose model follows a script. Its name is that of its model too."""

    name: str
    model: Callable[[Messages], Reply]
    tools: Sequence[Mapping[str, Any]]
    slow_ms: int = 0
    """How long its model takes to begin, each time."""
    stt: str = "deepgram"

    @property
    def document(self) -> str:
        """Its file. JSON is YAML."""
        fields: dict[str, Any] = {
            "name": self.name,
            "prompt": "You are a script.",
            "stt": {"provider": self.stt},
            "llm": {"provider": "openai", "model": self.name},
            "tts": {"provider": "elevenlabs", "voice": _VOICE},
            "turn": {"final_grace_ms": _FINAL_GRACE_MS},
            "tools": [{"description": "Helps.", **tool} for tool in self.tools],
        }
        return json.dumps(fields)

    @property
    def script(self) -> Script:
        fault = Fault.SLOW if self.slow_ms else Fault.NONE
        return Script(fault=fault, slow_ms=self.slow_ms, replies=self.model)


@dataclass(slots=True)
class ToolWorld:
    """Natter, the emulated vendors, and a web server with webhooks."""

    folder: Path
    emulators: Emulators
    webhooks: Webhooks
    http: httpx.AsyncClient
    stack: AsyncExitStack
    _system: LocalSystem | None = None
    _bots: list[ToolBot] = field(default_factory=list[ToolBot])

    @property
    def system(self) -> LocalSystem:
        assert self._system is not None, "start() comes first"
        return self._system

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncGenerator[ToolWorld]:
        """The servers; Natter is started by `start`, when the bots are known."""
        async with AsyncExitStack() as stack:
            emulators = await stack.enter_async_context(Emulators())
            emulators.elevenlabs.script(_VOICE, Script(words_per_s=_WORDS_PER_S))
            webhooks = await stack.enter_async_context(Webhooks.serve())
            http = await stack.enter_async_context(http_client())
            yield cls(folder, emulators, webhooks, http, stack)

    def add(self, bot: ToolBot) -> None:
        """A bot that can be called once Natter is up."""
        self.emulators.openai.script(bot.name, bot.script)
        self._bots.append(bot)

    async def start(self, env: Mapping[str, str]) -> None:
        """One of each service."""
        bots = self.folder / "bots"
        await asyncio.to_thread(_write, bots, self._bots)
        options = LocalOptions(
            services=dict.fromkeys((GATEWAY, "vad", "stt", "llm", "tts"), 1),
            env={
                "NATTER_BOTS_DIR": str(bots),
                "NATTER_WEB_DIR": str(self.folder / "no-page"),
                "NATTER_HTTP_HOST": "127.0.0.1",
                "NATTER_DRAIN_S": "0",
                # The built-in recognition, which is not used here, would have room for a few only.
                "NATTER_CAPACITY": "20",
                SECRET_VARIABLE: SECRET,
                **self.emulators.environment(),
                **env,
            },
            keep_up=False,
            ready_timeout_s=60.0,
        )
        self._system = await self.stack.enter_async_context(LocalSystem(self.folder, options))

    @asynccontextmanager
    async def call(self, bot: str) -> AsyncGenerator[ToolTalk]:
        """A conversation with a bot."""
        async with Caller.connect(self.system.url, bot=bot, http=self.http) as caller:
            yield ToolTalk(caller, self.http, self.system.url)

    def requests(self, bot: str) -> list[list[dict[str, Any]]]:
        """What a bot's model was asked: the messages of each request."""
        bodies = [one.json() for one in self.emulators.openai.requests if one.method == "POST"]
        return [body["messages"] for body in bodies if body["model"] == bot]

    def http_tool(self, name: str, hook: str, **fields: Any) -> dict[str, Any]:
        """A tool that is one of the webhooks."""
        return {"name": name, "kind": "http", "http": self.webhooks.section(hook), **fields}


class ToolTalk:
    """One call, as its caller sees it."""

    def __init__(self, caller: Caller, http: httpx.AsyncClient, url: str) -> None:
        self.caller = caller
        self._http = http
        self._url = url

    async def ask(self, text: str) -> float:
        """Say something; gives the time at which it was said."""
        speech = await asyncio.to_thread(caller_speech, text)
        await self.caller.say(speech.pcm, speech.rate_hz)
        return time.monotonic()

    async def hear_reply(self, after_s: float) -> str:
        """The words of the reply that ends next."""
        await self.wait_for("bot-stopped-speaking", after_s=after_s)
        await self.caller.wait_for_quiet(0.3, within_s=WITHIN_S)
        return self.heard(after_s)

    def heard(self, after_s: float) -> str:
        """The words that arrived after a time."""
        frames = [frame.pcm for frame in self.caller.recording.frames() if frame.time_s > after_s]
        return heard_text(hear(np.concatenate(frames), VOICE_HZ)) if frames else ""

    async def wait_for(self, kind: str, after_s: float) -> Message:
        """The next message of a kind; a failure when none comes."""
        message = await self.caller.wait_for(kind, after_s=after_s, within_s=WITHIN_S)
        told = [(one.type, one.data) for one in self.caller.recording.messages if one.time_s > after_s]
        assert message is not None, f"no {kind} in {told}"
        return message

    async def turn(self, number: int = -1) -> dict[str, Any]:
        """A turn of the transcript, once its reply is in it."""
        turns = await eventually(self.turns, lambda seen: bool(seen) and seen[number]["bot"] is not None, WITHIN_S)
        return turns[number]

    async def turns(self) -> list[dict[str, Any]]:
        """The transcript as it is now."""
        answer = await self._http.get(f"{self._url}/sessions/{self.caller.pc_id}/transcript")
        answer.raise_for_status()
        return answer.json()["turns"]

    @property
    def errors(self) -> list[str]:
        """What the caller was told to be wrong."""
        return [str(one.data) for one in self.caller.recording.of_type("error")]


async def within(event: asyncio.Event) -> None:
    """Wait for what has to happen."""
    async with asyncio.timeout(WITHIN_S):
        await event.wait()


def results(messages: Messages) -> list[str]:
    """What tools found since the caller spoke last."""
    found: list[str] = []
    for message in reversed(messages):
        if message["role"] == "user":
            break
        if message["role"] == "tool":
            found.append(str(message["content"]))
    return found[::-1]


def asked(messages: Messages) -> int:
    """How often the caller has spoken."""
    return sum(message["role"] == "user" for message in messages)


def outcomes(turn: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Outcome and result of each call in a turn of the transcript."""
    return [(call["outcome"], call["result"]) for call in turn["tools"]]


def once(name: str, arguments: str, words: Callable[[str], str]) -> Callable[[Messages], Reply]:
    """A model that calls a tool and says what it makes of the result."""

    def model(messages: Messages) -> Reply:
        found = results(messages)
        return Reply(words(found[-1])) if found else Reply(tool_calls=[ToolCall(name, arguments)])

    return model


def is_heard(words: str, heard: str) -> bool:
    """Whether it is these words, each once."""
    return count_words(words, heard.split()).exact


async def one_turn(world: ToolWorld, bot: str, question: str, *, says: str, tools: list[tuple[str, str]]) -> None:
    """One question whose reply is `says`, and the calls in the transcript."""
    async with world.call(bot) as talk:
        said_s = await talk.ask(question)
        heard = await talk.hear_reply(said_s)
        turn = await talk.turn()
        assert outcomes(turn) == tools
        assert count_words(question, normalise(turn["user"])).exact
        assert is_heard(says, heard), heard
        assert turn["bot"] == says
        assert talk.errors == []


def _write(folder: Path, bots: Sequence[ToolBot]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for bot in bots:
        (folder / f"{bot.name}.yaml").write_text(bot.document)
