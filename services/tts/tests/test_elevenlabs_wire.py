"""What is said to ElevenLabs, and what it says."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from natter_common.providers import Trouble
from natter_tts import elevenlabs_wire as wire
from natter_tts.aligned import TimedCharacter
from natter_tts.provider import TtsError

LINE = wire.VoiceLine("abc/d", "eleven_flash_v2_5", "de-DE")


def test_the_address_follows_the_base_and_names_everything() -> None:
    url = urlsplit(wire.socket_url("https://api.elevenlabs.io/", LINE))
    assert (url.scheme, url.netloc) == ("wss", "api.elevenlabs.io")
    assert url.path == "/v1/text-to-speech/abc%2Fd/multi-stream-input"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["model_id"] == "eleven_flash_v2_5"
    assert query["output_format"] == "pcm_24000"
    assert query["language_code"] == "de"
    assert wire.socket_url("http://127.0.0.1:80", LINE).startswith("ws://127.0.0.1:80/v1/")


def test_models_that_find_the_language_out_are_not_told() -> None:
    assert "language_code" not in wire.socket_url("http://h", wire.VoiceLine("v", "eleven_multilingual_v2", "en"))


def test_messages_are_the_vendors() -> None:
    assert json.loads(wire.open_message("c", 1.0)) == {"text": " ", "context_id": "c"}
    assert json.loads(wire.open_message("c", 2.0))["voice_settings"] == {"speed": 1.2}
    assert json.loads(wire.say_message("c", "Hello.")) == {"text": "Hello. ", "context_id": "c", "flush": True}
    assert json.loads(wire.close_context_message("c")) == {"context_id": "c", "close_context": True}
    assert json.loads(wire.close_socket_message()) == {"close_socket": True}


def test_a_piece_of_voice() -> None:
    message = {
        "audio": base64.b64encode(b"\1\0\2\0").decode(),
        "contextId": "c",
        "alignment": {"chars": ["H", "i"], "charStartTimesMs": [0, 40], "charDurationsMs": [40, 60]},
        "normalizedAlignment": {"chars": ["x"], "charStartTimesMs": [0], "charDurationsMs": [1]},
    }
    assert wire.parse(json.dumps(message)) == wire.VoicePiece(
        "c", b"\1\0\2\0", (TimedCharacter("H", 0, 40), TimedCharacter("i", 40, 100))
    )
    assert wire.parse('{"isFinal": true, "contextId": "c"}') == wire.ContextEnded("c")
    assert wire.parse('{"audio": null, "contextId": "c"}') is None
    assert wire.parse('{"message": "no", "error": "quota_exceeded", "code": 1008}') == wire.Complaint(
        "quota_exceeded", "no"
    )


@pytest.mark.parametrize("garbage", ["", "{", "[]", "1", '{"audio": "?"}', '{"audio": 5}', b"\xff\xfe"])
def test_what_cannot_be_understood(garbage: str | bytes) -> None:
    with pytest.raises(TtsError) as caught:
        wire.parse(garbage)
    assert caught.value.code == Trouble.MALFORMED


@pytest.mark.parametrize(
    ("name", "code", "retryable"),
    [
        ("invalid_api_key", Trouble.UNAUTHORIZED, False),
        ("quota_exceeded", Trouble.QUOTA, False),
        ("too_many_concurrent_requests", Trouble.RATE_LIMITED, True),
        ("max_active_conversations", Trouble.RATE_LIMITED, True),
        ("system_busy", Trouble.UNAVAILABLE, True),
        ("voice_id_does_not_exist", Trouble.BAD_SETTINGS, False),
        ("something_new", Trouble.UNAVAILABLE, True),
    ],
)
def test_complaints(name: str, code: Trouble, retryable: bool) -> None:
    error = wire.complaint_error(wire.Complaint(name, "so it is"), LINE)
    assert (error.code, error.retryable) == (code, retryable)
    # What is said of a key may quote it.
    assert ("so it is" in str(error)) == (code != Trouble.UNAUTHORIZED)
    if code == Trouble.BAD_SETTINGS:
        assert LINE.voice in str(error)


def test_the_end_of_a_socket() -> None:
    assert wire.closed_error(1006, "", LINE).code == Trouble.CUT_OFF
    assert wire.closed_error(1008, "This request exceeds your quota.", LINE).code == Trouble.QUOTA


def test_words_of_a_refusal() -> None:
    assert wire.detail(b'{"detail": {"status": "x", "message": "No."}}') == "No."
    assert wire.detail(b'{"detail": "No."}') == "No."
    assert wire.detail(b"<html>") == ""
    assert wire.detail(b'{"detail": [{"msg": "x"}]}') == ""
