"""Several gateways: each takes every page's signalling, and goes on with the calls of one that dies or leaves."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting, hear_out
from natter_bench.errors import RefusedError
from natter_bench.speech import EncodedSpeech
from natter_local.system import GATEWAY, LocalSystem
from natter_testing.emulated_system import ALL, BRIEF, emulated_system
from natter_testing.eventually import eventually

BOT = "name: Echo\ndefault: true\ngreeting: Hello, I am here.\nprompt: You are a script.\nrecord: text\n"
JOURNALED_S = 1.0


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[LocalSystem]:
    bots = tmp_path / "with-record"
    bots.mkdir()
    (bots / "echo.yaml").write_text(BOT)
    env = {"NATTER_BOTS_DIR": str(bots), "NATTER_DRAIN_S": "10"}
    async with emulated_system(tmp_path, services={GATEWAY: 2, ALL: 1}, env=env, options=BRIEF) as running:
        yield running


async def turns(http: httpx.AsyncClient, url: str, caller: Caller) -> list[tuple[str, str]]:
    answer = await http.get(f"{url}/sessions/{caller.pc_id}/transcript")
    assert answer.status_code == 200, answer.text
    return [(role, each[role]) for each in answer.json()["turns"] for role in ("user", "bot") if each[role] is not None]


async def kept(http: httpx.AsyncClient, url: str, caller: Caller, least: int) -> list[tuple[str, str]]:
    """The transcript, once it has so many turns, and what is kept of them has had time to be written."""

    async def look() -> list[tuple[str, str]]:
        return await turns(http, url, caller)

    return await eventually(look, lambda found: len(found) >= least, within_s=5.0)


async def test_any_gateway_answers_for_the_one_that_holds_the_call(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    first, second = (gateway.url for gateway in system.of(GATEWAY))
    async with Caller.connect(first, http=http) as caller:
        await hear_greeting(caller)
        assert await turns(http, second, caller) == await turns(http, first, caller)
        before = caller.pc_id
        await caller.reconnect(url=second)
        assert caller.pc_id == before
        await exchange(caller, speech)
        said = await turns(http, first, caller)
        assert [role for role, _ in said] == ["bot", "user", "bot"]
        stranger = await http.get(f"{second}/sessions/{before.partition('.')[0]}.{'0' * 32}/transcript")
        assert stranger.status_code == 404


async def test_a_call_goes_on_at_another_gateway_when_its_own_dies(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    first, second = (gateway.url for gateway in system.of(GATEWAY))
    async with Caller.connect(first, http=http) as caller:
        await hear_greeting(caller)
        await exchange(caller, speech, pause_s=JOURNALED_S)
        said = await kept(http, first, caller, 3)
        began_s = time.monotonic()
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        before = caller.pc_id
        await caller.reconnect(url=second)
        assert caller.pc_id == before
        assert await turns(http, second, caller) == said
        await exchange(caller, speech)
        after = await kept(http, second, caller, 5)
        assert after[:3] == said
        assert [role for role, _ in after] == ["bot", "user", "bot", "user", "bot"]
        assert not caller.recording.of_type("error", after_s=began_s)
        segments = [
            message.data["segment_id"] for message in caller.recording.of_type("bot-output") if is_new(message.data)
        ]
        assert len(segments) == len(set(segments)), "segments are numbered over the whole conversation"


async def test_what_was_asked_before_the_gateway_died_is_answered(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    first, second = (gateway.url for gateway in system.of(GATEWAY))
    async with Caller.connect(first, http=http) as caller:
        await hear_greeting(caller)
        await exchange(caller, speech, pause_s=JOURNALED_S)
        asked_s = time.monotonic()
        caller.send_text("Are you there?")
        assert await caller.wait_for("user-llm-text", after_s=asked_s, within_s=5.0)
        assert await caller.wait_for_voice(after_s=asked_s, within_s=5.0)
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        await caller.reconnect(url=second)
        said = await turns(http, second, caller)
        assert ("user", "Are you there?") in said


async def test_a_gateway_that_leaves_hands_its_calls_over(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    (first, second), (leaving, _) = (tuple(one.url for one in system.of(GATEWAY)), system.of(GATEWAY))
    async with Caller.connect(first, http=http) as caller:
        await hear_greeting(caller)
        await exchange(caller, speech, pause_s=JOURNALED_S)
        said = await kept(http, first, caller, 3)
        await system.kill(GATEWAY, signal.SIGTERM, 1)

        async def refused() -> bool:
            try:
                async with Caller.connect(first, http=http):
                    return False
            except RefusedError as error:
                return error.status == 503

        await eventually(refused, bool, within_s=5.0)
        await caller.reconnect(url=second)
        assert await turns(http, second, caller) == said
        asked_s = time.monotonic()
        await caller.say(speech)
        assert await caller.wait_for_voice(after_s=asked_s, within_s=8.0)
        await hear_out(caller, asked_s)
        await eventually(lambda: _gone(leaving), bool, within_s=10.0)


async def _gone(process: Any) -> bool:
    return process.pid is None


def is_new(data: Any) -> bool:
    return data["spoken_status"] == "new"
