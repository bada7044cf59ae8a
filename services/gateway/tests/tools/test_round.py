"""Rounds of tools in virtual time: each call at most once, each with one outcome."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.tools.round import (
    EXECUTOR_MARGIN_MS,
    QUIET_MS,
    Call,
    Cancel,
    Outcome,
    RoundAction,
    RoundOver,
    Run,
    SayFiller,
    Settled,
    ToolRound,
    ToolTraits,
)

READS = ToolTraits(False, 1_000.0, True, False, False, "One moment.", 700.0)
WRITES = replace(READS, read_only=False)
AGAIN = replace(READS, idempotent=True)
SURVIVES = replace(READS, survives_interruption=True)
ON_PAGE = replace(READS, on_page=True)
TOOLS = {"reads": READS, "writes": WRITES, "again": AGAIN, "survives": SURVIVES, "page": ON_PAGE}


def calls(*names: str) -> list[Call]:
    return [Call(f"1.1.0.{index}", name, "{}") for index, name in enumerate(names)]


def a_round(*names: str) -> ToolRound:
    return ToolRound((1, 1), calls(*names), TOOLS, 0.0)


def outcomes(actions: list[RoundAction]) -> list[tuple[str, str]]:
    return [(action.record.name, action.record.outcome) for action in actions if isinstance(action, Settled)]


def test_what_reads_starts_at_once_what_writes_after_a_quiet_moment() -> None:
    tools = a_round("reads", "writes")
    assert [action.call.name for action in tools.tick(0.0) if isinstance(action, Run)] == ["reads"]
    assert tools.deadline_ms == QUIET_MS
    assert [action.call.name for action in tools.tick(QUIET_MS) if isinstance(action, Run)] == ["writes"]


def test_the_round_is_over_with_the_last_result() -> None:
    tools = a_round("reads", "reads")
    tools.tick(0.0)
    assert tools.on_result("1.1.0.1", Outcome.RESULT, "b")[-1] != RoundOver()
    assert tools.on_result("1.1.0.0", Outcome.RESULT, "a")[-1] == RoundOver()
    assert [record.result for record in tools.records] == ["a", "b"]
    assert tools.on_result("1.1.0.0", Outcome.RESULT, "again") == []


def test_a_tool_that_nobody_has_is_an_error_that_the_model_may_act_on() -> None:
    tools = a_round("nothing")
    actions = tools.tick(0.0)
    assert outcomes(actions) == [("nothing", "error")]
    assert actions[-1] == RoundOver()


def test_a_slow_tool_gets_a_filler_once() -> None:
    tools = a_round("reads")
    tools.tick(0.0)
    assert tools.tick(699.0) == []
    assert tools.tick(700.0) == [SayFiller("One moment.")]
    assert tools.tick(900.0) == []


def test_the_page_gets_no_more_than_its_time() -> None:
    tools = a_round("page")
    tools.tick(0.0)
    actions = tools.tick(1_000.0)
    assert isinstance(actions[0], Cancel)
    assert outcomes(actions) == [("page", "timeout")]


def test_a_worker_that_says_nothing_leaves_the_outcome_unknown() -> None:
    tools = a_round("reads")
    tools.tick(0.0)
    assert outcomes(tools.tick(1_000.0 + EXECUTOR_MARGIN_MS)) == [("reads", "unknown")]


def test_a_dead_executor_leaves_the_outcome_unknown_unless_the_call_may_be_repeated() -> None:
    tools = a_round("reads", "again", "page")
    tools.tick(0.0)
    assert outcomes(tools.executor_lost()) == [("reads", "unknown")]
    assert tools.tick(5.0) == []
    assert [action.call.name for action in tools.executor_back(10.0) if isinstance(action, Run)] == ["again"]


def test_an_order_that_nobody_took_waits_for_an_executor() -> None:
    tools = a_round("reads")
    tools.tick(0.0)
    assert tools.not_run("1.1.0.0") == []
    assert [action.call.name for action in tools.executor_back(10.0) if isinstance(action, Run)] == ["reads"]


def test_nobody_is_waited_for_without_end() -> None:
    tools = a_round("reads", "again")
    tools.tick(0.0)
    tools.not_run("1.1.0.0")
    assert outcomes(tools.executor_lost()) == []
    assert tools.tick(700.0) == [SayFiller("One moment.")]
    due_ms = tools.deadline_ms
    assert due_ms is not None
    actions = tools.tick(due_ms)
    assert outcomes(actions) == [("reads", "error"), ("again", "unknown")]
    assert actions[-1] == RoundOver()


def test_an_interruption_cancels_all_but_what_survives_it() -> None:
    tools = a_round("reads", "survives", "writes")
    tools.tick(0.0)
    actions = tools.interrupt()
    assert outcomes(actions) == [("reads", "cancelled"), ("writes", "cancelled")]
    assert [record.outcome for record in tools.records] == ["cancelled", "running", "cancelled"]
    assert outcomes(tools.on_result("1.1.0.1", Outcome.RESULT, "done")) == [("survives", "result")]


steps = st.one_of(
    st.tuples(st.just("tick"), st.floats(0, 2_000)),
    st.tuples(st.just("result"), st.integers(0, 4)),
    st.tuples(st.just("not_run"), st.integers(0, 4)),
    st.tuples(st.sampled_from(["lost", "back", "interrupt"]), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*TOOLS, "nothing"]), min_size=1, max_size=4), st.lists(steps, max_size=30))
def test_each_call_ends_once_and_runs_once_unless_it_may_be_repeated(
    names: list[str], what: list[tuple[str, float]]
) -> None:
    tools = a_round(*names)
    now_ms = 0.0
    done: list[RoundAction] = []
    refused = dict.fromkeys(range(5), 0)
    for kind, value in what:
        match kind:
            case "tick":
                now_ms += value
                done += tools.tick(now_ms)
            case "result":
                done += tools.on_result(f"1.1.0.{value}", Outcome.RESULT, "x")
            case "not_run":
                refused[int(value)] += 1
                done += tools.not_run(f"1.1.0.{value}")
            case "lost":
                done += tools.executor_lost()
            case "back":
                done += tools.executor_back(now_ms)
            case _:
                done += tools.interrupt()
    done += tools.executor_back(now_ms)
    for _ in range(8):
        now_ms += 4_000.0
        done += tools.tick(now_ms)
    assert tools.over
    assert done.count(RoundOver()) == 1
    settled = [action.record.id for action in done if isinstance(action, Settled)]
    assert sorted(settled) == sorted(call.id for call in calls(*names))
    for index, name in enumerate(names):
        runs = sum(1 for action in done if isinstance(action, Run) and action.call.id == f"1.1.0.{index}")
        if name != "again":
            assert runs <= 1 + refused[index]
