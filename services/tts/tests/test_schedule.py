"""Which segment is spoken next."""

from natter_proto import Attempt, Modality, State
from natter_tts.schedule import MOST_WAITING, SpeechSchedule, WantedSegment


def segment(turn: int, number: int, attempt: int = 1) -> WantedSegment:
    return WantedSegment(turn, attempt, number, "text", "spoken", "")


def taken(schedule: SpeechSchedule) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while (segment := schedule.take()) is not None:
        found.append((segment.turn, segment.number))
    return found


def test_segments_wait_for_their_grant() -> None:
    schedule = SpeechSchedule()
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1, segments_granted=1)]))
    for number in (1, 2, 3):
        schedule.add(segment(1, number))
    assert taken(schedule) == [(1, 1)]
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1, segments_granted=3)]))
    assert taken(schedule) == [(1, 2), (1, 3)]


def test_the_committed_attempt_comes_first() -> None:
    schedule = SpeechSchedule()
    speculative = Attempt(turn=1, attempt=1, segments_granted=9)
    schedule.on_state(State(attempts=[speculative, Attempt(turn=2, attempt=1, segments_granted=9, committed=True)]))
    schedule.add(segment(1, 1))
    schedule.add(segment(2, 1))
    assert taken(schedule) == [(2, 1), (1, 1)]


def test_the_dead_are_forgotten_and_nothing_is_said_twice() -> None:
    schedule = SpeechSchedule()
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1, segments_granted=9)]))
    schedule.add(segment(1, 1))
    assert taken(schedule) == [(1, 1)]
    schedule.add(segment(1, 1))
    schedule.add(segment(1, 2))
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=2, segments_granted=9)]))
    assert taken(schedule) == []
    assert not schedule.living((1, 1))


def test_text_is_not_spoken() -> None:
    schedule = SpeechSchedule()
    text = Attempt(turn=1, attempt=1, segments_granted=9, modality=Modality.MODALITY_TEXT)
    schedule.on_state(State(attempts=[text]))
    schedule.add(segment(1, 1))
    assert taken(schedule) == []


def test_too_many_are_refused_and_a_failed_attempt_is_silent() -> None:
    schedule = SpeechSchedule()
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1, segments_granted=9999)]))
    assert all(schedule.add(segment(1, number)) for number in range(1, MOST_WAITING + 1))
    assert not schedule.add(segment(1, MOST_WAITING + 1))
    schedule.fail((1, 1))
    assert schedule.add(segment(1, 1))
    assert taken(schedule) == []


def test_the_last_segment_is_known_once_the_reply_has_ended() -> None:
    schedule = SpeechSchedule()
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1)]))
    assert not schedule.is_last(segment(1, 2))
    schedule.complete((1, 1), 2)
    assert schedule.is_last(segment(1, 2))


def test_what_follows_is_known_as_far_as_granted() -> None:
    schedule = SpeechSchedule()
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=1, segments_granted=2)]))
    for number in (1, 2, 3):
        schedule.add(segment(1, number))
    first = schedule.take()
    assert first is not None
    second = schedule.following(first)
    assert second == segment(1, 2)
    assert schedule.take() == second
    assert schedule.following(segment(1, 2)) is None
    schedule.on_state(State(attempts=[Attempt(turn=1, attempt=2, segments_granted=9)]))
    assert schedule.following(first) is None
