"""What a bot answers to the conductor: providers, prompts, settings of leases."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from natter_gateway.bots import Bot
from natter_proto import Stage


def bot(**fields: Any) -> Bot:
    return Bot.model_validate({"id": "b", "name": "B", "prompt": "Be B.", **fields})


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Stage.STAGE_VAD, ("local",)),
        (Stage.STAGE_STT, ("deepgram", "gladia", "local")),
        (Stage.STAGE_LLM, ("openai", "local")),
        (Stage.STAGE_TTS, ("elevenlabs", "deepgram", "local")),
    ],
)
def test_auto_is_a_list_of_candidates(stage: Stage, expected: tuple[str, ...]) -> None:
    assert bot().providers(stage) == expected


def test_a_named_provider_or_chain_is_taken_as_it_stands() -> None:
    made = bot(stt={"provider": "deepgram"}, tts={"provider": ["elevenlabs", "local"]})
    assert made.providers(Stage.STAGE_STT) == ("deepgram",)
    assert made.providers(Stage.STAGE_TTS) == ("elevenlabs", "local")


def test_default_settings_of_each_stage() -> None:
    made = bot()
    assert {stage: json.loads(made.settings(stage, "local")) for stage in made_stages()} == {
        Stage.STAGE_VAD: {
            "threshold": 0.5,
            "min_speech_duration_ms": 250,
            "min_silence_duration_ms": 200,
            "end_of_turn": "model",
        },
        Stage.STAGE_STT: {"language": "en", "model": None, "keyterms": [], "interim_interval_ms": 500},
        Stage.STAGE_LLM: {
            "prompt": made.prompt_for("local"),
            "model": None,
            "temperature": 0.7,
            "max_tokens": None,
            "max_sentences": None,
            "first_segment": "phrase",
            "tools": [],
        },
        Stage.STAGE_TTS: {"language": "en", "model": None, "voice": None, "speed": 1.0},
    }


def made_stages() -> list[Stage]:
    return [Stage.STAGE_VAD, Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS]


def test_language_is_the_bots_unless_a_stage_has_its_own() -> None:
    made = bot(language="de", tts={"language": "de-AT"})
    assert json.loads(made.settings(Stage.STAGE_STT, "local"))["language"] == "de"
    assert json.loads(made.settings(Stage.STAGE_TTS, "local"))["language"] == "de-AT"


def test_model_and_voice_go_to_the_first_provider_only() -> None:
    made = bot(tts={"provider": ["elevenlabs", "local"], "model": "m", "voice": "v"})
    first = json.loads(made.settings(Stage.STAGE_TTS, "elevenlabs"))
    second = json.loads(made.settings(Stage.STAGE_TTS, "local"))
    assert (first["model"], first["voice"]) == ("m", "v")
    assert (second["model"], second["voice"]) == (None, None)


def test_keyterms_go_to_every_recognizer() -> None:
    made = bot(stt={"provider": ["deepgram-flux", "local"], "keyterms": ["Natter", "New Delhi"]})
    for provider in made.providers(Stage.STAGE_STT):
        assert json.loads(made.settings(Stage.STAGE_STT, provider))["keyterms"] == ["Natter", "New Delhi"]


@pytest.mark.parametrize("keyterms", [["x"] * 101, ["x" * 65], [" "], ["a\nb"], "one", [1]])
def test_keyterms_have_bounds(keyterms: Any) -> None:
    with pytest.raises(ValidationError):
        bot(stt={"keyterms": keyterms})


def test_a_small_model_gets_the_small_prompt() -> None:
    made = bot(prompt_small="Be b.")
    assert made.prompt_for("local") == "Be b."
    assert made.prompt_for("openai") == "Be B."
    assert bot().prompt_for("local") == "Be B."


def test_a_bot_does_not_change() -> None:
    made = bot()
    with pytest.raises(ValidationError):
        made.vad.threshold = 0.9  # type: ignore[misc]
    assert hash(made) == hash(bot())


def test_no_settings_without_a_stage() -> None:
    with pytest.raises(ValueError, match="no stage"):
        bot().settings(Stage.STAGE_UNSPECIFIED, "local")


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("turn", {"complete_probability": 1.1}),
        ("turn", {"silence_limit_ms": 150}),
        ("turn", {"end_of_turn_silence_ms": 2_000}),
        ("turn", {"speculations_per_turn": 0}),
        ("turn", {"speculation": "on"}),
        ("vad", {"end_of_turn": "guess"}),
        ("llm", {"first_segment": "word"}),
        ("call", {"idle_after_ms": -1}),
        ("call", {"idle_close_ms": 0}),
        ("call", {"max_length_s": 86_401}),
        ("call", {"idle_question": "x" * 301}),
    ],
)
def test_turns_and_calls_have_bounds(section: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        bot(**{section: settings})


def test_what_a_bot_says_by_itself_is_english_or_its_own() -> None:
    assert bot().call_words.idle_question == "Are you still there?"
    assert bot(language="en-GB", call={"idle_question": ""}).call_words.idle_question == ""
    german = bot(language="de", call={"idle_question": "Sind Sie noch da?"}).call_words
    assert (german.idle_question, german.idle_goodbye, german.length_goodbye) == ("Sind Sie noch da?", "", "")


def test_texts_of_a_call_have_variables() -> None:
    made = bot(variables={"guest": None}, call={"idle_question": "{{guest}}?"}).with_variables({"guest": "Ms Lee"})
    assert made.call_words.idle_question == "Ms Lee?"
    assert made.call_words.idle_goodbye == bot().call_words.idle_goodbye
    with pytest.raises(ValidationError, match="gast"):
        bot(call={"idle_question": "{{gast}}?"})
