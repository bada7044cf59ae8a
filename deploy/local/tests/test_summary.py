"""What is said of the stages when all is up."""

import json

import pytest

from natter_local.summary import StageLine, advice, default_bot, problems, uses_keys


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


REFUSED = "Deepgram refused the key in DEEPGRAM_API_KEY (401): check it, or unset it to do without."


def health(**content: object) -> bytes:
    return json.dumps({"status": "ok", **content}).encode()


def test_problems_are_told_once_with_the_stages_that_have_them() -> None:
    answers = [
        ("vad", health(problems={})),
        ("stt", health(problems={"deepgram": REFUSED, "gladia": "Gladia is out\n of order."})),
        ("stt", health(problems={"deepgram": REFUSED, "deepgram-flux": REFUSED})),
        ("tts", health(problems={"deepgram": REFUSED})),
    ]
    assert problems(answers) == [f"stt, tts: {REFUSED}", "stt: Gladia is out of order."]


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"null", b'{"problems": null}', b'{"problems": ["x"]}'])
def test_a_worker_that_says_nothing_of_problems(answer: bytes) -> None:
    assert problems([("stt", answer)]) == []


def test_a_provider_beside_the_built_in_one_is_seen() -> None:
    built_in = ("stt", health(providers={"local": "Moonshine"}))
    assert not uses_keys([built_in, ("gateway", b"nonsense")])
    assert uses_keys([built_in, ("tts", health(providers={"deepgram": "Aura", "local": "Hibari"}))])


def test_keys_are_advised_only_where_none_is_in_use() -> None:
    local = [StageLine(stage, "local", "x", "") for stage in ("vad", "stt", "llm", "tts")]
    words = " ".join(advice(local, []))
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY"):
        assert variable in words
    assert not advice([*local, StageLine("stt", "deepgram", "Nova 3", "")], [])
    assert not advice(local, ["stt: a wrong key"]), "somebody tries already"
