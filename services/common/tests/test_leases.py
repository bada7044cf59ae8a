"""Which leases a worker takes and when each ends, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_common.worker.leases import GATEWAY_SILENCE_S, MISSING_GRACE_S, LeaseBook, LeaseKey, TakeResult, key_of
from natter_proto import Lease, LeaseClass

NEW = LeaseClass.LEASE_CLASS_NEW
TAKEOVER = LeaseClass.LEASE_CLASS_TAKEOVER


def lease(
    session: str,
    epoch: int = 1,
    term: int = 1,
    gateway: str = "g",
    lease_class: LeaseClass = NEW,
    provider: str = "local",
) -> Lease:
    return Lease(session=session, epoch=epoch, term=term, gateway=gateway, lease_class=lease_class, provider=provider)


def test_a_quarter_of_headroom_is_for_takeovers() -> None:
    book = LeaseBook(4)
    for number in range(4):
        assert book.take(lease(f"s{number}"), 0.0) == (TakeResult.TAKEN, None)
    assert book.take(lease("new"), 0.0)[0] is TakeResult.FULL
    assert book.take(lease("heir", lease_class=TAKEOVER), 0.0)[0] is TakeResult.TAKEN
    assert book.take(lease("heir2", lease_class=TAKEOVER), 0.0)[0] is TakeResult.FULL
    assert book.load == 1.25


def test_what_is_done_elsewhere_takes_less_room() -> None:
    book = LeaseBook(2, {"cloud": 0.1})
    book.take(lease("here"), 0.0)
    for number in range(10):
        assert book.take(lease(f"there{number}", provider="cloud"), 0.0)[0] is TakeResult.TAKEN
    assert book.load == pytest.approx(1.0)
    assert book.take(lease("more", provider="cloud"), 0.0)[0] is TakeResult.FULL
    book.end(LeaseKey("here", 1, 1))
    assert book.has_room(NEW, "local")
    assert book.has_room(NEW, "cloud")


def test_a_newer_epoch_replaces_and_an_older_one_is_refused() -> None:
    book = LeaseBook(1)
    book.take(lease("s", epoch=1), 0.0)
    assert book.take(lease("s", epoch=2), 0.0) == (TakeResult.TAKEN, LeaseKey("s", 1, 1))
    assert book.take(lease("s", epoch=1), 0.0)[0] is TakeResult.STALE
    assert book.take(lease("s", epoch=1, term=2), 0.0)[0] is TakeResult.TAKEN
    assert len(book) == 1


def test_a_draining_worker_takes_nothing() -> None:
    book = LeaseBook(4)
    book.draining = True
    assert book.take(lease("s"), 0.0)[0] is TakeResult.DRAINING
    assert not book.has_room(TAKEOVER, "local")


def test_what_a_gateway_does_not_list_is_freed_after_the_grace() -> None:
    book = LeaseBook(4)
    book.take(lease("a"), 0.0)
    book.take(lease("b"), 0.0)
    listed = {LeaseKey("a", 1, 1)}
    assert book.on_gateway_beat("g", listed, MISSING_GRACE_S) == []
    assert book.on_gateway_beat("g", listed, MISSING_GRACE_S + 0.1) == [LeaseKey("b", 1, 1)]


def test_a_silent_gateways_leases_are_freed_and_no_others() -> None:
    book = LeaseBook(4)
    book.take(lease("a", gateway="dead"), 0.0)
    book.take(lease("b", gateway="alive"), 0.0)
    book.on_gateway_beat("alive", {LeaseKey("b", 1, 1)}, GATEWAY_SILENCE_S)
    assert book.silent(GATEWAY_SILENCE_S + 0.1) == [LeaseKey("a", 1, 1)]


def test_silence_while_the_own_link_was_away_does_not_count() -> None:
    book = LeaseBook(4)
    book.take(lease("a"), 0.0)
    book.on_link_back(100.0)
    assert book.silent(101.0) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.sampled_from("gh"), st.booleans())))
def test_the_book_never_holds_a_session_twice_and_forgets_all(
    steps: list[tuple[str, int, str, bool]],
) -> None:
    book = LeaseBook(2)
    for session, epoch, gateway, ends in steps:
        wanted = lease(session, epoch, gateway=gateway)
        if ends:
            book.end(key_of(wanted))
        else:
            book.take(wanted, 0.0)
        keys = [key for keys in book.gateways().values() for key in keys]
        assert len({key.session for key in keys}) == len(keys) == len(book) <= 3
    for keys in list(book.gateways().values()):
        for key in keys:
            assert book.end(key)
    assert book.gateways() == {}
