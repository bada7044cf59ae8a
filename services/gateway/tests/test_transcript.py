"""A conversation read back."""

from natter_gateway.context import Context, ToolRecord
from natter_gateway.transcript import turns_of


def call(number: int, outcome: str = "result") -> ToolRecord:
    return ToolRecord(f"1.0.{number}", "weather", '{"city": "Oslo"}', outcome, f"{number} °C")


def shown(number: int, outcome: str = "result") -> dict[str, str]:
    return {"name": "weather", "arguments": '{"city": "Oslo"}', "outcome": outcome, "result": f"{number} °C"}


def test_turns_with_what_was_said_found_and_heard() -> None:
    context = Context()
    context.add_heard(0, "Hello.")
    context.add_user(1, "Is it cold?")
    context.add_heard(1, "Let me look.")
    context.add_tools(1, (call(1), call(2, "timeout")))
    context.add_tools(1, (call(3),))
    context.add_heard(1, "It is.")
    context.add_user(2, "Thanks")
    assert turns_of(context.entries) == [
        {"turn": 0, "user": None, "tools": [], "bot": "Hello."},
        {
            "turn": 1,
            "user": "Is it cold?",
            "tools": [shown(1), shown(2, "timeout"), shown(3)],
            "bot": "Let me look. It is.",
        },
        {"turn": 2, "user": "Thanks", "tools": [], "bot": None},
    ]


def test_turns_that_the_model_no_longer_sees_are_still_there() -> None:
    context = Context()
    for turn in range(1, 31):
        context.add_user(turn, "word " * 20)
        context.add_heard(turn, "reply " * 20)
    assert len(context.before(31, "Be kind.", 300)) < 20
    assert [turn["turn"] for turn in turns_of(context.entries)] == list(range(1, 31))


def test_what_comes_late_stands_in_its_turn() -> None:
    context = Context()
    context.add_user(1, "one")
    context.add_user(2, "two")
    context.add_heard(1, "to one")
    assert [(turn["user"], turn["bot"]) for turn in turns_of(context.entries)] == [("one", "to one"), ("two", None)]


def test_nothing_was_said_yet() -> None:
    assert turns_of(Context().entries) == []
