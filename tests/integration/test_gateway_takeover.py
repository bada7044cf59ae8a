"""Several gateways: each takes every page's signalling, and goes on with the calls of one that dies or leaves."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting, hear_out
from natter_bench.errors import RefusedError
from natter_bench.speech import EncodedSpeech
from natter_local.system import GATEWAY, LocalSystem
from natter_testing.emulated_system import ALL, BRIEF, emulated_system
from natter_testing.eventually import eventually

BOT = "name: Echo\ndefault: true\ngreeting: Hello, I am here.\nprompt: You are a script.\n"
"""Of the kind that most are: nothing of what is said is recorded for anybody but the gateways."""
JOURNALED_S = 1.0
PAGE_WAITS_S = 6.0


SLOW_MODEL = (*BRIEF, "--first-token-ms", "4500")
"""A gateway can die while the model thinks, and what was asked is in the journal by then."""


@asynccontextmanager
async def two_gateways(folder: Path, options: Sequence[str]) -> AsyncGenerator[LocalSystem]:
    bots = folder / "echo-bots"
    bots.mkdir()
    (bots / "echo.yaml").write_text(BOT)
    env = {"NATTER_BOTS_DIR": str(bots), "NATTER_DRAIN_S": "10"}
    async with emulated_system(folder, services={GATEWAY: 2, ALL: 1}, env=env, options=options) as running:
        yield running


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[LocalSystem]:
    async with two_gateways(tmp_path, BRIEF) as running:
        yield running


async def turns(http: httpx.AsyncClient, url: str, caller: Caller) -> list[tuple[str, str]]:
    answer = await http.get(f"{url}/sessions/{caller.pc_id}/transcript")
    assert answer.status_code == 200, answer.text
    return [(role, each[role]) for each in answer.json()["turns"] for role in ("user", "bot") if each[role] is not None]


async def kept(http: httpx.AsyncClient, url: str, caller: Caller, least: int) -> list[tuple[str, str]]:
    """The transcript, once it has so many turns, and what is kept of them has had time to be written."""

    async def look() -> list[tuple[str, str]]:
        return await turns(http, url, caller)

    return await eventually(look, lambda found: len(found) >= least, within_s=8.0)


@asynccontextmanager
async def a_call(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> AsyncGenerator[tuple[Caller, list[tuple[str, str]]]]:
    """A call at the first gateway that has had a greeting and a turn, and what was said in it."""
    first = system.of(GATEWAY)[0].url
    async with Caller.connect(first, http=http) as caller:
        await hear_greeting(caller)
        await exchange(caller, speech, pause_s=JOURNALED_S)
        yield caller, await kept(http, first, caller, 3)


async def an_offer() -> str:
    """Of a page that goes away again."""
    peer = RTCPeerConnection()
    peer.addTransceiver("audio")
    peer.createDataChannel("chat")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return sdp


async def shown(system: LocalSystem, caller: Caller) -> str:
    """What the journal tells everybody of a call."""
    program = Path(sys.executable).parent / "natter"
    asked = ("sessions", "show", str(caller.pc_id).partition(".")[0], "--json", "--nats-url", system.nats_url)
    process = await asyncio.create_subprocess_exec(program, *asked, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


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
    second = system.of(GATEWAY)[1].url
    async with a_call(system, http, speech) as (caller, said):
        began_s, before = time.monotonic(), caller.pc_id
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        # A page that asks twice at once is one page: its session is taken over once, and stays.
        asked = {"sdp": await an_offer(), "type": "offer", "pc_id": before, "restart_pc": True}
        answers = await asyncio.gather(*(http.post(f"{second}/api/offer", json=asked) for _ in range(3)))
        assert sorted({answer.status_code for answer in answers}) == [200, 503]
        await caller.reconnect(url=second)
        assert caller.pc_id == before
        assert await turns(http, second, caller) == said
        await exchange(caller, speech)
        after = await kept(http, second, caller, 5)
        assert after[:3] == said
        assert [role for role, _ in after] == ["bot", "user", "bot", "user", "bot"]
        assert not caller.recording.of_type("error", after_s=began_s)
        outputs = [message.data for message in caller.recording.of_type("bot-output")]
        segments = [data["segment_id"] for data in outputs if data["spoken_status"] == "new"]
        assert len(segments) == len(set(segments)), "segments are numbered over the whole conversation"


async def test_a_call_goes_on_at_another_gateway_when_its_own_stands_still(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    second = system.of(GATEWAY)[1].url
    async with a_call(system, http, speech) as (caller, said):
        await system.kill(GATEWAY, signal.SIGSTOP, 1)
        asked = {"sdp": await an_offer(), "type": "offer", "pc_id": caller.pc_id, "restart_pc": True}
        asked_s = time.monotonic()
        answer = await http.post(f"{second}/api/offer", json=asked)
        assert answer.status_code == 200, answer.text
        assert answer.json()["pc_id"] == caller.pc_id
        assert time.monotonic() - asked_s < PAGE_WAITS_S
        assert await turns(http, second, caller) == said


async def test_what_was_asked_before_the_gateway_died_is_answered(
    tmp_path: Path, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    async with two_gateways(tmp_path, SLOW_MODEL) as system, a_call(system, http, speech) as (caller, _):
        second = system.of(GATEWAY)[1].url
        asked_s = time.monotonic()
        caller.send_text("Are you there?")
        assert await caller.wait_for("user-llm-text", after_s=asked_s, within_s=5.0)
        told = await eventually(
            lambda: shown(system, caller), lambda text: text.count('"CommitUser"') == 2, within_s=5.0
        )
        assert "there" not in told
        assert caller.last_audible_s < asked_s
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        await caller.reconnect(url=second)
        said = await kept(http, second, caller, 5)
        assert [role for role, _ in said] == ["bot", "user", "bot", "user", "bot"]
        assert said[3] == ("user", "Are you there?")


async def test_words_of_a_turn_that_was_open_when_the_gateway_died_are_answered(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    second = system.of(GATEWAY)[1].url
    async with a_call(system, http, speech) as (caller, said):
        # They wait for the rest of their turn, however long looking at the journal takes.
        caller.send("send-text", {"content": "By the way,", "options": {"run_immediately": False}})
        await eventually(lambda: shown(system, caller), lambda text: said_since_commit(text) > 0, within_s=8.0)
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        await caller.reconnect(url=second)
        after = await kept(http, second, caller, 5)
        assert after[:3] == said
        assert after[3] == ("user", "By the way,")
        assert after[4][0] == "bot"


def said_since_commit(shown_text: str) -> int:
    """How many characters the journal has of a turn that is open."""
    entries = json.loads(shown_text)["entries"]
    words = [entry["content"]["text"] for entry in entries if entry["kind"] == "WordsSoFar"]
    return int(words[-1]) if words else 0


async def test_of_a_reply_that_was_cut_off_the_heard_part_is_known(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    second = system.of(GATEWAY)[1].url
    async with a_call(system, http, speech) as (caller, said):
        asked_s = time.monotonic()
        caller.send_text("Go on.")
        assert await caller.wait_for("bot-tts-text", after_s=asked_s, within_s=8.0)
        await eventually(lambda: shown(system, caller), lambda text: text.count('"HeardSoFar"') > 0, within_s=5.0)
        await asyncio.sleep(JOURNALED_S)
        texts = [each.data["text"] for each in caller.recording.of_type("bot-llm-text", after_s=asked_s)]
        await system.kill(GATEWAY, signal.SIGKILL, 1)
        await caller.reconnect(url=second)
        after = await kept(http, second, caller, 5)
        assert after[:3] == said
        assert after[3] == ("user", "Go on.")
        role, heard = after[4]
        assert role == "bot"
        assert heard
        assert "".join(texts).strip().startswith(heard)


async def test_a_gateway_that_leaves_hands_its_calls_over(
    system: LocalSystem, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    leaving, other = system.of(GATEWAY)
    async with a_call(system, http, speech) as (caller, said):
        await system.kill(GATEWAY, signal.SIGTERM, 1)

        async def refused() -> bool:
            try:
                async with Caller.connect(leaving.url, http=http):
                    return False
            except RefusedError as error:
                return error.status == 503

        await eventually(refused, bool, within_s=5.0)
        await caller.reconnect(url=other.url)
        assert await turns(http, other.url, caller) == said
        asked_s = time.monotonic()
        await caller.say(speech)
        assert await caller.wait_for_voice(after_s=asked_s, within_s=8.0)
        await hear_out(caller, asked_s)

        async def gone() -> bool:
            return leaving.pid is None

        await eventually(gone, bool, within_s=10.0)


async def test_a_call_that_was_started_at_one_gateway_begins_at_another(
    system: LocalSystem, http: httpx.AsyncClient
) -> None:
    first, second = (gateway.url for gateway in system.of(GATEWAY))
    started = (await http.post(f"{first}/start", json={})).json()["sessionId"]
    body = {"sdp": await an_offer(), "type": "offer", "pc_id": None, "restart_pc": False}
    unknown = f"{started[:-1]}{'0' if started[-1] != '0' else '1'}"
    assert (await http.post(f"{second}/sessions/{unknown}/api/offer", json=body)).status_code == 404
    answer = await http.post(f"{second}/sessions/{started}/api/offer", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["pc_id"] == started
    assert (await http.get(f"{first}/health")).json()["sessions"] == 1
    assert (await http.get(f"{second}/health")).json()["sessions"] == 0
