"""A sound over the reply: held at once, then judged."""

from typing import Any

import pytest

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.states import Interjecting, Pausing, Quiet, Speaking, Talking


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


@pytest.fixture
def speaking(call: Any) -> Any:
    """The bot has been talking for a while."""
    call.key = call.ask()
    call.answer(call.key)
    call.wait(1_000)
    call.done.clear()
    return call


def test_an_onset_holds_the_voice_and_tells_nobody(speaking: Any) -> None:
    assert kinds(speaking.onset()) == ["PublishState", "HoldVoice"]
    assert isinstance(speaking.machine.caller, Interjecting)
    # Speech alone says nothing yet.
    assert speaking.confirm() == []


@pytest.mark.parametrize("word", ["stop", "No.", "wait", "yeah but"])
def test_a_word_interrupts_at_once(speaking: Any, word: str) -> None:
    speaking.onset()
    assert kinds(speaking.interim(word, 100)) == [
        "UserStarted",
        "PublishState",
        "EndAttempt",
        "ShowUserText",
        "PublishState",
    ]
    assert speaking.of(act.EndAttempt) == [act.EndAttempt(speaking.key, act.Outcome.INTERRUPTED)]
    assert isinstance(speaking.machine.caller, Talking)


@pytest.mark.parametrize("word", ["mhm", "Yeah.", "okay, right", "uh-huh", "I see.", "Of course"])
def test_a_backchannel_does_not(speaking: Any, word: str) -> None:
    speaking.onset()
    assert speaking.interim(word, 100) == []
    speaking.fade()
    assert kinds(speaking.recognise(word)) == ["PublishState", "ResumeVoice"]
    assert speaking.machine.bot == Speaking(speaking.key, settled=True)
    assert isinstance(speaking.machine.caller, Quiet)
    assert speaking.texts == []


@pytest.mark.parametrize(("heard", "needed_ms"), [("", 900), ("mhm mhm", 1_200), ("mum", 600)])
def test_speech_that_is_long_enough_interrupts_whatever_it_says(speaking: Any, heard: str, needed_ms: float) -> None:
    speaking.onset()
    speaking.confirm()
    speaking.at(0, ev.Recognised(heard, False, 0, through_sample=speaking.sample, trusted=False))
    assert speaking.wait(needed_ms - 64 - 186 - 1) == []
    assert "EndAttempt" in kinds(speaking.wait(1))


def test_quiet_inside_of_it_does_not_count_as_speech(speaking: Any) -> None:
    speaking.onset()
    speaking.confirm()
    speaking.dip(200)
    speaking.at(68, ev.WentOn(speaking.sample))
    assert speaking.wait(900 - 450 - 1) == []
    assert "EndAttempt" in kinds(speaking.wait(1))


def test_a_word_that_may_be_a_cough_does_not_interrupt_by_itself(speaking: Any) -> None:
    speaking.onset()
    speaking.fade(150)
    request = speaking.of(act.AskFinal)[-1]
    answer = ev.Recognised("Mum.", True, request.finalize_id, through_sample=speaking.sample, trusted=False)
    assert kinds(speaking.at(30, answer)) == []
    # Half a second of quiet, of which 230 ms are over.
    assert speaking.wait(269) == []
    assert kinds(speaking.wait(1)) == ["PublishState", "ResumeVoice"]


def test_a_doubtful_word_counts_with_those_that_follow_soon(speaking: Any) -> None:
    speaking.onset()
    speaking.fade(150)
    request = speaking.of(act.AskFinal)[-1]
    speaking.at(30, ev.Recognised("Actually,", True, request.finalize_id, speaking.sample, trusted=False))
    speaking.onset(100)
    assert speaking.of(act.ResumeVoice) == []
    more = ev.Recognised("I meant", False, 0, through_sample=speaking.sample, trusted=False)
    speaking.at(300, more)
    assert speaking.of(act.UserStarted)[-1] == act.UserStarted(2)
    assert speaking.of(act.ResumeVoice) == []


def test_a_sound_without_a_word_was_nothing_and_the_voice_goes_on(speaking: Any) -> None:
    speaking.onset()
    assert kinds(speaking.fade()) == ["PublishState", "AskFinal"]
    # 200 ms of quiet are over; 250 ms of it, and 400 ms more, are waited for.
    assert speaking.wait(449) == []
    assert kinds(speaking.wait(1)) == ["PublishState", "ResumeVoice"]


def test_recognition_that_finds_nothing_need_not_be_waited_for(speaking: Any) -> None:
    speaking.onset()
    speaking.fade()
    assert kinds(speaking.recognise("", 30)) == ["PublishState", "ResumeVoice"]


def test_each_false_alarm_asks_for_more_speech(speaking: Any) -> None:
    speaking.onset()
    speaking.fade()
    speaking.recognise("")
    speaking.onset()
    assert speaking.wait(900 - 64 + 199) == []
    assert "EndAttempt" in kinds(speaking.wait(1))


def test_the_word_that_was_found_when_it_is_quiet_again_is_the_turn(speaking: Any) -> None:
    speaking.onset()
    speaking.fade(150)
    speaking.at(0, ev.Estimated(speaking.end, 0.9))
    actions = speaking.recognise("Stop.")
    assert kinds(actions)[-4:] == ["UserStopped", "CommitUser", "PublishState", "StartAttempt"]
    assert speaking.texts == ["Stop."]
    assert speaking.machine.turn == 2


def test_a_word_that_comes_too_late_for_the_verdict_interrupts_all_the_same(speaking: Any) -> None:
    speaking.onset()
    speaking.fade()
    speaking.wait(1_000)
    assert "ResumeVoice" in kinds(speaking.done)
    assert "EndAttempt" in kinds(speaking.recognise("Stop."))
    speaking.wait(speaking.settings.silence_limit_ms)
    assert speaking.texts == ["Stop."]


def test_two_short_sounds_count_together(speaking: Any) -> None:
    speaking.onset()
    speaking.fade(236)
    speaking.onset(50)
    assert isinstance(speaking.machine.caller, Interjecting)
    # 300 ms were over at the first; 64 of the second are, when it is noticed.
    assert speaking.wait(600 - 64 - 1) == []
    assert "EndAttempt" in kinds(speaking.wait(1))


def test_a_reply_that_ends_under_a_sound_leaves_it_to_be_a_turn(speaking: Any) -> None:
    speaking.onset()
    speaking.confirm()
    speaking.at(0, ev.ReplyFailed(speaking.key, "broken"))
    assert isinstance(speaking.machine.caller, Talking)
    speaking.dip(100)
    speaking.pause()
    speaking.recognise("mhm")
    assert speaking.texts == ["mhm"]


def test_a_reply_that_ends_while_a_sound_is_weighed_leaves_it_to_recognition(speaking: Any) -> None:
    speaking.onset()
    speaking.fade()
    speaking.at(0, ev.ReplyFailed(speaking.key, "broken"))
    assert isinstance(speaking.machine.caller, Pausing)
    speaking.recognise("no")
    speaking.wait(speaking.settings.silence_limit_ms)
    assert speaking.texts == ["no"]


# --- Taking a turn back


def test_speech_before_the_reply_was_heard_reopens_the_turn(call: Any) -> None:
    key = call.ask("I would like")
    call.answer(key, heard=False)
    call.done.clear()
    call.onset()
    actions = call.interim("some tea", 200)
    assert kinds(actions) == [
        "UserStarted",
        "PublishState",
        "EndAttempt",
        "ReopenUser",
        "ShowUserText",
        "PublishState",
    ]
    assert call.of(act.EndAttempt) == [act.EndAttempt(key, act.Outcome.REOPENED)]
    call.dip()
    call.pause()
    call.recognise("some tea please")
    assert call.texts == ["I would like some tea please"]
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 2), "I would like some tea please", key_modality())]


def key_modality() -> Any:
    from natter_gateway.turns.events import Modality

    return Modality.VOICE


def test_a_noise_before_the_reply_was_heard_does_not(call: Any) -> None:
    key = call.ask()
    call.answer(key, heard=False)
    call.onset()
    call.fade()
    call.recognise("")
    assert call.machine.living == key
    assert call.of(act.ReopenUser) == []


@pytest.mark.parametrize("fact", [ev.ReplyEstablished, ev.ToolsActed])
def test_once_it_was_heard_or_acted_it_is_an_interruption(call: Any, fact: Any) -> None:
    key = call.ask("I would like")
    call.at(100, fact(key))
    call.onset()
    call.interim("some tea", 200)
    assert call.of(act.ReopenUser) == []
    assert call.of(act.EndAttempt) == [act.EndAttempt(key, act.Outcome.INTERRUPTED)]
    assert call.machine.turn == 2


def test_a_turn_taken_back_from_an_interim_gets_its_final(call: Any) -> None:
    call.speak()
    call.interim("hello bear", 10)
    call.wait(300)
    assert call.texts == ["hello bear"]
    owed = call.of(act.AskFinal)[-1].finalize_id
    call.onset()
    call.interim("and goodbye", 200)
    call.at(0, ev.Recognised("hello there", True, owed))
    call.dip()
    call.pause()
    call.recognise("and goodbye")
    assert call.texts == ["hello bear", "hello there and goodbye"]


def test_a_late_final_with_other_words_is_answered_anew(call: Any) -> None:
    call.speak()
    call.interim("hello bear", 10)
    call.wait(300)
    key = call.machine.living
    actions = call.recognise("hello there")
    assert kinds(actions) == ["PublishState", "EndAttempt", "CorrectUser", "PublishState", "StartAttempt"]
    assert act.EndAttempt(key, act.Outcome.REOPENED) in actions
    assert call.machine.living == (1, 2)


@pytest.mark.parametrize(("text", "heard"), [("Hello, bear!", False), ("hello there", True)])
def test_a_late_final_only_corrects_where_it_says_the_same_or_comes_too_late(call: Any, text: str, heard: bool) -> None:
    call.speak()
    call.interim("hello bear", 10)
    call.wait(300)
    call.answer(call.machine.living, heard=heard)
    assert call.recognise(text) == [act.CorrectUser(1, text)]
