"""What is said of the stages when all is up."""

import json

import pytest

from natter_local.summary import StageLine, default_bot


def test_the_default_bots_stages_with_their_limits() -> None:
    stages = {
        "vad": {"provider": "local", "detail": "Silero VAD 6.2"},
        "stt": {"provider": "deepgram"},
        "llm": {"provider": "local", "detail": "SmolLM2"},
        "tts": {"provider": None, "detail": "no worker with room"},
    }
    answer = {"bots": [{"id": "a", "name": "A"}, {"id": "b", "name": "B", "default": True, "stages": stages}]}
    name, lines = default_bot(json.dumps(answer).encode())
    assert name == "B"
    assert lines[0] == StageLine("vad", "local", "Silero VAD 6.2", "")
    assert lines[1] == StageLine("stt", "deepgram", "deepgram", "")
    assert lines[2].limits
    assert lines[3] == StageLine("tts", "", "no worker with room", "")


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"bots": []}', b'{"bots": null}'])
def test_an_answer_without_bots(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        default_bot(answer)
