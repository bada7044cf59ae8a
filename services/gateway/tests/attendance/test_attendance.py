"""A call that nobody speaks in, and one that gets too long: in virtual time."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.attendance import (
    Asked,
    Attendance,
    AttendanceSettings,
    Close,
    Engaged,
    Leaving,
    Left,
    Output,
    Reason,
    Say,
    Waiting,
)
from natter_gateway.bots import Bot
from natter_gateway.bots.call import CallSection

SETTINGS = AttendanceSettings(
    idle_after_ms=30_000,
    idle_close_ms=15_000,
    max_length_ms=600_000,
    idle_question="Are you there?",
    idle_goodbye="Goodbye!",
    length_goodbye="Time is up!",
)


class Call:
    """An attendance with a clock; what is said takes two seconds."""

    def __init__(self, settings: AttendanceSettings = SETTINGS) -> None:
        self.attendance = Attendance(settings)
        self.now_ms = 1_000.0
        self.out: list[Output] = list(self.attendance.start(self.now_ms))
        self.quiet()

    def quiet(self) -> None:
        self.take(self.attendance.quiet(self.now_ms))

    def busy(self) -> None:
        self.take(self.attendance.busy(self.now_ms))

    def caller(self, speaks_ms: float = 1_000) -> None:
        self.busy()
        self.take(self.attendance.caller_active(self.now_ms))
        self.wait(speaks_ms)
        self.quiet()

    def wait(self, duration_ms: float) -> None:
        """Time goes on; deadlines are met to the millisecond."""
        until_ms = self.now_ms + duration_ms
        while (due_ms := self.attendance.deadline_ms) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.take(self.attendance.tick(self.now_ms))
        self.now_ms = until_ms

    def take(self, outputs: Sequence[Output]) -> None:
        self.out += outputs

    def say(self) -> None:
        """The bot says what it was told to."""
        self.busy()
        self.wait(2_000)
        self.quiet()


def test_a_silent_caller_is_asked_once_and_then_left() -> None:
    call = Call()
    call.wait(29_999)
    assert call.out == []
    call.wait(1)
    assert call.out == [Say("Are you there?")]
    call.say()
    assert isinstance(call.attendance.state, Asked)
    call.wait(14_999)
    assert len(call.out) == 1
    call.wait(1)
    assert call.out[1:] == [Say("Goodbye!")]
    call.busy()
    call.wait(2_000)
    assert len(call.out) == 2
    call.quiet()
    assert [item.reason for item in call.out if isinstance(item, Close)] == [Reason.IDLE]
    assert call.attendance.deadline_ms is None


def test_whoever_answers_is_asked_again_later() -> None:
    call = Call()
    call.wait(30_000)
    call.say()
    call.wait(10_000)
    call.caller()
    call.wait(29_000)
    assert len(call.out) == 1
    call.wait(1_000)
    assert call.out == [Say("Are you there?")] * 2


def test_a_noise_is_no_sign_of_life() -> None:
    call = Call()
    call.wait(30_000)
    call.say()
    call.busy()
    call.wait(500)
    call.quiet()
    call.wait(15_000)
    assert call.out == [Say("Are you there?"), Say("Goodbye!")]


def test_a_conversation_is_not_disturbed() -> None:
    call = Call()
    for _ in range(10):
        call.caller(5_000)
        call.wait(20_000)
    assert call.out == []
    call.busy()
    call.wait(100_000)
    assert call.out == []


def test_typing_counts_while_nothing_is_heard() -> None:
    call = Call()
    call.wait(20_000)
    call.take(call.attendance.caller_active(call.now_ms))
    call.wait(29_999)
    assert call.out == []


def test_the_goodbye_may_be_interrupted() -> None:
    call = Call()
    call.wait(30_000)
    call.say()
    call.wait(15_000)
    assert isinstance(call.attendance.state, Leaving)
    call.busy()
    call.caller()
    assert isinstance(call.attendance.state, Waiting)
    assert not any(isinstance(item, Close) for item in call.out)


def test_a_broken_voice_keeps_nobody() -> None:
    call = Call()
    call.wait(30_000 + 15_000 + 15_000 + 15_000)
    assert [type(item) for item in call.out] == [Say, Say, Close]


def test_without_words_the_call_ends_all_the_same() -> None:
    call = Call(AttendanceSettings(idle_after_ms=30_000, idle_close_ms=15_000))
    call.wait(45_000)
    assert [type(item) for item in call.out] == [Close]


def test_idle_can_be_switched_off_and_so_can_the_limit() -> None:
    call = Call(AttendanceSettings(idle_after_ms=0, max_length_ms=0))
    assert call.attendance.deadline_ms is None
    call.wait(10_000_000)
    assert call.out == []


def test_a_call_that_is_too_long_ends_in_the_next_quiet() -> None:
    call = Call()
    call.busy()
    call.wait(610_000)
    assert call.out == []
    call.quiet()
    assert call.out == [Say("Time is up!")]
    call.say()
    assert [item.reason for item in call.out if isinstance(item, Close)] == [Reason.LENGTH]


def test_whoever_does_not_stop_is_interrupted() -> None:
    call = Call()
    call.busy()
    call.wait(619_999)
    assert call.out == []
    call.wait(1)
    assert call.out == [Say("Time is up!", over=True)]
    call.take(call.attendance.caller_active(call.now_ms))
    call.say()
    assert isinstance(call.attendance.state, Left)


def test_nobody_is_asked_over_a_broken_line() -> None:
    call = Call()
    call.quiet()
    call.wait(20_000)
    call.attendance.line_lost()
    call.wait(60_000)
    assert call.out == []
    call.take(call.attendance.start(call.now_ms))
    call.wait(29_999)
    assert call.out == []
    call.wait(1)
    assert [type(item) for item in call.out] == [Say], "as long after the return as ever"


def test_a_goodbye_over_a_broken_line_ends_no_call() -> None:
    call = Call()
    call.quiet()
    call.wait(30_000)
    call.say()
    call.wait(15_000)
    assert isinstance(call.attendance.state, Leaving)
    call.attendance.line_lost()
    call.say()
    call.wait(60_000)
    assert not [item for item in call.out if isinstance(item, Close)]


def test_a_new_connection_does_not_make_the_call_longer() -> None:
    call = Call()
    call.busy()
    call.wait(500_000)
    call.take(call.attendance.start(call.now_ms))
    assert isinstance(call.attendance.state, Engaged)
    call.wait(120_000)
    assert call.out == [Say("Time is up!", over=True)]


def test_a_bot_says_how_it_is() -> None:
    bot = Bot(id="b", name="B", prompt="Be B.", call=CallSection(max_length_s=60, idle_question="Hm?"))
    settings = AttendanceSettings.of(bot)
    assert (settings.idle_after_ms, settings.max_length_ms, settings.idle_question) == (30_000, 60_000, "Hm?")
    assert settings.idle_goodbye.endswith("Goodbye!")


@given(
    st.lists(
        st.tuples(st.sampled_from(("busy", "quiet", "caller_active", "line_lost", "tick")), st.integers(0, 40_000)),
        max_size=200,
    )
)
def test_it_ends_once_and_in_time(steps: list[tuple[str, int]]) -> None:
    call = Call()
    for name, wait_ms in steps:
        call.wait(wait_ms)
        if name == "line_lost":
            call.attendance.line_lost()
        else:
            call.take(getattr(call.attendance, name)(call.now_ms))
    call.wait(700_000)
    closed = [item for item in call.out if isinstance(item, Close)]
    assert len(closed) == 1
    assert call.out[-1] is closed[0]
    assert isinstance(call.attendance.state, Left)
