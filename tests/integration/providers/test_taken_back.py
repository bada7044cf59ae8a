"""The first of a chain is held off after a fault and taken back when it is well again; old turns are summed up."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest

from natter_bench.caller import Caller
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Messages, Reply, Script
from natter_testing.provider_calls import Case, provider_system

pytestmark = pytest.mark.timeout(150)

SERVICES: Final = {"gateway": 1, "vad": 1, "stt": 1, "llm": 1, "tts": 1}
TAKEN_BACK_WITHIN_S: Final = 40.0
USUAL: Final[dict[str, Any]] = {
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {"provider": "elevenlabs"},
}
BACK: Final = Case(
    "back",
    {
        **USUAL,
        "llm": {"provider": "openai", "model": "brief"},
        "tts": {"provider": ["elevenlabs", "deepgram"], "voice": "back"},
    },
)
FORGETFUL: Final = Case(
    "forgetful",
    {**USUAL, "llm": {"provider": "openai", "model": "forgetful"}},
    extra={"context": {"max_tokens": 200, "summarize": True, "summary_tokens": 50}},
)


async def ask(caller: Caller, text: str, *, aloud: bool = True) -> None:
    """A typed question, and its answer to the end."""
    asked_s = time.monotonic()
    caller.send_text(text, audio_response=aloud)
    over = "bot-stopped-speaking" if aloud else "bot-llm-stopped"
    stopped = await caller.wait_for(over, "error", after_s=asked_s, within_s=20.0)
    assert stopped is not None
    assert stopped.type == over, stopped.data


def test_the_first_is_taken_back(tmp_path: Path) -> None:
    asyncio.run(_taken_back(tmp_path))


async def _taken_back(folder: Path) -> None:
    async with Emulators() as emulators:
        emulators.elevenlabs.script("back", Script(fault=Fault.CUT, after_words=0, times=1))
        emulators.openai.script("brief", Script(replies=[Reply("Yes, sure.")]))
        async with (
            provider_system(folder, emulators, [BACK], {}, SERVICES) as system,
            Caller.connect(system.url, bot="back") as caller,
        ):
            spoken_by_the_second = lambda: any(  # noqa: E731
                request.path == "/v1/speak" and "sec-websocket-key" in request.headers
                for request in emulators.deepgram.requests
            )
            sockets = lambda: sum("/back/" in request.path for request in emulators.elevenlabs.requests)  # noqa: E731
            await ask(caller, "hello")
            assert spoken_by_the_second()
            before, deadline_s = sockets(), time.monotonic() + TAKEN_BACK_WITHIN_S
            while sockets() == before and time.monotonic() < deadline_s:
                await ask(caller, "again please")
                # It is taken back while nobody speaks.
                await caller.wait_for_quiet(0.7, within_s=5.0)
            assert sockets() > before
            spoken = len(emulators.deepgram.requests)
            await ask(caller, "and again")
            assert len(emulators.deepgram.requests) == spoken


def test_old_turns_are_summed_up(tmp_path: Path) -> None:
    asyncio.run(_summed_up(tmp_path))


async def _summed_up(folder: Path) -> None:
    async with Emulators() as emulators:
        emulators.openai.script("forgetful", Script(replies=_answer))
        async with (
            provider_system(folder, emulators, [FORGETFUL], {}, SERVICES) as system,
            Caller.connect(system.url, bot="forgetful") as caller,
        ):
            for _ in range(12):
                await ask(caller, "please tell me something about the moon and the stars and the sea", aloud=False)
                if _summaries(emulators):
                    break
            assert _summaries(emulators)
            await ask(caller, "and now?", aloud=False)
            # The next turns may be summed up meanwhile.
            summaries = _summaries(emulators)
            last = [chat for chat in _chats(emulators) if chat not in summaries][-1]
            system_messages = [message["content"] for message in last["messages"] if message["role"] == "system"]
            assert any("they talk about the moon" in content for content in system_messages), json.dumps(last)
            # What was summed up is not there in full too.
            assert len([message for message in last["messages"] if message["role"] == "user"]) < 6


def _summaries(emulators: Emulators) -> list[Any]:
    return [chat for chat in _chats(emulators) if "Sum up" in str(chat["messages"][0]["content"])]


def _chats(emulators: Emulators) -> list[Any]:
    return [request.json() for request in emulators.openai.requests if "chat" in request.path]


def _answer(messages: Messages) -> Reply:
    if "Sum up" in str(messages[0]["content"]):
        return Reply("they talk about the moon")
    return Reply("The moon is near and the stars are not.")
