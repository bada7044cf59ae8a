"""Messages of a page: understood, or refused in words with the id that they came with."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.rtvi import incoming
from natter_gateway.rtvi.limit import BURST, MESSAGES_PER_S, RateLimit


def message(kind: str, data: object = None, request_id: object = "1f0c9a2b") -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "id": request_id, "data": data})


def test_the_handshake() -> None:
    parsed = incoming.parse(message("client-ready", {"version": "2.1.0", "about": {"library": "client-js"}}))
    assert isinstance(parsed, incoming.ClientRequest)
    assert isinstance(parsed.request, incoming.ClientReady)
    assert parsed.request_id == "1f0c9a2b"
    assert parsed.request.version_problem() is None


@pytest.mark.parametrize("data", [None, {}, {"version": "1.2.0"}, {"version": "3.0.0", "about": 7}])
def test_a_handshake_of_another_version_is_served_and_told_so(data: object) -> None:
    parsed = incoming.parse(message("client-ready", data))
    assert isinstance(parsed, incoming.ClientRequest)
    assert isinstance(parsed.request, incoming.ClientReady)
    assert "RTVI 2.1.0 is spoken here" in (parsed.request.version_problem() or "")


def test_typed_text_with_and_without_options() -> None:
    plain = incoming.parse(message("send-text", {"content": "hi"}))
    silent = incoming.parse(message("send-text", {"content": "hi", "options": {"audio_response": False}}))
    assert isinstance(plain, incoming.ClientRequest)
    assert isinstance(silent, incoming.ClientRequest)
    assert plain.request == incoming.SendText(content="hi")
    assert silent.request == incoming.SendText(
        content="hi", options=incoming.SendTextOptions(run_immediately=True, audio_response=False)
    )


def test_what_lies_beside_rtvi() -> None:
    assert incoming.parse("ping: 1234") == incoming.Ping()
    assert incoming.parse('{"label":"other"}') == incoming.Ignored()
    status = {"type": "signalling", "message": {"type": "trackStatus", "receiver_index": 0, "enabled": False}}
    assert incoming.parse(json.dumps(status)) == incoming.TrackStatus(receiver_index=0, enabled=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (message("make-coffee"), "Unsupported type make-coffee"),
        (message("send-text", {"content": ""}), "send-text: content"),
        (message("send-text", {"content": "x" * 9_000}), "send-text: content"),
        (message("send-text", "hi"), "send-text: data"),
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("", "not a JSON object"),
        ('"' + "x" * incoming.MAX_MESSAGE_BYTES + '"', "are the most"),
        (json.dumps({"label": "rtvi-ai", "type": ["a"]}), "Unsupported type"),
    ],
)
def test_what_can_not_be_served_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(incoming.BadMessageError, match=words):
        incoming.parse(text)


def test_a_refusal_carries_the_requests_id() -> None:
    with pytest.raises(incoming.BadMessageError) as refused:
        incoming.parse(message("make-coffee"))
    assert refused.value.request_id == "1f0c9a2b"
    with pytest.raises(incoming.BadMessageError) as nameless:
        incoming.parse(message("make-coffee", request_id=7))
    assert nameless.value.request_id is None


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_nothing_that_a_page_sends_is_worse_than_a_bad_message(text: str | bytes) -> None:
    try:
        incoming.parse(text)
    except incoming.BadMessageError:
        return


def test_the_rate_limit_admits_a_burst_and_then_its_rate() -> None:
    limit = RateLimit()
    assert [limit.admit(0.0) for _ in range(int(BURST) + 5)] == [True] * int(BURST) + [False] * 5
    assert limit.admit(1.0 / MESSAGES_PER_S)
    assert not limit.admit(1.0 / MESSAGES_PER_S)
