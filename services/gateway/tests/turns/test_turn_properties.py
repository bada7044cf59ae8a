"""What no order of events may break: late, doubled, missing, or of what is long dead."""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.states import Interjecting, Pausing, Silent, Speaking, Talking, Thinking, Weighing

SEQUENCES = 10_000
LONGEST = 60

samples = st.integers(0, 10**6)
keys = st.tuples(st.integers(1, 6), st.integers(1, 2))
texts = st.sampled_from(["", "yes", "no way", "mhm", "I would like to"])
probabilities = st.floats(0, 1)
events = st.one_of(
    st.builds(ev.Onset, samples, samples),
    st.builds(ev.OnsetFaded, samples, samples),
    st.builds(ev.SpeechConfirmed, samples, samples),
    st.builds(ev.Dipped, samples, samples),
    st.builds(ev.WentOn, samples),
    st.builds(ev.Paused, samples, samples, probabilities),
    st.builds(ev.Estimated, samples, probabilities),
    st.builds(ev.Recognised, texts, st.booleans(), st.integers(0, 6), st.sampled_from(ev.Sign), samples),
    st.builds(ev.RecognizerChanged, st.booleans(), st.floats(0, 2_000), st.booleans(), st.booleans()),
    st.builds(ev.RoomForGuesses, st.booleans()),
    st.builds(ev.GuessFailed, keys),
    st.builds(ev.ToolsBegan, keys),
    st.builds(ev.ToolsActed, keys),
    st.builds(ev.ToolsOver, keys),
    st.builds(ev.Typed, st.just("typed"), st.sampled_from(Modality), st.booleans()),
    st.builds(ev.Say, st.just("Hi!"), st.booleans()),
    st.builds(ev.ReplyProgress, keys),
    st.builds(ev.ReplyAudible, keys),
    st.builds(ev.ReplyEstablished, keys),
    st.builds(ev.ReplyDry, keys),
    st.builds(ev.ReplyComplete, keys),
    st.builds(ev.ReplyFailed, keys, st.just("broken")),
    st.builds(ev.Muted, samples),
    st.just(ev.Tick()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3_000), events), max_size=LONGEST))
def test_no_order_of_events_breaks_the_invariants(new_call: Any, steps: list[tuple[float, ev.Event]]) -> None:
    play(new_call(), lambda _call: steps.pop(0) if steps else None)


def test_no_conversation_breaks_the_invariants(new_call: Any) -> None:
    """As above, with events that mostly make sense where they come: it gets further into a call."""
    for seed in range(SEQUENCES):
        chance = random.Random(seed)
        left = iter(range(chance.randrange(LONGEST)))
        try:
            play(
                new_call(),
                lambda call, chance=chance, left=left: None if next(left, None) is None else likely(call, chance),
            )
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def play(call: Any, next_step: Callable[[Any], tuple[float, ev.Event] | None]) -> None:
    while (step := next_step(call)) is not None:
        call.at(*step)
        check_state(call)
    come_to_an_end(call)
    check_actions(call.done)


def likely(call: Any, chance: random.Random) -> tuple[float, ev.Event]:
    """An event that could come now, or a stray one; mostly soon."""
    machine, sample = call.machine, call.sample
    key = machine.living or machine.guess or (1, 1)
    if chance.random() < 0.1:
        key = (chance.randint(1, 6), 1)
    words = chance.choice(["", "yes", "no way", "mhm", "I would like to", "hello there"])
    asked = [action.finalize_id for action in call.done if isinstance(action, act.AskFinal)] or [0]
    end = sample - chance.choice([512, 1_280, 3_200])
    quiet = machine.caller.sample if isinstance(machine.caller, Pausing) else end
    event = chance.choice(
        [
            ev.Onset(end, sample),
            ev.Onset(end, sample),
            ev.SpeechConfirmed(end, sample),
            ev.Dipped(end, sample),
            ev.Dipped(end, sample),
            ev.WentOn(sample),
            ev.Paused(quiet, sample, chance.random()),
            ev.Paused(quiet, sample, chance.choice([0.0, 0.95])),
            ev.OnsetFaded(end, sample),
            ev.Estimated(quiet, chance.random()),
            ev.Recognised(words, False, 0, ev.Sign.NONE, sample),
            ev.Recognised(words, True, asked[-1], ev.Sign.NONE, sample),
            ev.Recognised(words, True, chance.choice(asked), ev.Sign.NONE, sample),
            ev.Recognised(words, chance.random() < 0.5, 0, chance.choice(list(ev.Sign)), sample),
            ev.ReplyProgress(key),
            ev.ReplyAudible(key),
            ev.ReplyAudible(key),
            ev.ReplyEstablished(key),
            ev.ReplyDry(key),
            ev.ReplyComplete(key),
            chance.choice([ev.ReplyFailed(key, "broken"), ev.GuessFailed(key)]),
            chance.choice([ev.ToolsBegan(key), ev.ToolsActed(key), ev.ToolsOver(key)]),
            ev.Typed("typed", chance.choice(list(Modality)), chance.random() < 0.7),
            ev.Say("Hi!", over=chance.random() < 0.3),
            ev.Muted(sample),
            ev.RoomForGuesses(chance.random() < 0.7),
            ev.RecognizerChanged(chance.random() < 0.2, 300, chance.random() < 0.7, chance.random() < 0.7),
        ]
    )
    return chance.choice([0, 10, 40, 100, 250, 700, 2_500]), event


def check_state(call: Any) -> None:
    machine = call.machine
    # The machine always says when it wants to be asked again, and never for the past.
    assert machine.deadline_ms is None or machine.deadline_ms > call.now_ms, "a deadline that is over"
    if isinstance(machine.caller, (Talking, Pausing)):
        assert machine.living is None, "a reply lives beside an open turn"
    if isinstance(machine.caller, (Interjecting, Weighing)):
        assert machine.living is not None, "a sound over no reply"


def come_to_an_end(call: Any) -> None:
    """Left alone, every turn is answered, in voice or in words, and nothing is held."""
    call.at(0, ev.OnsetFaded(0, 16 * 200))
    call.at(0, ev.Paused(0, 16 * 200, 1.0))
    call.wait(60_000)
    machine = call.machine
    if isinstance(machine.bot, Thinking):
        # Tools have deadlines of their own.
        assert machine.bot.acting, "an answer that nobody waits for any more"
    elif not isinstance(machine.bot, Speaking):
        assert isinstance(machine.bot, Silent)
    assert not isinstance(machine.caller, (Pausing, Talking, Interjecting, Weighing)), "a turn without an end"
    assert machine.guess is None, "a guess without an end"


def check_actions(actions: list[act.Action]) -> None:
    alive: AttemptKey | None = None
    guess: AttemptKey | None = None
    held = False
    speaking_turn: int | None = None
    messages: dict[int, str] = {}
    for action in actions:
        match action:
            case act.StartAttempt() | act.StartVerbatim() | act.AdoptGuess():
                assert alive is None, "two attempts alive"
                alive = action.key
                held = False
                if not isinstance(action, act.StartVerbatim):
                    assert action.key[0] in messages, "an attempt without its user message"
                if isinstance(action, act.StartAttempt):
                    assert action.text == messages[action.key[0]], "an answer to something else"
                if isinstance(action, act.AdoptGuess):
                    assert guess == action.key, "a guess adopted that was not there"
                    guess = None
            case act.StartGuess():
                assert guess is None, "two guesses"
                guess = action.key
            case act.DropGuess():
                assert guess == action.key, "a guess dropped that was not there"
                guess = None
            case act.EndAttempt():
                assert action.key == alive, "an attempt ended twice or never lived"
                alive = None
                held = False
            case act.CommitUser():
                assert action.turn not in messages, "a turn committed twice"
                assert action.text, "an empty user message"
                messages[action.turn] = action.text
            case act.CorrectUser():
                assert action.turn in messages, "a message corrected that is not there"
                messages[action.turn] = action.text
            case act.ReopenUser():
                assert alive is None, "a turn taken back under its reply"
                del messages[action.turn]
            case act.HoldVoice():
                assert alive is not None, "voice held without a reply"
                assert not held, "held twice"
                held = True
            case act.ResumeVoice():
                assert alive is not None, "voice resumed without a reply"
                assert held, "resumed without having been held"
                held = False
            case act.UserStarted():
                assert speaking_turn is None, "started twice"
                speaking_turn = action.turn
            case act.UserStopped():
                assert speaking_turn == action.turn, "stopped without having started"
                speaking_turn = None
            case _:
                pass
    assert not held, "held for good"
    assert speaking_turn is None, "started for good"
