"""Offers, bodies and candidates that can't be served: 4xx with words, and nothing leased for them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from natter_bench.caller import Caller
from natter_testing.still_working import is_answered_in_text, refusal, sessions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
)
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"


def offer(sdp: Any, **more: Any) -> dict[str, Any]:
    return {"sdp": sdp, "type": "offer", **more}


BAD_OFFERS: dict[str, tuple[Any, int, str]] = {
    "nothing": ({}, 400, "sdp"),
    "a list": ([], 400, ""),
    "a number": (5, 400, ""),
    "null": (None, 400, ""),
    "sdp that is no text": (offer(7), 400, "sdp"),
    "an answer": ({"sdp": HEAD + AUDIO, "type": "answer"}, 400, "offer"),
    "empty sdp": (offer(""), 400, "sdp"),
    "prose": (offer("hello"), 400, "sdp"),
    "a header alone": (offer(HEAD), 400, "audio"),
    "lone surrogate": (offer("v=0\r\n\ud800"), 400, "sdp"),
    "control characters": (offer("v=0\r\n\x00\x01"), 400, "sdp"),
    "lines that are none": (offer("v=0\r\nwhat is this\r\n"), 400, "sdp"),
    "no port": (offer(HEAD + AUDIO.replace("audio 9", "audio nine")), 400, "sdp"),
    "no opus": (offer(HEAD + AUDIO.replace("opus/48000/2", "PCMU/8000")), 400, "Opus"),
    "only video": (
        offer(HEAD + AUDIO.replace("m=audio", "m=video").replace("opus/48000/2", "VP8/90000")),
        400,
        "audio",
    ),
    "no ICE": (offer(HEAD + AUDIO.replace("a=ice-ufrag:abcd\r\n", "")), 400, "ICE"),
    "no fingerprint": (offer(HEAD + AUDIO.split("a=fingerprint")[0]), 400, "fingerprint"),
    "bad fingerprint": (offer(HEAD + AUDIO.replace("sha-256", "rot-13")), 400, ""),
    "bad setup": (offer(HEAD + AUDIO.replace("actpass", "sideways")), 400, ""),
    "too many sections": (offer(HEAD + AUDIO * 9), 413, "media"),
    "too many candidates": (
        offer(HEAD + AUDIO + "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n" * 101),
        413,
        "candidates",
    ),
    "a line too long": (offer(HEAD + AUDIO + "a=x:" + "y" * 5000 + "\r\n"), 413, "line"),
    "sdp too large": (offer(HEAD + "a=x\r\n" * 14_000), 413, "larger"),
    "body too large": (offer("x" * 200_000), 413, "too large"),
    "pc_id that is no text": (offer(HEAD + AUDIO, pc_id=5), 400, "pc_id"),
    "pc_id too long": (offer(HEAD + AUDIO, pc_id="x" * 1000), 400, "pc_id"),
    "bot that is no text": (offer(HEAD + AUDIO, requestData={"bot": ["echo"]}), 400, "bot"),
    "unknown bot": (offer(HEAD + AUDIO, requestData={"bot": "nobody"}), 404, "echo"),
}


@pytest.mark.parametrize("what", BAD_OFFERS)
async def test_offers(http: httpx.AsyncClient, what: str) -> None:
    body, status, word = BAD_OFFERS[what]
    answer = await http.post("/api/offer", content=json.dumps(body), headers={"content-type": "application/json"})
    assert word in refusal(answer, status)
    # Nothing was taken for it, not even for a while.
    assert await sessions(http) == 1


BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "application/json"),
    "no JSON": (b"{sdp: nothing", "application/json"),
    "not UTF-8": (b'{"sdp": "\xff\xfe"}', "application/json"),
    "nested": (b"[" * 60_000, "application/json"),
    "plain text": (json.dumps(offer(HEAD + AUDIO)).encode(), "text/plain"),
    "a form": (b"sdp=v%3D0&type=offer", "application/x-www-form-urlencoded"),
    "a file": (b"--x\r\n\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x"),
    "no type": (b"\x00\x01\x02", ""),
}


@pytest.mark.parametrize("path", ["/start", "/api/offer", "/sessions/none.such/api/offer"])
@pytest.mark.parametrize("what", BAD_BODIES)
async def test_bodies(http: httpx.AsyncClient, what: str, path: str) -> None:
    content, content_type = BAD_BODIES[what]
    headers = {"content-type": content_type} if content_type else {}
    if path == "/start" and not content:
        # Nothing is asked for, which is fine.
        assert (await http.post(path, headers=headers)).status_code == 200
        return
    refusal(await http.post(path, content=content, headers=headers), 400)


async def test_a_body_without_end(http: httpx.AsyncClient) -> None:
    """Too large is too large without a length said ahead, and before all of it came."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b" " * 65_536

    try:
        answer = await http.post("/api/offer", content=endless(), headers={"content-type": "application/json"})
    except (httpx.WriteError, httpx.ReadError):
        pass  # The gateway had hung up before the client looked at its answer.
    else:
        refusal(answer, 413)
    assert sent < 50_000_000


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"body": {"bot": "nobody"}}, 404, "echo"),
        ({"body": {"bot": "x" * 5_000}}, 404, "echo"),
        ({"body": {"bot": "\ud800"}}, 404, "echo"),
        ({"body": {"bot": 5}}, 400, "bot"),
        ({"body": "echo"}, 400, "body"),
    ],
)
async def test_start(http: httpx.AsyncClient, body: Any, status: int, word: str) -> None:
    answer = await http.post("/start", content=json.dumps(body), headers={"content-type": "application/json"})
    detail = refusal(answer, status)
    assert word in detail
    assert len(detail) < 1_000


async def test_unknown_fields_are_ignored(http: httpx.AsyncClient) -> None:
    answer = await http.post("/start", json={"transport": "webrtc", "shape": "round", "body": {"colour": "red"}})
    assert answer.status_code == 200


@pytest.mark.parametrize("session", ["nobody", "nobody.secret", "a.b.c", "..%2f..", "%00", "x" * 2_000, "*", "ä.ö"])
async def test_unknown_sessions(http: httpx.AsyncClient, session: str) -> None:
    refusal(await http.post(f"/sessions/{session}/api/offer", json=offer(HEAD + AUDIO)), 404)


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/offer"), ("DELETE", "/start"), ("GET", "/no/such/page")])
async def test_what_there_is_not(http: httpx.AsyncClient, method: str, path: str) -> None:
    refusal(await http.request(method, path), 404, 405)


async def test_someone_elses_session(http: httpx.AsyncClient, bystander: Caller) -> None:
    """The name alone, which is in logs and subjects, opens nothing."""
    assert bystander.pc_id is not None
    name = bystander.pc_id.partition(".")[0]
    for guess in (name, f"{name}.", f"{name}.{'0' * 32}"):
        candidates = {"pc_id": guess, "candidates": [{"candidate": "", "sdp_mid": "0", "sdp_mline_index": 0}]}
        refusal(await http.patch("/api/offer", json=candidates), 404)
        refusal(await http.post(f"/sessions/{guess}/api/offer", json=offer(HEAD + AUDIO)), 404)


# Candidates

GOOD_CANDIDATE = "candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host"
BAD_CANDIDATES: dict[str, tuple[Any, int]] = {
    "prose": ("candidate: is what I am", 400),
    "half of one": ("candidate:1 1 udp", 400),
    "no number": (GOOD_CANDIDATE.replace("50000", "many"), 400),
    "no address": (GOOD_CANDIDATE.replace("127.0.0.1", "not/an/address"), 400),
    "port out of range": (GOOD_CANDIDATE.replace("50000", "70000"), 400),
    "too long": (GOOD_CANDIDATE + " x" * 1_000, 400),
    "no text": (5, 400),
    "surrogate": ("candidate:\ud800", 400),
}


@pytest.mark.parametrize("what", BAD_CANDIDATES)
async def test_candidates(http: httpx.AsyncClient, caller: Caller, what: str) -> None:
    candidate, status = BAD_CANDIDATES[what]
    body = {"pc_id": caller.pc_id, "candidates": [{"candidate": candidate, "sdp_mid": "0", "sdp_mline_index": 0}]}
    answer = await http.patch("/api/offer", content=json.dumps(body), headers={"content-type": "application/json"})
    refusal(answer, status)
    await is_answered_in_text(caller)


async def test_candidates_for_no_line_too_many_and_for_nobody(http: httpx.AsyncClient, caller: Caller) -> None:
    one = {"candidate": GOOD_CANDIDATE, "sdp_mid": "0", "sdp_mline_index": 0}
    nowhere = {"candidate": GOOD_CANDIDATE, "sdp_mid": "99", "sdp_mline_index": 99}
    neither = {"candidate": GOOD_CANDIDATE}
    for candidates, pc_id, status in [
        ([one] * 65, caller.pc_id, 400),
        ([neither], caller.pc_id, 400),
        ([one], "nobody.secret", 404),
        ([one], None, 400),
        ({}, caller.pc_id, 400),
    ]:
        refusal(await http.patch("/api/offer", json={"pc_id": pc_id, "candidates": candidates}), status)
    # A line that the answer has not is the browser's own business: taken, without effect.
    answer = await http.patch("/api/offer", json={"pc_id": caller.pc_id, "candidates": [nowhere]})
    assert answer.status_code in (200, 400)
    for _ in range(70):
        answer = await http.patch("/api/offer", json={"pc_id": caller.pc_id, "candidates": [one]})
    refusal(answer, 400)
    await is_answered_in_text(caller)
