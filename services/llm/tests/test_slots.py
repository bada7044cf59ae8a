"""Which session uses which slot."""

from natter_llm.slots import SlotTable


def test_a_session_gets_its_slot_again() -> None:
    slots = SlotTable(2)
    first = slots.acquire("a")
    assert first is not None
    slots.release(first)
    assert slots.acquire("b") != first
    assert slots.acquire("a") == first


def test_the_slot_idle_for_longest_changes_hands() -> None:
    slots = SlotTable(2)
    a, b = slots.acquire("a"), slots.acquire("b")
    assert a is not None
    assert b is not None
    slots.release(b)
    slots.release(a)
    again = slots.acquire("a")
    assert again == a
    slots.release(a)
    assert slots.acquire("c") == b


def test_too_many_are_refused() -> None:
    slots = SlotTable(1, waiting=1)
    assert slots.acquire("a") == 0
    assert slots.acquire("a") == 0
    assert slots.acquire("a") is None
    assert slots.acquire("b") is None
    slots.release(0)
    assert slots.acquire("a") == 0
    assert slots.busy == 2


def test_while_all_are_at_work_others_wait_and_own_nothing() -> None:
    slots = SlotTable(2)
    assert {slots.acquire("a"), slots.acquire("b")} == {0, 1}
    guest = slots.acquire("c")
    assert guest is not None
    slots.release(guest)
    slots.release(0)
    slots.release(1)
    assert {slots.acquire("a"), slots.acquire("b")} == {0, 1}
