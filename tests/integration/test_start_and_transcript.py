"""A call from /start to what is read back: variables in, the conversation out."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.conversation import hear_greeting
from natter_local.system import LocalSystem
from natter_testing.emulated_system import emulated_system
from natter_testing.eventually import eventually
from natter_testing.still_working import WITHIN_S, is_answered_in_text, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAST = ("--sentences", "1", "--first-token-ms", "10", "--words-per-s", "500")
DESK = """\
name: Desk
greeting: Welcome {{guest}}.
prompt: You work at {{hotel}}.
variables:
  guest:
  hotel: the Ritz
tools:
  - {name: look, description: Looks it up., kind: browser, read_only: true}
"""
PLAIN = "name: Plain\ndefault: true\nprompt: You are plain.\nllm: {provider: [openai, local]}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalSystem]:
    bots: Path = tmp_path_factory.mktemp("bots")
    (bots / "desk.yaml").write_text(DESK)
    (bots / "plain.yaml").write_text(PLAIN)
    folder = tmp_path_factory.mktemp("system")
    async with emulated_system(folder, options=FAST, env={"NATTER_BOTS_DIR": str(bots)}) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.url, trust_env=False, timeout=20) as client:
        yield client


async def transcript(http: httpx.AsyncClient, public_id: str | None) -> dict[str, Any]:
    answer = await http.get(f"/sessions/{public_id}/transcript", headers={"origin": "https://example.org"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer.json()


@pytest.mark.parametrize("via_start", [True, False])
async def test_a_call_with_variables_is_read_back(
    system: LocalSystem, http: httpx.AsyncClient, via_start: bool
) -> None:
    guest = {"guest": "Ann {{hotel}}"}
    async with Caller.connect(system.url, bot="desk", variables=guest, via_start=via_start) as caller:
        assert await hear_greeting(caller)
        heard = await eventually(
            lambda: transcript(http, caller.pc_id), lambda seen: bool(seen["turns"]), within_s=WITHIN_S
        )
        greeted = heard["turns"][0]
        assert greeted["user"] is None
        assert greeted["tools"] == []
        assert greeted["bot"] == "Welcome Ann {{hotel}}."
        assert heard["bot"] == "desk"
        assert heard["session"] == str(caller.pc_id).partition(".")[0]
        assert datetime.fromisoformat(heard["started_at"]).utcoffset() is not None

        await is_answered_in_text(caller)
        said = await eventually(
            lambda: transcript(http, caller.pc_id),
            lambda seen: any(turn["user"] for turn in seen["turns"]),
            within_s=WITHIN_S,
        )
        assert [turn["user"] for turn in said["turns"] if turn["user"]] == ["Are you there?"]
        assert said["started_at"] == heard["started_at"]
        numbers = [turn["turn"] for turn in said["turns"]]
        assert numbers == sorted(set(numbers))

        name = heard["session"]
        for guess in (name, f"{name}.", f"{name}.{'0' * 32}", "nobody.secret", "%00", "a.b.c"):
            refusal(await http.get(f"/sessions/{guess}/transcript"), 404)
        public_id = caller.pc_id
    await eventually(
        lambda: http.get(f"/sessions/{public_id}/transcript"), lambda answer: answer.status_code == 404, WITHIN_S
    )


async def test_there_is_nothing_to_read_before_a_call_begins(http: httpx.AsyncClient) -> None:
    started = (await http.post("/start", json={"body": {"bot": "plain"}})).json()
    refusal(await http.get(f"/sessions/{started['sessionId']}/transcript"), 404)


BAD_VARIABLES: dict[str, tuple[Any, str]] = {
    "missing": ({}, "no value is given for 'guest'; this bot has: guest, hotel"),
    "unknown": ({"guest": "A", "gest": "B"}, "there is no variable 'gest'; this bot has: guest, hotel"),
    "null": ({"guest": None}, "should be text"),
    "a list": ({"guest": ["A"]}, "should be text"),
    "too long": ({"guest": "x" * 1_001}, "longer than 1000"),
    "control characters": ({"guest": "a\x07b"}, "control characters"),
    "half a character": ({"guest": "\ud800"}, "control characters"),
    "half a name": ({"guest": "A", "\ud800": "B"}, ""),
    "not a number": ({"guest": float("nan")}, ""),
    "too many": ({f"v{index}": index for index in range(51)}, "variables"),
    "no mapping": ([1], "variables"),
}


@pytest.mark.parametrize("path", ["/start", "/api/offer"])
@pytest.mark.parametrize("what", BAD_VARIABLES)
async def test_variables_that_do_not_fit(http: httpx.AsyncClient, what: str, path: str, offer_sdp: str) -> None:
    variables, words = BAD_VARIABLES[what]
    asked = {"bot": "desk", "variables": variables}
    body = {"body": asked} if path == "/start" else {"sdp": offer_sdp, "type": "offer", "requestData": asked}
    answer = await http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    detail = refusal(answer, 400)
    assert words in detail
    assert len(detail) < 1_000
    assert (await http.get("/health")).json()["sessions"] == 0


@pytest.fixture
def offer_sdp() -> str:
    """An offer that would be answered."""
    fingerprint = ":".join(["AB"] * 32)
    lines = (
        "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:96 opus/48000/2", "a=setup:actpass",
        "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", f"a=fingerprint:sha-256 {fingerprint}",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines)


async def test_bots_are_listed_with_what_they_really_use(http: httpx.AsyncClient) -> None:
    bots = {bot["id"]: bot for bot in (await http.get("/api/bots")).json()["bots"]}
    assert bots["desk"]["tools"] == ["look"]
    assert bots["desk"]["variables"] == [
        {"name": "guest", "default": None, "required": True},
        {"name": "hotel", "default": "the Ritz", "required": False},
    ]
    assert (bots["plain"]["tools"], bots["plain"]["variables"]) == ([], [])
    # Nobody serves openai here, and nobody says why: it is left out quietly.
    assert bots["plain"]["stages"]["llm"]["provider"] == "local"
    assert "note" not in bots["plain"]["stages"]["llm"]
