"""Callers who wait in vain, in virtual time."""

from natter_gateway.conductor.watchdog import DEADLINE_MS, Waiting, Watchdog


def test_who_waits_too_long_is_noticed_once() -> None:
    watchdog = Watchdog()
    assert watchdog.due_ms is None
    watchdog.waits(Waiting.ANSWER, 100.0)
    watchdog.waits(Waiting.ANSWER, 5_000.0)
    assert watchdog.due_ms == 100.0 + DEADLINE_MS
    assert watchdog.overdue(99.0 + DEADLINE_MS) is Waiting.NOTHING
    assert watchdog.overdue(100.0 + DEADLINE_MS) is Waiting.ANSWER
    assert watchdog.overdue(200.0 + DEADLINE_MS) is Waiting.NOTHING


def test_an_answer_ends_the_wait_and_what_is_known_to_take_long_is_waited_for() -> None:
    watchdog = Watchdog()
    watchdog.waits(Waiting.TURN_END, 0.0)
    watchdog.goes_on(10_000.0)
    assert watchdog.due_ms == 10_000.0 + DEADLINE_MS
    watchdog.waits(Waiting.ANSWER, 12_000.0)
    assert watchdog.due_ms == 12_000.0 + DEADLINE_MS
    watchdog.waits(Waiting.NOTHING, 13_000.0)
    assert watchdog.overdue(100_000.0) is Waiting.NOTHING


def test_the_timeline_tells_what_came_before() -> None:
    watchdog = Watchdog()
    watchdog.note("Onset", 100.0)
    watchdog.note("Paused", 600.0)
    assert watchdog.timeline(1_000.0) == ["-900 ms Onset", "-400 ms Paused"]
