"""The turn machine in virtual time: what each event leads to, and what no order of events may break."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine, TurnSettings
from natter_gateway.turns.states import Pausing, Quiet, Silent, Speaking, Talking, Thinking

SETTINGS = TurnSettings(
    end_of_turn_silence_ms=500, final_grace_ms=1_000, final_deadline_ms=5_000, reply_deadline_ms=8_000
)
VAD_PAUSE_MS = 200
FADED = ev.OnsetFaded(91_000, 91_000 + 16 * VAD_PAUSE_MS)


@dataclass
class Call:
    """A machine, a clock, and all that the machine wanted so far."""

    machine: TurnMachine = field(default_factory=lambda: TurnMachine(SETTINGS))
    now_ms: float = 10_000.0
    done: list[act.Action] = field(default_factory=list)

    def at(self, ms_later: float, event: ev.Event) -> list[act.Action]:
        """Let time pass (ticking when the machine asked for it), then send an event; returns what that led to."""
        until = self.now_ms + ms_later
        while (due := self.machine.deadline_ms) is not None and due <= until:
            self.now_ms = max(self.now_ms, due)
            self.done += self.machine.step(ev.Tick(), self.now_ms)
        self.now_ms = until
        actions = self.machine.step(event, until)
        self.done += actions
        return actions

    def wait(self, ms: float) -> list[act.Action]:
        before = len(self.done)
        self.at(ms, ev.Tick())
        return self.done[before:]

    def of(self, kind: type) -> list[act.Action]:
        return [action for action in self.done if isinstance(action, kind)]

    def speak(self) -> None:
        """Onset to pause, as the detector reports it."""
        self.at(100, ev.Onset(1_000))
        self.at(250, ev.SpeechConfirmed(1_000))
        self.at(1_000, ev.Paused(20_000, 20_000 + 16 * VAD_PAUSE_MS, 1.0))

    def recognise(self, text: str = "hello there") -> None:
        request = self.of(act.AskFinal)[-1]
        assert isinstance(request, act.AskFinal)
        self.at(50, ev.Recognised(text, final=True, finalize_id=request.finalize_id))

    def ask(self, text: str = "hello there") -> AttemptKey:
        """A whole question; returns the attempt that answers it."""
        self.speak()
        self.recognise(text)
        self.wait(SETTINGS.end_of_turn_silence_ms)
        key = self.machine.living
        assert key is not None
        return key

    def answer(self, key: AttemptKey) -> None:
        self.at(100, ev.ReplyProgress(key))
        self.at(50, ev.ReplyAudible(key))


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_a_pause_ends_a_turn_once_silence_and_recognition_agree() -> None:
    call = Call()
    call.speak()
    call.recognise()
    # 200 ms of silence were over at the pause, 50 ms since: 250 ms are left.
    assert call.wait(249) == []
    assert kinds(call.wait(1)) == ["UserStopped", "CommitUser", "PublishState", "StartAttempt"]
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "hello there", Modality.VOICE)]


def test_a_turn_on_the_wire_has_its_order() -> None:
    call = Call()
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


def test_recognition_is_asked_to_read_a_little_into_the_silence() -> None:
    call = Call()
    call.speak()
    assert call.of(act.AskFinal) == [act.AskFinal(1, 20_000 + 1_600)]


def test_speech_after_a_pause_goes_on_with_the_same_turn() -> None:
    call = Call()
    call.speak()
    call.recognise("I would like")
    call.at(100, ev.Onset(30_000))
    call.at(250, ev.SpeechConfirmed(30_000))
    call.at(2_000, ev.Paused(60_000, 60_000 + 16 * VAD_PAUSE_MS, 1.0))
    call.recognise("to know the time")
    call.wait(1_000)
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "I would like to know the time", Modality.VOICE)]
    assert len(call.of(act.UserStarted)) == 1


def test_a_noise_in_the_pause_does_not_keep_the_turn_open() -> None:
    call = Call()
    call.speak()
    call.recognise()
    call.at(100, ev.Onset(30_000))
    call.wait(500)
    call.at(100, FADED)
    assert call.of(act.StartAttempt) == []
    # Recognition finds no word in it: the silence before it counts.
    call.recognise("")
    assert len(call.of(act.StartAttempt)) == 1


def test_a_short_word_after_a_pause_belongs_to_the_turn() -> None:
    call = Call()
    call.speak()
    call.recognise("what is the capital of")
    call.at(100, ev.Onset(30_000))
    call.at(300, FADED)
    call.recognise("France")
    assert call.of(act.StartAttempt) == []
    call.wait(SETTINGS.end_of_turn_silence_ms)
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "what is the capital of France", Modality.VOICE)]


def test_two_short_sounds_may_be_two_words() -> None:
    call = Call()
    call.at(0, ev.Onset(80_000))
    call.at(200, FADED)
    first = call.of(act.AskFinal)[-1]
    call.at(100, ev.Onset(95_000))
    call.at(200, ev.OnsetFaded(98_000, 98_000 + 16 * VAD_PAUSE_MS))
    assert isinstance(first, act.AskFinal)
    call.at(0, ev.Recognised("no", final=True, finalize_id=first.finalize_id))
    call.recognise("no")
    call.wait(SETTINGS.end_of_turn_silence_ms)
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "no no", Modality.VOICE)]


def test_an_answer_that_nobody_waits_for_opens_no_turn() -> None:
    call = Call()
    call.at(0, ev.Onset(0))
    call.at(0, ev.Recognised("yes", final=True, finalize_id=1))
    assert call.of(act.UserStarted) == []
    call.at(0, ev.SpeechConfirmed(0))
    assert call.of(act.UserStarted) == [act.UserStarted(1)]


def test_a_late_final_leaves_the_turn_to_the_interim_and_corrects_the_context() -> None:
    call = Call()
    call.speak()
    call.at(10, ev.Recognised("hello bear", final=False, finalize_id=0))
    call.wait(2_000)
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "hello bear", Modality.VOICE)]
    call.recognise("hello there")
    assert call.of(act.CorrectUser) == [act.CorrectUser(1, "hello there")]


def test_speech_without_words_ends_as_nothing() -> None:
    call = Call()
    call.speak()
    call.recognise("")
    call.wait(1_000)
    assert call.of(act.CommitUser) == []
    assert len(call.of(act.UserStopped)) == 1
    assert isinstance(call.machine.caller, Quiet)


def test_without_any_answer_of_recognition_the_turn_is_given_up() -> None:
    call = Call()
    call.speak()
    call.wait(SETTINGS.end_of_turn_silence_ms + SETTINGS.final_deadline_ms)
    assert isinstance(call.machine.caller, Quiet)
    assert call.machine.deadline_ms is None


def test_speech_during_the_reply_holds_it_then_interrupts_it() -> None:
    call = Call()
    key = call.ask()
    call.answer(key)
    assert kinds(call.at(500, ev.Onset(90_000))) == ["PublishState", "HoldVoice"]
    assert kinds(call.at(186, ev.SpeechConfirmed(90_000))) == [
        "UserStarted",
        "PublishState",
        "EndAttempt",
        "PublishState",
    ]
    assert call.of(act.EndAttempt) == [act.EndAttempt(key, act.Outcome.INTERRUPTED)]
    assert call.machine.living is None


def test_a_false_onset_lets_the_reply_go_on() -> None:
    call = Call()
    key = call.ask()
    call.answer(key)
    call.at(500, ev.Onset(90_000))
    assert kinds(call.at(100, FADED)) == ["PublishState", "ResumeVoice"]
    assert call.machine.bot == Speaking(key)


def test_a_short_sound_with_a_word_in_it_is_a_turn() -> None:
    call = Call()
    call.at(0, ev.Onset(90_000))
    assert kinds(call.at(260, FADED)) == ["PublishState", "AskFinal"]
    call.recognise("No.")
    assert kinds(call.wait(1_000)) == ["UserStopped", "CommitUser", "PublishState", "StartAttempt"]
    assert len(call.of(act.UserStarted)) == 1


def test_a_short_sound_without_a_word_was_nothing() -> None:
    call = Call()
    call.at(0, ev.Onset(90_000))
    call.at(260, FADED)
    call.recognise("")
    call.wait(10_000)
    assert isinstance(call.machine.caller, Quiet)
    assert call.of(act.UserStarted) == []
    assert call.machine.turn == 0


def test_a_short_sound_that_recognition_never_answers_was_nothing() -> None:
    call = Call()
    call.at(0, ev.Onset(90_000))
    call.at(260, FADED)
    call.wait(10_000)
    assert isinstance(call.machine.caller, Quiet)
    assert call.of(act.UserStarted) == []


def test_a_dead_attempt_changes_nothing() -> None:
    call = Call()
    old = call.ask()
    call.answer(old)
    new = call.ask("and now")
    assert new == (2, 1)
    for event in (ev.ReplyAudible(old), ev.ReplyComplete(old), ev.ReplyFailed(old, "no"), ev.ReplyDry(old)):
        assert call.at(10, event) == []
    assert isinstance(call.machine.bot, Thinking)


def test_a_reply_without_progress_is_given_up_in_words() -> None:
    call = Call()
    key = call.ask()
    call.at(1_000, ev.ReplyProgress(key))
    assert call.wait(7_999) == []
    actions = call.wait(1)
    assert kinds(actions) == ["PublishState", "EndAttempt", "Complain"]
    assert act.EndAttempt(key, act.Outcome.FAILED) in actions


def test_a_reply_that_ran_dry_has_its_deadline_again() -> None:
    call = Call()
    key = call.ask()
    call.answer(key)
    call.wait(60_000)
    call.at(0, ev.ReplyDry(key))
    assert "Complain" in kinds(call.wait(8_000))


def test_typed_text_interrupts_and_is_answered_at_once() -> None:
    call = Call()
    key = call.ask()
    call.answer(key)
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


def test_typed_text_joins_what_is_being_said() -> None:
    call = Call()
    call.speak()
    call.recognise("my name is")
    call.at(10, ev.Typed("Kowalczyk", Modality.VOICE, run_immediately=True))
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "my name is Kowalczyk", Modality.VOICE)]


def test_text_that_need_not_run_waits_for_the_next_turn() -> None:
    call = Call()
    assert call.at(0, ev.Typed("I am in Oslo.", Modality.VOICE, run_immediately=False)) == []
    call.ask("what is the weather")
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 1), "I am in Oslo. what is the weather", Modality.VOICE)]


def test_a_greeting_is_said_unless_the_caller_talks_already() -> None:
    call = Call()
    assert kinds(call.at(0, ev.Greet("Hi!"))) == ["PublishState", "StartVerbatim"]
    talking = Call()
    talking.at(0, ev.Onset(0))
    assert talking.at(10, ev.Greet("Hi!")) == []


def test_muting_ends_what_was_being_said() -> None:
    call = Call()
    call.at(0, ev.Onset(0))
    call.at(250, ev.SpeechConfirmed(0))
    assert "AskFinal" in kinds(call.at(500, ev.Muted(12_000)))
    assert isinstance(call.machine.caller, Pausing)


keys = st.tuples(st.integers(1, 6), st.just(1))
texts = st.sampled_from(["", "yes", "no way"])
events = st.one_of(
    st.builds(ev.Onset, st.integers(0, 10**6)),
    st.builds(ev.OnsetFaded, st.integers(0, 10**6), st.integers(0, 10**6)),
    st.builds(ev.SpeechConfirmed, st.integers(0, 10**6)),
    st.builds(ev.Paused, st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 1)),
    st.builds(ev.Recognised, texts, st.booleans(), st.integers(0, 6), st.sampled_from(ev.Sign)),
    st.builds(ev.RecognizerChanged, st.booleans(), st.floats(0, 2_000)),
    st.builds(ev.ToolsBegan, keys),
    st.builds(ev.ToolsOver, keys),
    st.builds(ev.Typed, st.just("typed"), st.sampled_from(Modality), st.booleans()),
    st.just(ev.Greet("Hi!")),
    st.builds(ev.ReplyProgress, keys),
    st.builds(ev.ReplyAudible, keys),
    st.builds(ev.ReplyDry, keys),
    st.builds(ev.ReplyComplete, keys),
    st.builds(ev.ReplyFailed, keys, st.just("broken")),
    st.builds(ev.Muted, st.integers(0, 10**6)),
    st.just(ev.Tick()),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3_000), events), max_size=60))
def test_no_order_of_events_breaks_the_invariants(steps: list[tuple[float, ev.Event]]) -> None:
    call = Call()
    for ms_later, event in steps:
        call.at(ms_later, event)
        # The machine always says when it wants to be asked again, and never for the past.
        assert call.machine.deadline_ms is None or call.machine.deadline_ms > call.now_ms
    # Left alone, every committed turn comes to an end.
    call.at(0, FADED)
    call.at(0, ev.Paused(0, 0, 1.0))
    call.wait(60_000)
    if isinstance(call.machine.bot, Thinking):
        # Tools have deadlines of their own.
        assert call.machine.bot.acting
    elif not isinstance(call.machine.bot, Speaking):
        assert isinstance(call.machine.bot, Silent)
    assert not isinstance(call.machine.caller, (Pausing, Talking))
    _check_actions(call.done)


def _check_actions(actions: list[act.Action]) -> None:
    alive: AttemptKey | None = None
    guess: AttemptKey | None = None
    speaking_turn: int | None = None
    committed: set[int] = set()
    for action in actions:
        match action:
            case act.StartAttempt() | act.StartVerbatim() | act.AdoptGuess():
                assert alive is None, "two attempts alive"
                alive = action.key
                if not isinstance(action, act.StartVerbatim):
                    assert action.key[0] in committed, "an attempt without its user message"
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
            case act.CommitUser():
                assert action.turn not in committed, "a turn committed twice"
                assert action.text, "an empty user message"
                committed.add(action.turn)
            case act.HoldVoice() | act.ResumeVoice():
                assert alive is not None, "voice held or resumed without a reply"
            case act.UserStarted():
                assert speaking_turn is None, "started twice"
                speaking_turn = action.turn
            case act.UserStopped():
                assert speaking_turn == action.turn, "stopped without having started"
                speaking_turn = None
            case _:
                pass


# --- A recognizer that decides about turns


def deciding() -> Call:
    call = Call()
    call.at(0, ev.RecognizerChanged(decides_turns=True, final_within_ms=0.0))
    return call


def test_silence_does_not_end_a_turn_that_it_does_not_end() -> None:
    call = deciding()
    call.speak()
    call.at(0, ev.Recognised("hello", final=False, finalize_id=0))
    call.wait(SETTINGS.end_of_turn_silence_ms + SETTINGS.final_grace_ms)
    assert call.of(act.CommitUser) == []


def test_its_end_ends_the_turn_at_once() -> None:
    call = deciding()
    call.speak()
    actions = call.at(100, ev.Recognised("hello there", final=True, finalize_id=0, sign=ev.Sign.END))
    assert kinds(actions) == ["ShowUserText", "UserStopped", "CommitUser", "PublishState", "StartAttempt"]


def test_its_eager_end_prepares_an_answer_that_the_end_adopts() -> None:
    call = deciding()
    call.speak()
    call.at(0, ev.Recognised("hello there", final=False, finalize_id=0, sign=ev.Sign.EAGER_END))
    assert call.of(act.StartGuess) == [act.StartGuess((1, 1), "hello there")]
    assert call.machine.living is None
    assert call.machine.guess == (1, 1)
    call.at(200, ev.Recognised("Hello, there!", final=True, finalize_id=0, sign=ev.Sign.END))
    assert call.of(act.AdoptGuess) == [act.AdoptGuess((1, 1))]
    assert call.of(act.StartAttempt) == []
    assert call.machine.living == (1, 1)
    assert call.machine.guess is None


def test_its_resume_drops_what_was_prepared() -> None:
    call = deciding()
    call.speak()
    call.at(0, ev.Recognised("hello there", final=False, finalize_id=0, sign=ev.Sign.EAGER_END))
    call.at(100, ev.Recognised("hello there my", final=False, finalize_id=0, sign=ev.Sign.RESUMED))
    assert call.of(act.DropGuess) == [act.DropGuess((1, 1))]
    call.at(500, ev.Recognised("hello there my friend", final=True, finalize_id=0, sign=ev.Sign.END))
    assert call.of(act.StartAttempt) == [act.StartAttempt((1, 2), "hello there my friend", Modality.VOICE)]


def test_other_words_at_the_end_drop_what_was_prepared() -> None:
    call = deciding()
    call.speak()
    call.at(0, ev.Recognised("hello there", final=False, finalize_id=0, sign=ev.Sign.EAGER_END))
    call.at(100, ev.Recognised("hello chair", final=True, finalize_id=0, sign=ev.Sign.END))
    assert kinds([*call.of(act.DropGuess), *call.of(act.StartAttempt)]) == ["DropGuess", "StartAttempt"]


def test_a_recognizer_that_says_nothing_does_not_keep_the_turn_open_for_good() -> None:
    call = deciding()
    call.speak()
    call.at(0, ev.Recognised("hello", final=False, finalize_id=0))
    call.wait(SETTINGS.turn_sign_deadline_ms)
    assert call.of(act.CommitUser) != []


def test_a_request_that_is_answered_twice_counts_once() -> None:
    call = Call()
    call.speak()
    call.recognise("hello there")
    call.recognise("hello there")
    call.wait(SETTINGS.end_of_turn_silence_ms)
    assert [action.text for action in call.of(act.CommitUser) if isinstance(action, act.CommitUser)] == ["hello there"]


def test_another_recognizer_in_the_pause_is_asked_for_the_words() -> None:
    call = deciding()
    call.speak()
    call.at(50, ev.RecognizerChanged(decides_turns=False, final_within_ms=800.0))
    call.recognise("hello there")
    call.wait(SETTINGS.end_of_turn_silence_ms)
    assert [action.text for action in call.of(act.CommitUser) if isinstance(action, act.CommitUser)] == ["hello there"]


def test_another_recognizer_gets_the_time_that_its_predecessor_had() -> None:
    call = Call()
    call.speak()
    call.at(SETTINGS.end_of_turn_silence_ms, ev.RecognizerChanged(decides_turns=False, final_within_ms=800.0))
    call.at(100, ev.Recognised("hello", final=False, finalize_id=0))
    call.wait(SETTINGS.final_grace_ms - 200)
    assert call.of(act.CommitUser) == []
    call.recognise("hello there")
    assert [action.text for action in call.of(act.CommitUser) if isinstance(action, act.CommitUser)] == ["hello there"]


def test_a_third_recognizer_in_a_pause_is_not_waited_for() -> None:
    call = Call()
    call.speak()
    for _ in range(2):
        call.at(800, ev.RecognizerChanged(decides_turns=False, final_within_ms=800.0))
        assert call.of(act.UserStopped) == []
    call.at(800, ev.RecognizerChanged(decides_turns=False, final_within_ms=800.0))
    assert call.of(act.UserStopped) == [act.UserStopped(1)]


# --- Tools


def test_a_reply_that_waits_for_tools_has_no_deadline_of_its_own() -> None:
    call = Call()
    key = call.ask()
    call.at(10, ev.ToolsBegan(key))
    call.wait(10 * SETTINGS.reply_deadline_ms)
    assert call.machine.living == key
    call.at(0, ev.ToolsOver(key))
    call.wait(SETTINGS.reply_deadline_ms)
    assert call.machine.living is None
