"""A detector goes on where another one was: what it tells again, and what it can't know, makes no second turn."""

from typing import Any

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev


def test_a_detector_that_takes_over_tells_again_what_is_known(call: Any) -> None:
    call.onset()
    call.confirm()
    call.dip()
    began, end = call.began, call.end
    call.wait(20)
    call.at(0, ev.Onset(began + 512, began + 1_536))
    call.at(5, ev.Dipped(began + 2_000, began + 2_512))
    call.at(5, ev.WentOn(began + 3_000))
    call.at(5, ev.SpeechConfirmed(began + 512, began + 5_000))
    call.at(5, ev.Dipped(end, end + 512))
    call.at(5, ev.Paused(end, call.sample, 0.9))
    (asked,) = call.of(act.AskFinal)
    call.at(10, ev.Recognised("hello there", True, asked.finalize_id, through_sample=call.sample))
    call.wait(300)
    assert [commit.text for commit in call.of(act.CommitUser)] == ["hello there"]
    assert len(call.of(act.UserStarted)) == 1


def test_speech_of_which_only_onset_and_pause_are_known_is_a_turn(call: Any) -> None:
    call.onset()
    call.at(300, ev.Paused(call.sample, call.sample, 0.9))
    (asked,) = call.of(act.AskFinal)
    call.at(10, ev.Recognised("yes", True, asked.finalize_id, through_sample=call.sample))
    call.wait(500)
    assert [commit.text for commit in call.of(act.CommitUser)] == ["yes"]


def test_a_detector_that_heard_only_the_end_of_speech_ends_it(call: Any) -> None:
    call.onset()
    call.confirm()
    call.at(500, ev.OnsetFaded(call.sample, call.sample))
    (asked,) = call.of(act.AskFinal)
    call.at(10, ev.Recognised("hello there", True, asked.finalize_id, through_sample=call.sample))
    call.wait(2_000)
    assert [commit.text for commit in call.of(act.CommitUser)] == ["hello there"]
