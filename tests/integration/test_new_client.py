"""A page that was loaded again comes to its session with a new client: it is told what it needs to go on."""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.conversation import hear_greeting, hear_out
from natter_bench.recording import Message
from natter_local.system import LocalSystem
from natter_testing.emulated_system import emulated_system
from natter_testing.eventually import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

WITHIN_S: Final = 10.0
QUESTION: Final = "Are you there?"
SLOW: Final = ("--sentences", "3", "--letters-per-s", "20")
"""Replies of some seconds."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalSystem]:
    async with emulated_system(tmp_path_factory.mktemp("system"), options=SLOW) as running:
        yield running


async def turns(url: str, public_id: str | None) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.get(f"/sessions/{public_id}/transcript")
        return answer.json()["turns"]


def first_turn(ready: Message) -> int:
    return ready.data["natter"]["first_turn"]


async def come_back(caller: Caller) -> tuple[Message, list[Message]]:
    """With a new client; returns what it was told: that the bot is ready, and all from there on."""
    before_s = time.monotonic()
    await caller.reconnect(new_client=True)
    return told_since(caller, before_s)


def told_since(caller: Caller, since_s: float) -> tuple[Message, list[Message]]:
    """The `bot-ready` after a time, and what followed. Until then the connection that is left may still tell."""
    told = [each for each in caller.recording.messages if each.time_s > since_s and each.type != "metrics"]
    begin = [each.type for each in told].index("bot-ready")
    return told[begin], told[begin + 1 :]


async def test_between_turns(system: LocalSystem) -> None:
    async with Caller.connect(system.url) as caller:
        assert await hear_greeting(caller)
        public_id, before = caller.pc_id, await turns(system.url, caller.pc_id)
        ready, told = await come_back(caller)
        assert caller.pc_id == public_id
        assert not told, "no second greeting, and nothing that is over"
        assert first_turn(ready) == before[-1]["turn"] + 1
        assert await turns(system.url, public_id) == before

        asked_s = time.monotonic()
        caller.send_text(QUESTION)
        assert await caller.wait_for_voice(after_s=asked_s, within_s=WITHIN_S)
        await hear_out(caller, asked_s)
        asked = (await turns(system.url, public_id))[-1]
        assert (asked["turn"], asked["user"]) == (first_turn(ready), QUESTION)


async def test_in_the_middle_of_a_reply(system: LocalSystem) -> None:
    async with Caller.connect(system.url) as caller:
        assert await hear_greeting(caller)
        asked_s = time.monotonic()
        caller.send_text(QUESTION)
        assert await caller.wait_for("bot-started-speaking", after_s=asked_s, within_s=WITHIN_S)
        assert await caller.wait_for("bot-tts-text", after_s=asked_s, within_s=WITHIN_S)
        first_s = time.monotonic()
        ready, _ = await come_back(caller)
        await hear_out(caller, first_s)
        assert await caller.wait_for("bot-stopped-speaking", after_s=first_s, within_s=WITHIN_S)

        _, told = told_since(caller, first_s)
        assert [each.type for each in told if each.type.startswith("user-")] == [
            *("user-started-speaking", "user-transcription", "user-stopped-speaking", "user-llm-text"),
        ]
        assert [each.data["text"] for each in told if each.type == "user-llm-text"] == [QUESTION]
        shown = [each for each in told if each.type == "bot-output" and each.data["spoken_status"] == "new"]
        numbers = [each.data["segment_id"] for each in shown]
        assert numbers == sorted(set(numbers)), "each once"
        done = await eventually(
            lambda: turns(system.url, caller.pc_id), lambda seen: bool(seen[-1]["bot"] and seen[-1]["user"]), WITHIN_S
        )
        assert (done[-1]["turn"], done[-1]["user"]) == (first_turn(ready), QUESTION)
        assert done[-1]["bot"] == " ".join(each.data["text"] for each in shown), "the reply from its beginning"


async def test_a_page_may_ask_whether_anybody_is_there(system: LocalSystem) -> None:
    async with Caller.connect(system.url) as caller:
        asked_s = time.monotonic()
        caller.send("client-message", {"t": "natter-ping", "d": {}})
        answer = await caller.wait_for("server-response", after_s=asked_s, within_s=WITHIN_S)
        assert answer is not None
        assert answer.data["t"] == "natter-ping"
