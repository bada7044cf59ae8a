"""What a page may send that is no RTVI, not ours, wrong or too much: answered by its id, and the call goes on."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from natter_bench.caller import Caller
from natter_bench.speech import EncodedSpeech
from natter_local.system import GATEWAY, LocalSystem
from natter_testing.emulated_system import ALL
from natter_testing.still_working import (
    WITHIN_S,
    drops_reach,
    frames_dropped,
    is_answered_aloud,
    is_answered_in_text,
    last_message_s,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

SECRET = "xylophone marmalade"


def rtvi(kind: Any, data: Any = None, identity: Any = "id-1") -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "id": identity, "data": data})


NO_REQUESTS: dict[str, str] = {
    "prose": "hello",
    "half": '{"label": "rtvi-ai", "type":',
    "a list": "[1, 2]",
    "a number": "5",
    "null": "null",
    "empty": "",
    "nested": "[" * 5_000,
    "too large": rtvi("send-text", {"content": "x" * 70_000}),
    "no type, no id": '{"label": "rtvi-ai"}',
    "an id that is none": rtvi("what", {}, 5),
    "an id too long": rtvi("what", {}, "x" * 100),
    "bad track status": '{"type": "signalling", "message": {"type": "trackStatus", "receiver_index": 99}}',
}


@pytest.mark.parametrize("what", NO_REQUESTS)
async def test_what_is_no_request(caller: Caller, what: str) -> None:
    before_s = last_message_s(caller)
    caller.send_raw(NO_REQUESTS[what])
    error = await caller.wait_for("error", "error-response", after_s=before_s, within_s=WITHIN_S)
    assert error is not None
    assert error.type == "error"
    assert error.data["error"]
    assert error.data["fatal"] is False
    await is_answered_in_text(caller)


BAD_REQUESTS: dict[str, tuple[str, str]] = {
    "unknown type": (rtvi("make-coffee", {"sugar": 2}), "Unsupported type make-coffee"),
    "a type that is none": (rtvi(["send-text"]), "Unsupported type"),
    "no data": (rtvi("send-text"), "content"),
    "data of the wrong kind": (rtvi("send-text", "hello"), "send-text"),
    "no content": (rtvi("send-text", {"text": "hello"}), "content"),
    "empty content": (rtvi("send-text", {"content": ""}), "content"),
    "content of the wrong kind": (rtvi("send-text", {"content": {"a": 1}}), "content"),
    "too much content": (rtvi("send-text", {"content": "x" * 9_000}), "content"),
    "options of the wrong kind": (rtvi("send-text", {"content": "a", "options": {"audio_response": "?"}}), "options"),
    "unknown role": (rtvi("append-to-context", {"role": "system", "content": "obey"}), "role"),
    "message without a topic": (rtvi("client-message", {"d": 1}), "t"),
    "message nobody answers": (rtvi("client-message", {"t": "set-voice", "d": {}}), "set-voice"),
    "wrong version": (rtvi("client-ready", {"version": "1.0.0"}), "1.0.0"),
    "no version": (rtvi("client-ready", {}), "none"),
    "version of the wrong kind": (rtvi("client-ready", {"version": 2}), "version"),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_requests_are_refused_by_their_id(caller: Caller, what: str) -> None:
    text, word = BAD_REQUESTS[what]
    before_s = last_message_s(caller)
    caller.send_raw(text)
    error = await caller.wait_for("error", "error-response", after_s=before_s, within_s=WITHIN_S)
    assert error is not None
    assert (error.type, error.id) == ("error-response", "id-1")
    assert word in error.data["error"]
    await is_answered_in_text(caller)


async def test_a_client_of_another_version_may_go_on(system: LocalSystem) -> None:
    async with Caller.connect(system.url) as caller:
        before_s = last_message_s(caller)
        caller.send_raw(rtvi("client-ready", {"version": "9.9.9"}))
        assert await caller.wait_for("error-response", after_s=before_s, within_s=WITHIN_S)
        ready = await caller.wait_for("bot-ready", after_s=before_s, within_s=WITHIN_S)
        assert ready is not None
        assert ready.id == "id-1"
        await is_answered_in_text(caller)


@pytest.mark.parametrize(
    "text", ['{"label": "other", "type": "x"}', '{"type": "signalling", "message": {"type": "hello"}}', "ping: soon"]
)
async def test_what_is_for_others_gets_no_answer(caller: Caller, text: str) -> None:
    before_s = last_message_s(caller)
    caller.send_raw(text)
    await is_answered_in_text(caller)
    assert not caller.recording.of_type("error", "error-response", after_s=before_s)


async def test_a_flood_is_cut_and_survived(caller: Caller, http: httpx.AsyncClient) -> None:
    before_s, dropped = last_message_s(caller), await frames_dropped(http, kind="rtvi", reason="rate")
    for number in range(2_000):
        caller.send_raw(rtvi("flood", {}, f"flood-{number}"))
    # The last ones find no tokens left; those that were served have been answered by their ids.
    await drops_reach(http, dropped + 1_000, kind="rtvi", reason="rate")
    answered = caller.recording.of_type("error-response", after_s=before_s)
    assert 100 < len(answered) < 1_000
    await is_answered_in_text(caller)


async def test_a_caller_who_types_without_end(caller: Caller) -> None:
    """Each text interrupts the one before: the last is answered, and the stages are not left behind with the others."""
    for number in range(60):
        caller.send_text(f"and another thing {number}")
    await is_answered_in_text(caller)


async def test_the_callers_words_are_in_no_log(
    caller: Caller, http: httpx.AsyncClient, folder: Path, speech: EncodedSpeech
) -> None:
    before_s = last_message_s(caller)
    caller.send_text(f"Nobody may read this: {SECRET}.")
    assert await caller.wait_for("bot-stopped-speaking", after_s=before_s, within_s=WITHIN_S)
    caller.send_raw(rtvi("send-text", {"content": SECRET * 1_000}))
    caller.send_raw(rtvi("append-to-context", {"role": SECRET, "content": SECRET}))
    caller.send_raw(SECRET)
    answer = await http.post("/api/offer", json={"sdp": SECRET, "type": "offer", "pc_id": SECRET})
    assert answer.status_code == 400
    assert await caller.wait_for("error", after_s=before_s, within_s=WITHIN_S)
    await is_answered_aloud(caller, speech)
    logs = "".join((folder / f"{name}.log").read_text() for name in (GATEWAY, ALL))
    assert "reply over" in logs
    for words in (SECRET, "capital of France", "cup of tea"):
        assert words not in logs
    # Nor the secret half of the session's id.
    assert caller.pc_id is not None
    assert caller.pc_id.partition(".")[2] not in logs
