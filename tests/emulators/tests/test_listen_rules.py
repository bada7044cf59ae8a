"""Deepgram's listen v1 by its rules: what is told when, in the time of the audio."""

from itertools import pairwise
from typing import Any

import pytest

from natter_emulators.deepgram.listen import BadQueryError, Listen, ListenOptions
from natter_emulators.marks import count_words, speak

RATE_HZ = 16_000
QUERY = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"}


def silence(ms: int) -> bytes:
    return bytes(RATE_HZ * ms // 1000 * 2)


def spoken(text: str) -> bytes:
    return speak(text, RATE_HZ).pcm.astype("<i2").tobytes()


def hear(listen: Listen, pcm: bytes) -> list[tuple[float, dict[str, Any]]]:
    """Feeds 20 ms at a time; messages with the second of the audio at which they came."""
    return [
        (at / RATE_HZ / 2, message) for at in range(0, len(pcm), 640) for message in listen.feed(pcm[at : at + 640])
    ]


def words_of(messages: list[dict[str, Any]]) -> list[str]:
    return [word["word"] for message in messages for word in message["channel"]["alternatives"][0]["words"]]


def finals(messages: list[tuple[float, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [message for _, message in messages if message["type"] == "Results" and message["is_final"]]


def test_a_pause_ends_an_utterance_and_its_times_are_those_of_the_stream() -> None:
    listen = Listen(ListenOptions(endpointing_ms=300), "r")
    told = hear(listen, silence(500) + spoken("what time is it") + silence(400))
    assert [message["type"] for _, message in told] == ["Results"]
    at, final = told[0]
    assert final["is_final"]
    assert final["speech_final"]
    assert not final["from_finalize"]
    alternative = final["channel"]["alternatives"][0]
    assert alternative["transcript"] == "what time is it"
    first, last = alternative["words"][0], alternative["words"][-1]
    assert first["start"] == pytest.approx(0.5, abs=0.03)
    assert last["end"] + 0.3 == pytest.approx(at, abs=0.03)
    assert final["start"] == 0
    assert final["duration"] >= last["end"]


def test_interims_come_with_each_word_and_grow() -> None:
    listen = Listen(ListenOptions(interim_results=True, endpointing_ms=None), "r")
    told = hear(listen, spoken("please tell me what time it is now") + silence(300))
    texts = [message["channel"]["alternatives"][0]["transcript"] for _, message in told]
    assert texts[-1] == "please tell me what time it is now"
    assert len(texts) == len(texts[-1].split())
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    times = [at for at, _ in told]
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(times))
    assert not any(message["is_final"] for _, message in told)


def test_long_speech_comes_in_several_finals_that_together_are_its_words() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    listen = Listen(ListenOptions(endpointing_ms=300), "r")
    told = finals(hear(listen, spoken(text) + silence(400)))
    assert len(told) > 1
    assert [message["speech_final"] for message in told] == [False] * (len(told) - 1) + [True]
    assert count_words(text, words_of(told)).exact
    for earlier, later in pairwise(told):
        assert later["start"] == pytest.approx(earlier["start"] + earlier["duration"], abs=0.002)


def test_without_endpointing_only_a_finalize_closes() -> None:
    listen = Listen(ListenOptions(endpointing_ms=None), "r")
    assert not hear(listen, spoken("what time is it") + silence(2000))
    (final,) = listen.finalize()
    assert final["is_final"]
    assert final["from_finalize"]
    assert words_of([final]) == ["what", "time", "is", "it"]


def test_a_finalize_with_nothing_new_is_not_answered() -> None:
    listen = Listen(ListenOptions(endpointing_ms=None), "r")
    hear(listen, spoken("yes") + silence(300))
    assert list(listen.finalize())
    assert not list(listen.finalize())


@pytest.mark.parametrize("ms", range(40, 640, 40))
def test_a_finalize_at_any_moment_loses_and_doubles_no_word(ms: int) -> None:
    text = "what time is it"
    pcm = spoken(text) + silence(300)
    listen = Listen(ListenOptions(endpointing_ms=300), "r")
    at = RATE_HZ * ms // 1000 * 2
    told = finals(hear(listen, pcm[:at])) + list(listen.finalize())
    told += finals(hear(listen, pcm[at:])) + [message for message in listen.close() if message["type"] == "Results"]
    assert count_words(text, words_of(told)).exact
    assert count_words(text, listen.heard).exact
    for message in told:
        for word in message["channel"]["alternatives"][0]["words"]:
            assert (
                message["start"] - 0.03 <= word["start"] <= word["end"] <= message["start"] + message["duration"] + 0.03
            )


def test_speech_started_and_utterance_end_come_once_an_utterance() -> None:
    options = ListenOptions(interim_results=True, endpointing_ms=300, utterance_end_ms=1000, vad_events=True)
    told = hear(Listen(options, "r"), (silence(300) + spoken("yes please") + silence(1500)) * 2)
    events = [(round(at, 1), message) for at, message in told if message["type"] != "Results"]
    assert [message["type"] for _, message in events] == ["SpeechStarted", "UtteranceEnd"] * 2
    assert events[1][1]["last_word_end"] + 1.0 == pytest.approx(events[1][0], abs=0.1)


def test_silence_brings_empty_finals() -> None:
    told = finals(hear(Listen(ListenOptions(), "r"), silence(11_000)))
    assert [words_of([message]) for message in told] == [[], []]


def test_the_end_of_the_stream_tells_what_is_left() -> None:
    listen = Listen(ListenOptions(endpointing_ms=None), "r")
    hear(listen, spoken("goodbye now")[:-4000])
    final, metadata = listen.close()
    assert words_of([final]) == ["goodbye", "now"]
    assert metadata["type"] == "Metadata"
    assert metadata["duration"] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoding": "mulaw"},
        {"sample_rate": "none"},
        {"sample_rate": "0"},
        {"channels": "2"},
        {"model": "flux-general-en"},
        {"utterance_end_ms": "1000"},
        {"utterance_end_ms": "500", "interim_results": "true"},
    ],
)
def test_wrong_queries(wrong: dict[str, str]) -> None:
    with pytest.raises(BadQueryError):
        ListenOptions.from_query({**QUERY, **wrong})


def test_endpointing_can_be_switched_off() -> None:
    assert ListenOptions.from_query({**QUERY, "endpointing": "false"}).endpointing_ms is None
    assert ListenOptions.from_query({**QUERY, "endpointing": "400"}).endpointing_ms == 400


def test_keyterms_are_for_models_that_have_them() -> None:
    listen = Listen(ListenOptions(model="nova-3"), "r")
    assert listen.configure({"keyterms": ["natter"]}) == {
        "type": "ConfigureSuccess",
        "request_id": "r",
        "keyterms": ["natter"],
    }
    assert Listen(ListenOptions(model="nova-2"), "r").configure({"keyterms": []})["type"] == "ConfigureFailure"


def test_sentences_are_written_where_that_is_asked_for() -> None:
    asked = ListenOptions.from_query({**QUERY, "punctuate": "true", "interim_results": "true", "endpointing": "300"})
    pcm = (spoken("yes i do") + silence(500)) * 2
    told = [message["channel"]["alternatives"][0] for _, message in hear(Listen(asked, "r", sentences=True), pcm)]
    assert told[0]["transcript"] == "Yes"
    assert told[-1]["transcript"] == "Yes I do."
    assert [word["word"] for word in told[-1]["words"]] == ["yes", "i", "do"]
    assert [word["punctuated_word"] for word in told[-1]["words"]] == ["Yes", "I", "do."]
    (plain, _) = finals(hear(Listen(ListenOptions(), "r", sentences=True), pcm))
    assert plain["channel"]["alternatives"][0]["transcript"] == "yes i do"
    assert "punctuated_word" not in plain["channel"]["alternatives"][0]["words"][0]
