"""Which leases are lost, in virtual time."""

from natter_gateway.leases.board import GRANT_GRACE_S, LATE_S, BeatNews, HeldLease, LeaseBoard
from natter_proto import Beat, Held, Stage


def lease(session: str = "a", epoch: int = 1, worker: str = "w") -> HeldLease:
    return HeldLease(session, Stage.STAGE_STT, 1, epoch, worker, "local", "Moonshine")


def beat(*leases: HeldLease, number: int = 1, load: float = 0.0, link_losses: int = 0, draining: bool = False) -> Beat:
    held = [Held(session=item.session, stage=item.stage, term=item.term, epoch=item.epoch) for item in leases]
    return Beat(sender="w", number=number, held=held, load=load, link_losses=link_losses, draining=draining)


def test_a_lease_that_its_worker_does_not_list_is_lost() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 0.0)
    board.add(lease("b"), 0.0)
    assert board.on_worker_beat(beat(lease("a")), GRANT_GRACE_S + 0.1) == BeatNews(unknown=(lease("b"),))


def test_a_beat_that_may_be_older_than_the_lease_loses_nothing() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 10.0)
    assert board.on_worker_beat(beat(), 10.0 + GRANT_GRACE_S / 2) == BeatNews()


def test_a_silent_worker_is_asked_and_forgiven_when_it_answers() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 0.0)
    assert board.late(LATE_S) == []
    assert board.late(LATE_S + 0.1) == ["w"]
    board.on_alive("w", LATE_S + 0.1)
    assert board.late(LATE_S + 0.2) == []


def test_gateways_beats_list_what_is_held_by_worker() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 0.0)
    board.add(lease("b", worker="v"), 0.0)
    assert board.beats() == {"w": [lease("a")], "v": [lease("b", worker="v")]}
    board.remove(lease("a"))
    assert board.beats() == {"v": [lease("b", worker="v")]}
    assert board.leases_of("w") == []
    assert len(board) == 1


def test_a_worker_says_its_load_with_each_beat() -> None:
    board = LeaseBoard()
    first, second, other = lease("a"), lease("b"), lease("c", worker="v")
    for kept in (first, second, other):
        board.add(kept, 0.0)
    board.on_worker_beat(beat(first, second, load=0.5), 1.0)
    assert (first.load, second.load, other.load) == (0.5, 0.5, 0.0)
    assert first == lease("a")  # a load does not make it another lease


def test_beats_of_strangers_are_ignored() -> None:
    assert LeaseBoard().on_worker_beat(beat(lease()), 0.0) == BeatNews()


def test_a_stranger_that_holds_something_is_told_once_that_it_is_in_vain() -> None:
    board = LeaseBoard()
    board.on_worker_beat(beat(), 0.0)
    assert board.beats() == {}, "it holds nothing"
    board.on_worker_beat(beat(lease()), 0.0)
    assert board.beats() == {"w": []}
    assert board.beats() == {}


def test_a_stranger_that_was_just_leased_is_told_so() -> None:
    board = LeaseBoard()
    board.on_worker_beat(beat(lease()), 0.0)
    board.add(lease(), 0.1)
    assert board.beats() == {"w": [lease()]}


def test_a_worker_whose_link_was_lost_may_lack_frames_and_says_so_once() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 0.0)
    assert board.on_worker_beat(beat(lease("a"), number=1, link_losses=2), 0.2) == BeatNews()
    assert board.on_worker_beat(beat(lease("a"), number=2, link_losses=3), 0.4).unsure == (lease("a"),)
    assert board.on_worker_beat(beat(lease("a"), number=3, link_losses=3), 0.6) == BeatNews()


def test_a_worker_that_begins_to_drain_is_told_once() -> None:
    board = LeaseBoard()
    board.add(lease("a"), 0.0)
    assert board.on_worker_beat(beat(lease("a"), draining=True), 0.2).leaving == (lease("a"),)
    assert board.on_worker_beat(beat(lease("a"), draining=True), 0.4) == BeatNews()
