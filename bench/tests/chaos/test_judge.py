"""Words lost and doubled, silence added, turns missed."""

from dataclasses import dataclass, replace

import pytest

from natter_bench.chaos.judge import CallHeard, TurnHeard, Usual, judge, judge_built_in, longest_pause_ms, usual_of
from natter_bench.chaos.script import CONVERSATION
from natter_bench.words import normalise

SAID = " ".join(one.text for one in CONVERSATION)
USUAL = Usual((700.0, 700.0, 700.0), (250.0, 300.0, 100.0), 0.1)
WHOLE = CallHeard(tuple(TurnHeard(700.0, 100.0, 0.0, tuple(normalise(one.reply))) for one in CONVERSATION), SAID, SAID)


@dataclass(frozen=True)
class Frame:
    time_s: float
    dbfs: float = -20.0


def with_turn(number: int, turn: TurnHeard) -> CallHeard:
    return replace(WHOLE, turns=(*WHOLE.turns[:number], turn, *WHOLE.turns[number + 1 :]))


def test_nothing_was_noticed() -> None:
    one = judge(WHOLE, CONVERSATION, USUAL)
    assert one.words_whole
    assert (one.added_ms, one.hole_ms, one.missed) == (0.0, 0.0, 0)


@pytest.mark.parametrize("seen_by", ["model", "transcript"])
def test_words_of_the_caller(seen_by: str) -> None:
    lost = judge(replace(WHOLE, **{seen_by: SAID.replace("about the moon", "the moon")}), CONVERSATION, USUAL)
    assert (lost.lost, lost.doubled) == (("about",), ())
    doubled = judge(replace(WHOLE, **{seen_by: SAID.replace("the moon", "the moon the moon")}), CONVERSATION, USUAL)
    assert (doubled.lost, doubled.doubled) == ((), ("the", "moon"))
    assert not lost.words_whole
    assert not doubled.words_whole


def test_nobody_saw_what_the_model_was_asked() -> None:
    assert judge(replace(WHOLE, model=None), CONVERSATION, USUAL).words_whole
    assert judge(replace(WHOLE, model=None, transcript=None), CONVERSATION, USUAL).lost == tuple(normalise(SAID))


def test_words_of_a_reply() -> None:
    words = list(WHOLE.turns[1].words)
    heard = (*words[:2], *words[1:6], *words[8:])
    one = judge(with_turn(1, replace(WHOLE.turns[1], words=heard)), CONVERSATION, USUAL)
    assert one.reply_lost == tuple(words[6:8])
    assert one.reply_doubled == (words[1],)


def test_silence_is_what_exceeds_the_usual() -> None:
    assert judge(with_turn(1, replace(WHOLE.turns[1], wait_ms=1500.0)), CONVERSATION, USUAL).added_ms == 800
    one = judge(with_turn(1, replace(WHOLE.turns[1], pause_ms=900.0)), CONVERSATION, USUAL)
    assert (one.added_ms, one.hole_ms) == (600, 600)
    assert judge(with_turn(2, replace(WHOLE.turns[2], hole_ms=120.0)), CONVERSATION, USUAL).hole_ms == 120


def test_missed_turns() -> None:
    late = judge(with_turn(1, replace(WHOLE.turns[1], wait_ms=5600.0)), CONVERSATION, USUAL)
    assert (late.missed, late.added_ms) == (1, 4900)
    never = judge(with_turn(1, TurnHeard(None, 0.0, 0.0)), CONVERSATION, USUAL)
    assert (never.missed, never.added_ms) == (1, None)
    assert set(never.reply_lost) == set(normalise(CONVERSATION[1].reply))


def test_built_in_models_are_judged_by_their_errors() -> None:
    # Two of nineteen words are wrong: 10.5 %, and 10 % is usual.
    heard = SAID.replace("moon", "noon").replace("story", "glory")
    one = judge_built_in(replace(WHOLE, model=None, transcript=heard), CONVERSATION, USUAL)
    assert one.worse == pytest.approx(2 / 19 - 0.1)
    assert one.words_whole
    worse = judge_built_in(replace(WHOLE, model=None, transcript=heard.replace("tell", "")), CONVERSATION, USUAL)
    assert not worse.words_whole


def test_segments_of_the_built_in_voice() -> None:
    turn = replace(WHOLE.turns[1], segments_lost=1, segments_doubled=2)
    one = judge_built_in(with_turn(1, turn), CONVERSATION, replace(USUAL, word_error_rate=0.0))
    assert one.reply_lost == ("segment of turn 2",)
    assert one.reply_doubled == ("segment of turn 2",) * 2


def test_what_is_usual_is_the_median() -> None:
    calls = [with_turn(1, replace(WHOLE.turns[1], wait_ms=ms, pause_ms=ms / 10)) for ms in (600.0, 900.0, 650.0)]
    usual = usual_of(calls, CONVERSATION)
    assert usual.wait_ms == (700, 650, 700)
    assert usual.pause_ms == (100, 65, 100)
    assert usual.word_error_rate == 0


def test_without_answers_nothing_is_usual() -> None:
    with pytest.raises(ValueError, match="turn 2 is not answered"):
        usual_of([with_turn(1, TurnHeard(None, 0.0, 0.0))], CONVERSATION)


def test_the_longest_pause() -> None:
    frames = [Frame(n * 0.02) for n in range(10)] + [Frame(0.2, -60.0)] + [Frame(0.48 + n * 0.02) for n in range(3)]
    assert longest_pause_ms(frames) == pytest.approx(280)
    assert longest_pause_ms(frames[:1]) == 0
