"""A generation that ends at tools: they run, the next one carries their results, the context keeps them."""

from typing import Any

import pytest

from natter_gateway.context import ToolRound
from natter_gateway.journal.notes import Note, ToolCalled, ToolSettled
from natter_gateway.turns import events as ev
from natter_proto import (
    EndReason,
    Header,
    Reply,
    ReplyKind,
    Role,
    Tool,
    ToolCall,
    ToolOutcome,
    ToolResult,
    Turn,
)

WEATHER = {"name": "weather", "description": "Weather.", "kind": "nats", "read_only": True}
COLOUR = {"name": "colour", "description": "Colour of the page.", "kind": "browser", "read_only": True}


def call_tools(stages: Any, *names: str, step: int = 0) -> None:
    calls = [ToolCall(id=f"model-{index}", name=name, arguments='{"a":1}') for index, name in enumerate(names)]
    stages.conductor.on_reply(
        Reply(header=stages.header(), kind=ReplyKind.REPLY_KIND_TOOL_CALLS, tool_calls=calls, step=step)
    )
    reason = EndReason.END_REASON_TOOL_CALLS
    stages.conductor.on_reply(Reply(header=stages.header(), kind=ReplyKind.REPLY_KIND_END, reason=reason, step=step))


def settle(stages: Any, call_id: str, name: str, text: str) -> None:
    outcome = ToolOutcome.TOOL_OUTCOME_RESULT
    result = ToolResult(id=call_id, name=name, outcome=outcome, result=text)
    stages.conductor.on_tool(Tool(header=stages.header(), result=result))


async def test_the_next_generation_carries_the_results(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER])
    await stages.speak("weather?")
    call_tools(stages, "weather")
    assert [(call.id, call.name) for call in stages.orders.ran] == [("1.0.0", "weather")]
    settle(stages, "1.0.0", "weather", "rain")
    turn = stages.of(Turn)[-1]
    assert turn.step == 1
    assert [(call.id, call.arguments) for message in turn.steps for call in message.tool_calls] == [
        ("1.0.0", '{"a":1}')
    ]
    assert [(result.id, result.result) for result in turn.tool_results] == [("1.0.0", "rain")]
    stages.conductor.on_reply(
        Reply(header=stages.header(1), kind=ReplyKind.REPLY_KIND_SEGMENT, text="It rains.", spoken="It rains.", step=1)
    )
    stages.conductor.on_reply(Reply(header=stages.header(), kind=ReplyKind.REPLY_KIND_END, segments=1, step=1))
    assert "error" not in stages.types()


async def test_calls_and_what_became_of_them_are_noted(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER])
    noted: list[Note] = []
    stages.conductor.on_note = noted.append
    await stages.speak("weather?")
    call_tools(stages, "weather")
    settle(stages, "1.0.0", "weather", "rain")
    assert noted == [
        ToolCalled((1, 1), "1.0.0", "weather", '{"a":1}'),
        ToolSettled("1.0.0", "weather", '{"a":1}', "result", "rain"),
    ]


async def test_a_tool_of_the_page_is_asked_there(new_stages: Any) -> None:
    stages = new_stages(tools=[COLOUR])
    await stages.speak("what colour?")
    call_tools(stages, "colour")
    asked = next(message["data"] for message in stages.sent if message["type"] == "llm-function-call-in-progress")
    assert asked == {"tool_call_id": "1.0.0", "function_name": "colour", "arguments": {"a": 1}}
    stages.conductor.on_page_tool("1.0.0", "colour", {"colour": "red"})
    assert stages.of(Turn)[-1].tool_results[0].result == '{"colour": "red"}'
    assert stages.orders.ran == []


async def test_the_page_can_not_answer_for_others(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER])
    await stages.speak("weather?")
    call_tools(stages, "weather")
    stages.conductor.on_page_tool("1.0.0", "weather", "sun")
    assert len(stages.of(Turn)) == 1


async def test_an_order_that_is_refused_is_told_to_the_model(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER])
    await stages.speak("weather?")
    call_tools(stages, "weather")
    stages.conductor.tools.refused("1.0.0", "too many tools run already")
    assert stages.of(Turn)[-1].tool_results[0].result == "It was not run: too many tools run already."


async def test_steps_have_an_end(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER], llm={"max_tool_steps": 2})
    await stages.speak("weather?")
    for step in range(3):
        call_tools(stages, "weather", step=step)
        settle(stages, f"1.{step}.0", "weather", "rain")
    assert len(stages.orders.ran) == 2
    assert "error" in stages.types()


async def test_later_turns_know_what_tools_found(new_stages: Any) -> None:
    stages = new_stages(tools=[WEATHER])
    await stages.speak("weather?")
    call_tools(stages, "weather")
    settle(stages, "1.0.0", "weather", "rain")
    stages.conductor.on_reply(
        Reply(header=stages.header(1), kind=ReplyKind.REPLY_KIND_SEGMENT, text="Rain.", spoken="Rain.", step=1)
    )
    stages.conductor.on_reply(Reply(header=stages.header(), kind=ReplyKind.REPLY_KIND_END, segments=1, step=1))
    stages.segment_voice(1, "Rain.")
    stages.play(1_000)
    await stages.speak("and tomorrow?")
    roles = [message.role for message in stages.of(Turn)[-1].context]
    assert roles == [Role.ROLE_SYSTEM, Role.ROLE_USER, Role.ROLE_ASSISTANT, Role.ROLE_TOOL, Role.ROLE_ASSISTANT]


@pytest.mark.parametrize("survives", [True, False])
async def test_an_interruption_cancels_what_does_not_survive_it(new_stages: Any, survives: bool) -> None:
    stages = new_stages(tools=[{**WEATHER, "survives_interruption": survives}])
    await stages.speak("weather?")
    call_tools(stages, "weather")
    stages.conductor.handle(ev.ReplyEstablished(stages.key))
    stages.interrupt()
    assert [call.id for call in stages.orders.cancelled] == ([] if survives else ["1.0.0"])

    def noted() -> list[str]:
        entries = stages.conductor.context.entries
        return [call.outcome for entry in entries if isinstance(entry, ToolRound) for call in entry.calls]

    assert noted() == ["running" if survives else "cancelled"]
    outcome = ToolOutcome.TOOL_OUTCOME_RESULT
    late = ToolResult(id="1.0.0", name="weather", outcome=outcome, result="rain")
    stages.conductor.on_tool(Tool(header=Header(term=1, epoch=1), result=late))
    assert noted() == ["result" if survives else "cancelled"]
