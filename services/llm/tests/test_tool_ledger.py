"""Which calls were seen."""

from hypothesis import given
from hypothesis import strategies as st

from natter_llm.tools.ledger import Standing, ToolLedger
from natter_proto import ToolResult


def result(call_id: str, text: str = "") -> ToolResult:
    return ToolResult(id=call_id, result=text)


def test_a_call_is_new_once() -> None:
    ledger = ToolLedger()
    assert ledger.enter("1.0.0") is Standing.NEW
    assert ledger.enter("1.0.0") is Standing.RUNNING
    assert ledger.settle("1.0.0", result("1.0.0", "first"))
    assert ledger.enter("1.0.0") is Standing.DONE
    assert not ledger.settle("1.0.0", result("1.0.0", "second"))
    known = ledger.result("1.0.0")
    assert known is not None
    assert known.result == "first"


def test_an_unknown_call_can_not_be_settled() -> None:
    assert not ToolLedger().settle("1.0.0", result("1.0.0"))


def test_the_oldest_done_are_forgotten_and_none_that_runs() -> None:
    ledger = ToolLedger(most_calls=3)
    ledger.enter("running")
    for number in range(10):
        ledger.enter(str(number))
        ledger.settle(str(number), result(str(number)))
    assert len(ledger) == 3
    assert ledger.enter("running") is Standing.RUNNING
    assert ledger.enter("9") is Standing.DONE


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60))
def test_of_any_orders_and_ends_each_id_runs_once(steps: list[tuple[int, bool]]) -> None:
    ledger = ToolLedger()
    began: list[int] = []
    ended: list[int] = []
    for number, ends in steps:
        if ends:
            if ledger.settle(str(number), result(str(number))):
                ended.append(number)
        elif ledger.enter(str(number)) is Standing.NEW:
            began.append(number)
    assert len(began) == len(set(began))
    assert len(ended) == len(set(ended))
    assert set(ended) <= set(began)
