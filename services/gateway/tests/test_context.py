"""The context: what was said and heard, in order, within its budget."""

from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.context import Context, Speaker, ToolRecord, ToolRound, Utterance, estimate_tokens


def talk(turns: int, words: int = 10) -> Context:
    context = Context()
    for turn in range(1, turns + 1):
        context.add_user(turn, "word " * words)
        context.add_heard(turn, "reply " * words)
    return context


def test_a_turns_own_message_is_not_in_its_context() -> None:
    context = talk(1)
    context.add_user(2, "and now?")
    assert [utterance.turn for utterance in context.before(2, "Be kind.", 1_000)] == [1, 1]


def test_what_nobody_heard_leaves_no_trace() -> None:
    context = Context()
    context.add_user(1, "hello")
    context.add_heard(1, "  ")
    assert context.utterances == (Utterance(1, Speaker.USER, "hello"),)


def test_a_correction_replaces_the_callers_words() -> None:
    context = talk(1)
    context.correct_user(1, "what I meant")
    assert context.utterances[0] == Utterance(1, Speaker.USER, "what I meant")
    context.correct_user(9, "of no turn")
    assert len(context.utterances) == 2


def test_the_oldest_turns_go_first_and_whole() -> None:
    kept = talk(20).before(21, "Be kind.", 200)
    assert [utterance.turn for utterance in kept][-1] == 20
    assert kept[0].speaker is Speaker.USER
    assert len(kept) % 2 == 0
    assert len(kept) < 40


def test_the_context_begins_the_same_for_many_turns_once_it_is_full() -> None:
    context = Context()
    beginnings: list[int] = []
    for turn in range(1, 60):
        context.add_user(turn, "word " * 10)
        context.add_heard(turn, "reply " * 10)
        beginnings.append(context.before(turn + 1, "Be kind.", 600)[0].turn)
    assert beginnings == sorted(beginnings)
    assert len(set(beginnings)) < 20


def test_the_latest_turn_stays_whatever_it_costs() -> None:
    kept = talk(2, words=1_000).before(3, "Be kind.", 10)
    assert [utterance.turn for utterance in kept] == [2, 2]


@given(st.integers(1, 30), st.integers(50, 2_000))
def test_the_budget_holds_beyond_the_latest_turn(turns: int, max_tokens: int) -> None:
    kept = talk(turns).before(turns + 1, "Be kind.", max_tokens)
    older = [utterance for utterance in kept if utterance.turn < turns]
    cost = sum(estimate_tokens(utterance.text) for utterance in kept) + estimate_tokens("Be kind.")
    assert not older or cost <= max_tokens


def test_old_turns_are_to_be_summed_up_before_the_budget_is_full() -> None:
    context = talk(3)
    assert context.to_sum_up("Be kind.", 10_000) is None
    context = talk(20)
    found = context.to_sum_up("Be kind.", 400)
    assert found is not None
    behind, entries = found
    assert {entry.turn for entry in entries} == set(range(1, behind))


def test_a_summary_stands_for_what_it_sums_up() -> None:
    context = talk(20)
    context.sum_up(11, "They talked of words.")
    assert context.summary == "They talked of words."
    assert {entry.turn for entry in context.before(21, "Be kind.", 10_000)} == set(range(11, 21))
    assert len(context.entries) == 40


def test_what_a_tool_finds_late_is_put_where_its_call_is() -> None:
    context = Context()
    running = ToolRecord("1.0.0", "weather", "{}", "running", "It is still running.")
    context.add_tools(1, (running,))
    context.correct_tool(ToolRecord("1.0.0", "weather", "{}", "result", "rain"))
    (entry,) = context.entries
    assert isinstance(entry, ToolRound)
    assert [(call.outcome, call.result) for call in entry.calls] == [("result", "rain")]
