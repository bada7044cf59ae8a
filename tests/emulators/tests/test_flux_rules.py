"""Deepgram's Flux by its rules: how turns begin, waver and end, in the time of the audio."""

from itertools import pairwise
from typing import Any

import pytest

from natter_emulators.deepgram.flux import Flux, FluxOptions, TurnQuiet
from natter_emulators.deepgram.listen import BadQueryError
from natter_emulators.marks import count_words, speak

RATE_HZ = 16_000
EAGER = FluxOptions(eager_eot_threshold=0.5)


def silence(ms: int) -> bytes:
    return bytes(RATE_HZ * ms // 1000 * 2)


def spoken(text: str) -> bytes:
    return speak(text, RATE_HZ).pcm.astype("<i2").tobytes()


def hear(flux: Flux, pcm: bytes) -> list[dict[str, Any]]:
    return [message for at in range(0, len(pcm), 640) for message in flux.feed(pcm[at : at + 640])]


def events(messages: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """All but the updates."""
    return [
        (message["event"], message["turn_index"], message["transcript"])
        for message in messages
        if message["event"] != "Update"
    ]


def test_two_turns() -> None:
    flux = Flux(EAGER, "r")
    told = hear(flux, silence(300) + spoken("what time is it") + silence(900) + spoken("thank you") + silence(900))
    assert events(told) == [
        ("StartOfTurn", 0, "what"),
        ("EagerEndOfTurn", 0, "what time is it"),
        ("EndOfTurn", 0, "what time is it"),
        ("StartOfTurn", 1, "thank"),
        ("EagerEndOfTurn", 1, "thank you"),
        ("EndOfTurn", 1, "thank you"),
    ]
    assert count_words("what time is it thank you", flux.heard).exact


def test_who_goes_on_speaking_resumes_the_turn_before_new_words_are_told() -> None:
    told = hear(Flux(EAGER, "r"), spoken("well then") + silence(400) + spoken("go on") + silence(900))
    assert events(told)[1:4] == [
        ("EagerEndOfTurn", 0, "well then"),
        ("TurnResumed", 0, "well then"),
        ("EagerEndOfTurn", 0, "well then go on"),
    ]


def test_eager_events_come_only_when_asked_for() -> None:
    told = hear(Flux(FluxOptions(), "r"), spoken("well then") + silence(400) + spoken("go on") + silence(900))
    assert [event for event, _, _ in events(told)] == ["StartOfTurn", "EndOfTurn"]


def test_updates_come_four_times_a_second_speech_or_not() -> None:
    told = hear(Flux(EAGER, "r"), silence(1000) + spoken("one two three") + silence(900))
    ends = [message["audio_window_end"] for message in told]
    assert all(later - earlier <= 0.27 for earlier, later in pairwise([0.0, *ends]))


def test_messages_are_numbered_over_all_kinds() -> None:
    flux = Flux(EAGER, "r")
    told = [flux.connected(), *hear(flux, spoken("yes") + silence(900)), flux.configure({}), flux.fatal("X", "y")]
    assert [message["sequence_id"] for message in told] == list(range(len(told)))


def test_the_quiet_that_ends_turns_can_be_set() -> None:
    flux = Flux(EAGER, "r", TurnQuiet(eager_ms=500, end_ms=1000))
    assert "EagerEndOfTurn" not in str(hear(flux, spoken("yes please") + silence(350)))
    assert [event for event, _, _ in events(hear(flux, silence(700)))] == ["EagerEndOfTurn", "EndOfTurn"]


def test_a_turn_that_the_model_must_not_end_ends_by_force_or_by_time() -> None:
    flux = Flux(FluxOptions(eot_threshold=1.0, eot_timeout_ms=2000), "r")
    assert "EndOfTurn" not in str(hear(flux, spoken("yes please") + silence(1500)))
    (forced,) = flux.force_end_turn()
    assert (forced["event"], forced["trigger"]) == ("EndOfTurn", "manual")
    assert not list(flux.force_end_turn())
    told = hear(flux, spoken("no thanks") + silence(2100))
    assert [message["trigger"] for message in told if message["event"] == "EndOfTurn"] == ["timeout"]


def test_thresholds_can_be_changed_on_the_way() -> None:
    flux = Flux(FluxOptions(), "r")
    changed = flux.configure({"thresholds": {"eager_eot_threshold": 0.4}, "keyterms": ["natter"]})
    assert changed["type"] == "ConfigureSuccess"
    assert changed["thresholds"]["eager_eot_threshold"] == 0.4
    assert "EagerEndOfTurn" in str(hear(flux, spoken("yes please") + silence(400)))
    assert flux.configure({"thresholds": {"eot_threshold": 7}})["type"] == "ConfigureFailure"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "nova-3"},
        {"encoding": "opus"},
        {"sample_rate": ""},
        {"eager_eot_threshold": "0.1"},
        {"eot_timeout_ms": "1"},
    ],
)
def test_wrong_queries(wrong: dict[str, str]) -> None:
    query = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": "16000"}
    FluxOptions.from_query(query)
    with pytest.raises(BadQueryError):
        FluxOptions.from_query({**query, **wrong})


def test_sentences() -> None:
    told = hear(Flux(EAGER, "r", sentences=True), spoken("well then") + silence(400) + spoken("go on") + silence(900))
    assert [transcript for _, _, transcript in events(told)] == [
        "Well",
        "Well then.",
        "Well then",
        "Well then go on.",
        "Well then go on.",
    ]
