"""Text that is typed, and the bot that speaks first."""

from typing import Any

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_typed_text_interrupts_and_is_answered_at_once(call: Any) -> None:
    call.answer(call.ask())
    actions = call.at(100, ev.Typed("stop that", Modality.TEXT, run_immediately=True))
    assert kinds(actions) == [
        "UserStarted",
        "PublishState",
        "EndAttempt",
        "UserStopped",
        "CommitUser",
        "PublishState",
        "StartAttempt",
    ]
    assert actions[-1] == act.StartAttempt((2, 1), "stop that", Modality.TEXT)


def test_typed_text_joins_what_was_said(call: Any) -> None:
    call.speak(0.1)
    call.recognise("my name is")
    call.at(10, ev.Typed("Kowalczyk", Modality.VOICE, run_immediately=True))
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "my name is Kowalczyk", Modality.VOICE)]


def test_words_that_are_being_spoken_are_waited_for(call: Any) -> None:
    call.onset()
    call.confirm()
    call.interim("my name", 300)
    call.at(10, ev.Typed("Kowalczyk", Modality.VOICE, run_immediately=True))
    assert call.texts == []
    call.dip(200)
    call.pause(0.1)
    call.recognise("my name is")
    assert call.texts == ["my name is Kowalczyk"]


def test_words_that_do_not_end_are_not(call: Any) -> None:
    call.onset()
    call.confirm()
    call.interim("my name", 300)
    call.at(10, ev.Typed("Kowalczyk", Modality.VOICE, run_immediately=True))
    call.at(300, ev.Typed("Anna", Modality.VOICE, run_immediately=True))
    call.wait(699)
    assert call.texts == []
    call.wait(1)
    assert call.texts == ["my name Kowalczyk Anna"]


def test_a_typed_turn_is_not_taken_back_by_speech(call: Any) -> None:
    call.at(0, ev.Typed("hello", Modality.VOICE, run_immediately=True))
    call.onset()
    call.interim("and more", 200)
    assert call.of(act.ReopenUser) == []
    assert call.machine.turn == 2


def test_text_that_need_not_run_waits_for_the_next_turn(call: Any) -> None:
    assert call.at(0, ev.Typed("I am in Oslo.", Modality.VOICE, run_immediately=False)) == []
    call.ask("what is the weather")
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "I am in Oslo. what is the weather", Modality.VOICE)]


def test_a_greeting_is_said_unless_the_caller_talks_already(call: Any, new_call: Any) -> None:
    assert kinds(call.at(0, ev.Say("Hi!"))) == ["PublishState", "StartVerbatim"]
    talking = new_call()
    talking.onset()
    assert talking.at(10, ev.Say("Hi!")) == []


def test_a_greeting_that_is_interrupted_leaves_a_new_turn(call: Any) -> None:
    call.at(0, ev.Say("Hi!"))
    call.at(50, ev.ReplyAudible((1, 1)))
    call.onset()
    call.interim("hello", 200)
    assert call.of(act.EndAttempt) == [act.EndAttempt((1, 1), act.Outcome.INTERRUPTED)]
    assert call.machine.turn == 2


def test_what_is_said_over_everything_ends_what_goes_on(call: Any) -> None:
    call.onset()
    call.confirm()
    call.interim("and then I", 300)
    actions = call.at(0, ev.Say("Our time is over.", over=True))
    assert kinds(actions) == ["UserStopped", "PublishState", "StartVerbatim"]
    call.wait(10_000)
    assert call.texts == []


def test_a_reply_is_cut_by_it(call: Any) -> None:
    key = call.ask()
    call.answer(key)
    call.onset()
    actions = call.at(0, ev.Say("Our time is over.", over=True))
    assert act.EndAttempt(key, act.Outcome.INTERRUPTED) in actions
    assert "StartVerbatim" in kinds(actions)
