"""The newest snapshot is written, by one gateway: in virtual time."""

from natter_gateway.journal.snapshot_box import Holder, SnapshotBox

TERM = 2
ME = "gateway-a"


def wanting(revision: int = 0) -> SnapshotBox:
    box = SnapshotBox(TERM, ME, revision)
    box.want()
    return box


def test_borders_during_a_write_become_one_more_write() -> None:
    box = wanting()
    assert box.begin(0)
    box.want()
    box.want()
    assert not box.begin(1)
    assert not box.settled
    box.on_written(5)
    assert box.revision == 5
    assert box.begin(2)
    box.on_written(6)
    assert box.settled
    assert box.due_ms is None
    assert not box.begin(3)


def test_a_failed_write_is_made_again() -> None:
    box = wanting()
    assert box.begin(0)
    box.on_failed(0)
    assert not box.begin(0)
    assert box.due_ms is not None
    assert box.begin(box.due_ms)


def test_a_lost_answer_is_found_in_the_bucket() -> None:
    box = wanting(revision=5)
    assert box.begin(0)
    box.on_failed(0)
    assert box.begin(300)
    box.on_refused(Holder(6, TERM, ME), 300)
    assert not box.superseded
    assert box.revision == 6
    assert box.begin(1_000)


def test_a_bucket_made_anew_is_written_to() -> None:
    box = wanting(revision=5)
    assert box.begin(0)
    box.on_refused(None, 0)
    assert box.revision == 0
    assert box.begin(300)


def test_another_gateway_ends_it() -> None:
    for found in (
        Holder(9, TERM + 1, "gateway-b"),
        Holder(9, TERM, "gateway-b"),
        Holder(9, TERM, ME, removed=True),
    ):
        box = wanting(revision=5)
        assert box.begin(0)
        box.on_refused(found, 0)
        assert box.superseded
        assert box.settled
        box.want()
        assert not box.begin(1e9)
