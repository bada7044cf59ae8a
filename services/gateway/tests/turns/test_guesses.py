"""Replies that are prepared for a turn that is probably over."""

from typing import Any

import pytest

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev

STABLE = ev.RecognizerChanged(decides_turns=False, final_grace_ms=300, early_final=True, stable_interims=True)
UNSTABLE = ev.RecognizerChanged(decides_turns=False, final_grace_ms=300)


def talk(call: Any, recognizer: ev.RecognizerChanged = STABLE) -> None:
    call.at(0, recognizer)
    call.onset()
    call.confirm()


def test_an_interim_that_covers_the_dip_starts_one(call: Any) -> None:
    talk(call)
    call.dip()
    assert call.of(act.StartGuess) == []
    call.interim("hello there", 30)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]
    assert call.machine.living is None


def test_an_interim_that_almost_covers_it_needs_more_quiet(call: Any) -> None:
    talk(call)
    call.wait(700)
    call.interim("hello there")
    call.dip(100)
    assert call.of(act.StartGuess) == []
    call.wait(67)
    assert call.of(act.StartGuess) == []
    call.wait(1)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]


def test_an_interim_that_may_lack_a_word_starts_none(call: Any) -> None:
    talk(call)
    call.interim("hello")
    call.dip(500)
    call.wait(160)
    assert call.of(act.StartGuess) == []


def test_the_same_words_at_the_end_adopt_it(call: Any) -> None:
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    call.recognise("Hello, there!", 60)
    call.wait(110)
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]
    assert call.of(act.StartAttempt) == []
    assert call.machine.living == (1, 1)
    assert call.machine.guess is None


def test_other_words_in_the_final_drop_it_at_once_and_another_is_started(call: Any) -> None:
    talk(call)
    call.dip()
    call.interim("hello bear", 30)
    call.recognise("hello there", 60)
    assert call.of(act.DropGuess) == [act.DropGuess((1, 1))]
    assert call.of(act.StartGuess)[-1] == act.StartGuess((1, 2), "hello there")
    call.wait(110)
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 2))]


def test_speech_that_goes_on_drops_it_once_there_are_more_words(call: Any) -> None:
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    call.at(30, ev.WentOn(call.sample))
    assert call.of(act.DropGuess) == []
    call.interim("hello there my friend", 300)
    assert call.of(act.DropGuess) == [act.DropGuess((1, 1))]


def test_a_recognizer_without_stable_interims_has_one_on_its_final(call: Any) -> None:
    talk(call, UNSTABLE)
    call.dip()
    call.interim("hello there", 30)
    call.pause(0.0)
    assert call.of(act.StartGuess) == []
    call.recognise("hello there", 20)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]
    call.at(50, ev.Estimated(call.end, 0.9))
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]


def test_words_that_recognition_is_not_sure_of_are_given_time(call: Any) -> None:
    talk(call)
    call.dip()
    call.at(30, ev.Recognised("hello there", False, 0, through_sample=call.sample, trusted=False))
    call.wait(200 - 32 - 30 - 1)
    assert call.of(act.StartGuess) == []
    call.wait(1)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    asked = call.of(act.AskFinal)[-1].finalize_id
    call.at(0, ev.Recognised("hello there", True, asked, through_sample=call.sample, trusted=False))
    call.wait(99)
    assert call.of(act.AdoptGuess) == []
    call.wait(1)
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]


@pytest.mark.parametrize(
    ("text", "probability", "silence_ms"),
    [("I would like to", 0.9, 1_600), ("hello there", 0.25, 900), ("Hello there.", 0.05, 740)],
)
def test_what_reads_or_sounds_unfinished_has_one_when_the_silence_is_almost_long_enough(
    call: Any, text: str, probability: float, silence_ms: float
) -> None:
    talk(call)
    call.dip()
    call.at(0, ev.Estimated(call.end, probability))
    call.interim(text, 30)
    call.recognise(text, 60)
    call.wait(78)
    call.at(0, ev.Paused(call.end, call.sample, probability))
    call.wait(silence_ms - 500 - 200 - 1)
    assert call.of(act.StartGuess) == []
    call.wait(1)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), text)]
    call.wait(500)
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]


def test_a_recognizer_whose_words_change_is_given_some_time(call: Any) -> None:
    talk(call, ev.RecognizerChanged(decides_turns=False, final_grace_ms=300, early_final=True))
    call.dip()
    call.wait(60)
    call.recognise("Hello there.", 0)
    call.wait(199 - (call.sample - call.end) / 16)
    assert call.of(act.StartGuess) == []
    call.wait(1)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "Hello there.")]


def test_where_little_silence_is_missing_it_waits_for_nothing(call: Any) -> None:
    talk(call)
    call.dip()
    call.at(0, ev.Estimated(call.end, 0.25))
    call.recognise("Hello there.", 60)
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "Hello there.")]


def test_a_turn_has_so_many_and_no_more(call: Any) -> None:
    talk(call)
    text = ""
    for word in ("apples", "pears", "plums", "nuts", "figs"):
        text = f"{text} {word}".strip()
        call.dip(300)
        call.interim(text, 30)
        call.at(10, ev.WentOn(call.sample))
    assert len(call.of(act.StartGuess)) == call.settings.guesses_per_turn


def test_without_room_there_is_none(call: Any) -> None:
    call.at(0, ev.RoomForGuesses(enough=False))
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    assert call.of(act.StartGuess) == []
    call.at(0, ev.RoomForGuesses(enough=True))
    assert len(call.of(act.StartGuess)) == 1


def test_a_bot_may_do_without(new_call: Any) -> None:
    call = new_call(speculation=False)
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    call.recognise("hello there", 60)
    call.wait(110)
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.of(act.StartGuess) == []
    assert call.of(act.StartAttempt) != []


def test_one_that_fails_is_none(call: Any) -> None:
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    call.at(0, ev.GuessFailed((1, 1)))
    assert call.of(act.DropGuess) == [act.DropGuess((1, 1))]


def test_a_turn_without_words_drops_it(call: Any) -> None:
    talk(call)
    call.dip()
    call.interim("hello there", 30)
    call.at(0, ev.Typed("stop", act.Modality.VOICE, run_immediately=True))
    call.wait(2_000)
    assert call.of(act.DropGuess) == [act.DropGuess((1, 1))]
    assert call.texts == ["hello there stop"]
