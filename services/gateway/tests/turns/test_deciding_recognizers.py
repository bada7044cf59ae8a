"""Recognizers that decide about turns themselves, and one that takes over from another."""

from typing import Any

import pytest

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality, Sign

DECIDES = ev.RecognizerChanged(decides_turns=True, final_grace_ms=0.0)
PLAIN = ev.RecognizerChanged(decides_turns=False, final_grace_ms=800.0)


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


@pytest.fixture
def deciding(call: Any) -> Any:
    call.at(0, DECIDES)
    call.speak()
    return call


def end(call: Any, text: str, ms_later: float = 100) -> list[act.Action]:
    return call.at(ms_later, ev.Recognised(text, True, 0, Sign.END))


def test_silence_does_not_end_a_turn_that_it_does_not_end(deciding: Any) -> None:
    deciding.interim("hello")
    deciding.wait(2_000)
    assert deciding.texts == []


def test_its_end_ends_the_turn_at_once(deciding: Any) -> None:
    actions = end(deciding, "hello there")
    assert kinds(actions) == ["ShowUserText", "UserStopped", "CommitUser", "PublishState", "StartAttempt"]


def test_its_eager_end_prepares_an_answer_that_the_end_adopts(deciding: Any) -> None:
    deciding.interim("hello there", sign=Sign.EAGER_END)
    assert deciding.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]
    assert deciding.machine.living is None
    assert deciding.machine.guess == (1, 1)
    end(deciding, "Hello, there!")
    assert deciding.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]
    assert deciding.of(act.StartAttempt) == []
    assert deciding.machine.living == (1, 1)
    assert deciding.machine.guess is None


def test_its_resume_drops_what_was_prepared(deciding: Any) -> None:
    deciding.interim("hello there", sign=Sign.EAGER_END)
    deciding.interim("hello there my", 100, Sign.RESUMED)
    assert deciding.of(act.DropGuess) == [act.DropGuess((1, 1))]
    end(deciding, "hello there my friend")
    assert deciding.of(act.StartAttempt) == [act.StartAttempt((1, 2), "hello there my friend", Modality.VOICE)]


def test_other_words_at_the_end_drop_what_was_prepared(deciding: Any) -> None:
    deciding.interim("hello there", sign=Sign.EAGER_END)
    end(deciding, "hello chair")
    assert kinds([*deciding.of(act.DropGuess), *deciding.of(act.StartAttempt)]) == ["DropGuess", "StartAttempt"]


def test_its_end_over_a_reply_interrupts_with_a_word_and_not_with_a_backchannel(deciding: Any) -> None:
    end(deciding, "hello there")
    key = deciding.machine.living
    deciding.answer(key)
    deciding.onset()
    end(deciding, "mhm")
    assert deciding.machine.living == key
    end(deciding, "stop it")
    assert deciding.texts == ["hello there", "mhm stop it"]


def test_one_that_says_nothing_does_not_keep_the_turn_open_for_good(deciding: Any) -> None:
    deciding.interim("hello")
    deciding.wait(deciding.settings.turn_sign_deadline_ms)
    assert deciding.texts == ["hello"]


def test_another_recognizer_in_the_pause_is_asked_for_the_words(deciding: Any) -> None:
    deciding.at(50, PLAIN)
    deciding.recognise("hello there")
    assert deciding.texts == ["hello there"]


def test_another_recognizer_gets_the_time_that_its_predecessor_had(call: Any) -> None:
    call.speak()
    call.at(500, PLAIN)
    call.interim("hello", 100)
    call.wait(600)
    assert call.texts == []
    call.recognise("hello there")
    assert call.texts == ["hello there"]


def test_a_third_recognizer_in_a_pause_is_not_waited_for(call: Any) -> None:
    call.speak()
    for _ in range(2):
        call.at(700, PLAIN)
        assert call.of(act.UserStopped) == []
    call.at(700, PLAIN)
    assert call.of(act.UserStopped) == [act.UserStopped(1)]


def test_one_that_is_told_when_to_close_has_its_time_from_the_takeover_on(deciding: Any) -> None:
    deciding.interim("hello")
    deciding.wait(1_500)
    deciding.at(0, ev.RecognizerChanged(decides_turns=False, final_grace_ms=300))
    asked = deciding.of(act.AskFinal)[-1]
    assert asked.through_sample == deciding.end + 100 * 16
    deciding.wait(150)
    assert deciding.texts == []
    deciding.recognise("hello there")
    assert deciding.texts == ["hello there"]


def test_its_eager_end_prepares_nothing_where_there_is_no_room_for_guesses(deciding: Any) -> None:
    deciding.at(0, ev.RoomForGuesses(enough=False))
    deciding.interim("hello there", sign=Sign.EAGER_END)
    assert deciding.of(act.StartGuess) == []
    end(deciding, "hello there")
    assert deciding.of(act.StartAttempt) == [act.StartAttempt((1, 1), "hello there", Modality.VOICE)]


def test_an_answer_to_other_words_is_dropped_where_none_may_be_prepared(deciding: Any) -> None:
    deciding.interim("hello", sign=Sign.EAGER_END)
    deciding.at(0, ev.RoomForGuesses(enough=False))
    deciding.interim("hello there", 100, Sign.EAGER_END)
    assert deciding.of(act.DropGuess) == [act.DropGuess((1, 1))]
    assert len(deciding.of(act.StartGuess)) == 1


def test_its_eager_ends_prepare_so_many_answers_and_no_more(deciding: Any) -> None:
    text = "hello"
    for number in range(6):
        deciding.interim(text, sign=Sign.EAGER_END)
        text = f"{text} {number}"
        deciding.interim(text, 100, Sign.RESUMED)
    assert len(deciding.of(act.StartGuess)) == deciding.settings.guesses_per_turn
