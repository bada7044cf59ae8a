"""When the caller's turn is over: by silence, by how it sounds and reads, and by what recognition says."""

from typing import Any

import pytest

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.states import Pausing, Quiet, Silent, Talking, Thinking


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_a_turn_that_sounds_complete_ends_with_the_pause_once_recognition_has_closed_it(call: Any) -> None:
    call.speak()
    assert call.of(act.CommitUser) == []
    assert kinds(call.recognise()) == ["ShowUserText", "UserStopped", "CommitUser", "PublishState", "StartAttempt"]
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "hello there", Modality.VOICE)]


def test_a_turn_on_the_wire_has_its_order(call: Any) -> None:
    key = call.ask()
    call.answer(key)
    call.at(500, ev.ReplyComplete(key))
    assert kinds(call.done) == [
        "PublishState",
        "UserStarted",
        "PublishState",
        "PublishState",
        "AskFinal",
        "ShowUserText",
        "UserStopped",
        "CommitUser",
        "PublishState",
        "StartAttempt",
        "PublishState",
        "EndAttempt",
    ]
    assert isinstance(call.machine.bot, Silent)


def test_recognition_is_asked_to_read_a_little_into_the_silence(call: Any) -> None:
    call.speak()
    assert call.of(act.AskFinal) == [act.AskFinal(1, call.end + 100 * 16)]


@pytest.mark.parametrize(
    ("probability", "text", "silence_ms"),
    [
        (0.9, "hello there", 200),
        (0.9, "Hello there.", 200),
        (0.9, "I would like to", 1_600),
        (0.25, "Hello there.", 500),
        (0.25, "hello there", 900),
        (0.0, "Hello there.", 800),
        (0.0, "hello there", 1_600),
        (0.9, "No, I don't think so.", 200),
        (0.9, "My number is 555", 800),
        (0.9, "My number is five five five", 800),
        (0.9, "I am 35", 200),
        (0.9, "Well. If the weather stays like this.", 1_600),
        (0.9, "If you like.", 200),
        (0.9, "If it rains, we stay at home.", 200),
    ],
)
def test_how_it_sounds_and_reads_says_how_long_the_silence_has_to_be(
    call: Any, probability: float, text: str, silence_ms: float
) -> None:
    call.speak(probability)
    call.recognise(text, 0)
    over_ms = silence_ms - 200
    if over_ms:
        call.wait(over_ms - 1)
        assert call.texts == []
        call.wait(1)
    assert call.texts == [text]


def test_an_estimate_that_comes_behind_the_pause_counts_from_then_on(call: Any) -> None:
    call.speak(0.0)
    call.recognise()
    assert call.texts == []
    call.at(30, ev.Estimated(call.end, 0.8))
    assert call.texts == ["hello there"]


def test_an_estimate_of_another_quiet_says_nothing(call: Any) -> None:
    call.speak(0.0)
    call.recognise()
    call.at(30, ev.Estimated(call.end - 512, 0.9))
    assert call.texts == []


def test_an_estimate_that_comes_before_the_pause_is_kept_for_it(call: Any) -> None:
    call.onset()
    call.confirm()
    call.dip()
    call.at(50, ev.Estimated(call.end, 0.9))
    call.pause(0.0)
    call.recognise()
    assert call.texts == ["hello there"]


def test_a_dip_alone_ends_nothing(call: Any) -> None:
    call.onset()
    call.confirm()
    call.dip()
    call.at(20, ev.Estimated(call.end, 0.99))
    call.interim("hello there")
    call.wait(150)
    call.at(0, ev.WentOn(call.sample))
    assert isinstance(call.machine.caller, Talking)
    call.wait(10_000)
    assert call.texts == []


def test_a_recognizer_that_closes_early_is_asked_at_a_dip_and_only_once(call: Any) -> None:
    call.at(0, ev.RecognizerChanged(decides_turns=False, final_grace_ms=300, early_final=True))
    call.onset()
    call.confirm()
    call.dip()
    assert call.of(act.AskFinal) == []
    call.wait(48)
    assert call.of(act.AskFinal) == [act.AskFinal(1, call.end + 80 * 16)]
    call.recognise("hello there", 60)
    call.wait(60)
    assert call.texts == []
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.texts == ["hello there"]
    assert len(call.of(act.AskFinal)) == 1


def test_finals_of_dips_add_up(call: Any) -> None:
    call.at(0, ev.RecognizerChanged(decides_turns=False, final_grace_ms=300, early_final=True))
    call.onset()
    call.confirm()
    call.dip()
    call.wait(60)
    call.at(20, ev.WentOn(call.sample))
    call.recognise("I would like", 20)
    call.dip(500)
    call.wait(48)
    call.recognise("some tea", 10)
    call.wait(110)
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.texts == ["I would like some tea"]


def test_speech_after_a_pause_goes_on_with_the_same_turn(call: Any) -> None:
    call.speak(0.1)
    call.recognise("I would like")
    call.onset()
    call.confirm()
    call.dip()
    call.pause()
    call.recognise("to know the time")
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "I would like to know the time", Modality.VOICE)]
    assert len(call.of(act.UserStarted)) == 1


def test_a_noise_in_the_pause_does_not_keep_the_turn_open(call: Any) -> None:
    call.speak(0.1)
    call.recognise()
    call.onset(1_000)
    call.wait(300)
    call.fade()
    assert call.texts == []
    # Recognition finds no word in it: the silence before it counts.
    call.recognise("")
    assert call.texts == ["hello there"]


def test_a_short_word_after_a_pause_belongs_to_the_turn(call: Any) -> None:
    call.speak(0.1)
    call.recognise("what is the capital of")
    call.onset(300)
    call.fade()
    call.recognise("France")
    assert call.texts == []
    call.wait(call.settings.silence_limit_ms)
    assert call.texts == ["what is the capital of France"]


def test_two_short_sounds_may_be_two_words(call: Any) -> None:
    call.onset()
    call.fade()
    first = call.of(act.AskFinal)[-1]
    call.onset()
    call.fade()
    call.at(0, ev.Recognised("no", True, first.finalize_id))
    call.recognise("no")
    call.wait(call.settings.silence_limit_ms)
    assert call.texts == ["no no"]


def test_an_answer_that_nobody_waits_for_opens_no_turn(call: Any) -> None:
    call.onset()
    call.at(0, ev.Recognised("yes", True, 1))
    assert call.of(act.UserStarted) == []
    call.confirm()
    assert call.of(act.UserStarted) == [act.UserStarted(1)]


def test_a_final_that_does_not_come_leaves_the_turn_to_the_interim(call: Any) -> None:
    call.speak()
    call.interim("hello bear", 10)
    call.wait(289)
    assert call.texts == []
    call.wait(1)
    assert call.texts == ["hello bear"]


def test_an_interim_from_long_before_the_pause_does_not_count(call: Any) -> None:
    call.onset()
    call.confirm()
    call.interim("we had a")
    call.dip(1_500)
    call.pause()
    call.wait(1_000)
    assert call.texts == []
    call.recognise("we had a party in a small garden")
    assert call.texts == ["we had a party in a small garden"]


def test_a_recognizer_may_ask_for_more_time(call: Any) -> None:
    call.at(0, ev.RecognizerChanged(decides_turns=False, final_grace_ms=800))
    call.speak()
    call.interim("hello bear", 10)
    call.wait(700)
    assert call.texts == []
    call.recognise("hello there")
    assert call.texts == ["hello there"]


def test_speech_without_words_ends_as_nothing(call: Any) -> None:
    call.speak()
    call.recognise("")
    call.wait(5_000)
    assert call.texts == []
    assert len(call.of(act.UserStopped)) == 1
    assert isinstance(call.machine.caller, Quiet)


def test_the_second_speech_without_words_in_a_row_is_told_so(call: Any) -> None:
    for _ in range(2):
        assert call.of(act.StartVerbatim) == []
        call.speak()
        call.recognise("")
        call.wait(5_000)
    assert call.of(act.StartVerbatim) == [act.StartVerbatim((2, 1), "Sorry, I didn't catch that.")]


def test_words_in_between_start_the_count_anew(call: Any) -> None:
    for text in ("", "hello", ""):
        call.speak()
        call.recognise(text)
        call.wait(5_000)
        if (key := call.machine.living) is not None:
            call.at(0, ev.ReplyComplete(key))
    assert call.of(act.StartVerbatim) == []


def test_without_any_answer_of_recognition_the_turn_is_given_up(call: Any) -> None:
    call.speak()
    call.wait(call.settings.silence_limit_ms + call.settings.final_deadline_ms)
    assert isinstance(call.machine.caller, Quiet)
    assert call.machine.deadline_ms is None


def test_a_short_sound_with_a_word_in_it_is_a_turn(call: Any) -> None:
    call.onset()
    assert kinds(call.fade()) == ["PublishState", "AskFinal"]
    call.recognise("No.")
    call.wait(call.settings.silence_limit_ms)
    assert call.texts == ["No."]
    assert len(call.of(act.UserStarted)) == 1


@pytest.mark.parametrize("answered", [True, False])
def test_a_short_sound_without_a_word_was_nothing(call: Any, answered: bool) -> None:
    call.onset()
    call.fade()
    if answered:
        call.recognise("")
    call.wait(10_000)
    assert isinstance(call.machine.caller, Quiet)
    assert call.of(act.UserStarted) == []
    assert call.machine.turn == 0


def test_a_request_that_is_answered_twice_counts_once(call: Any) -> None:
    call.speak(0.1)
    call.recognise("hello there")
    call.recognise("hello there")
    call.wait(call.settings.silence_limit_ms)
    assert call.texts == ["hello there"]


def test_muting_ends_what_was_being_said(call: Any) -> None:
    call.onset()
    call.confirm()
    assert "AskFinal" in kinds(call.at(500, ev.Muted(call.sample)))
    assert isinstance(call.machine.caller, Pausing)


# --- The reply's own end


def test_a_dead_attempt_changes_nothing(call: Any) -> None:
    old = call.ask()
    call.answer(old)
    call.at(100, ev.ReplyComplete(old))
    new = call.ask("and now")
    assert new == (2, 1)
    for event in (ev.ReplyAudible(old), ev.ReplyComplete(old), ev.ReplyFailed(old, "no"), ev.ReplyDry(old)):
        assert call.at(10, event) == []
    assert isinstance(call.machine.bot, Thinking)


def test_a_reply_without_progress_is_given_up_in_words(call: Any) -> None:
    key = call.ask()
    call.at(1_000, ev.ReplyProgress(key))
    assert call.wait(7_999) == []
    actions = call.wait(1)
    assert kinds(actions) == ["PublishState", "EndAttempt", "Complain"]
    assert act.EndAttempt(key, act.Outcome.FAILED) in actions


def test_a_reply_that_ran_dry_has_its_deadline_again(call: Any) -> None:
    key = call.ask()
    call.answer(key)
    call.wait(60_000)
    call.at(0, ev.ReplyDry(key))
    assert "Complain" in kinds(call.wait(8_000))


def test_a_reply_that_waits_for_tools_has_no_deadline_of_its_own(call: Any) -> None:
    key = call.ask()
    call.at(10, ev.ToolsBegan(key))
    call.wait(10 * call.settings.reply_deadline_ms)
    assert call.machine.living == key
    call.at(0, ev.ToolsOver(key))
    call.wait(call.settings.reply_deadline_ms)
    assert call.machine.living is None


def test_an_early_final_that_lacks_the_last_word_is_asked_for_again(call: Any) -> None:
    call.at(0, ev.RecognizerChanged(decides_turns=False, final_grace_ms=300, early_final=True))
    call.onset()
    call.confirm()
    call.dip()
    call.wait(60)
    asked = call.of(act.AskFinal)[-1]
    call.at(40, ev.Recognised("a table for", True, asked.finalize_id, through_sample=call.end - 16 * 300))
    assert call.of(act.StartGuess) == []
    call.wait(68)
    call.at(0, ev.Paused(call.end, call.sample, 0.9))
    assert call.texts == []
    assert len(call.of(act.AskFinal)) == 2
    call.recognise("two")
    assert call.texts == ["a table for two"]


def test_an_interim_is_shown_once(call: Any) -> None:
    call.onset()
    call.confirm()
    call.interim("hello")
    call.interim("hello", 40)
    assert len(call.of(act.ShowUserText)) == 1
