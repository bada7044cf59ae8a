"""Tools in spoken calls: each kind, side by side, one after the other, too slow, interrupted. All calls run at once."""

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from natter_bench.words import normalise
from natter_emulators.deepgram import TurnQuiet
from natter_emulators.marks import caller_speech, count_words
from natter_emulators.script import Messages, Reply, ToolCall
from natter_proto import RealmSubjects
from natter_testing.eventually import eventually
from natter_testing.tool_calls import (
    WITHIN_S,
    ToolBot,
    ToolWorld,
    asked,
    is_heard,
    once,
    one_turn,
    outcomes,
    results,
    within,
)
from natter_testing.tool_servers import mcp_server, nats_tool

# One fixture has all the calls made.
pytestmark = pytest.mark.timeout(240)

QUESTION = "What is the weather in Paris?"
ANOTHER = "Stop, tell me a story."
THIRD = "What is the answer?"
FIRST_HALF = "Please remember that I like tea"
SECOND_HALF = "with milk and sugar."
PARIS = '{"city": "Paris"}'
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BOOKING = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}, "time": {"type": "string"}},
    "required": ["name", "people", "time"],
}
SUM = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
CONVERSION = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("source_timezone", "time", "target_timezone")},
}
NATS_TOOL = Path(__file__).parents[3] / "examples" / "nats_tool" / "serve.py"

Play = Callable[[], Awaitable[None]]


# --- The kinds


def browser(world: ToolWorld) -> Play:
    model = once("where", "{}", lambda found: f"You are in {json.loads(found)['city']}.")
    world.add(ToolBot("browser", model, [{"name": "where", "kind": "browser"}]))

    async def play() -> None:
        async with world.call("browser") as talk:
            said_s = await talk.ask(QUESTION)
            asked_page = await talk.wait_for("llm-function-call-in-progress", said_s)
            assert asked_page.data["function_name"] == "where"
            result = {"city": "London"}
            talk.caller.send("llm-function-call-result", {**asked_page.data, "result": result})
            # Once is enough; the second is too late to count.
            talk.caller.send("llm-function-call-result", {**asked_page.data, "result": {"city": "Paris"}})
            assert is_heard("You are in London.", heard := await talk.hear_reply(said_s)), heard
            turn = await talk.turn()
            assert outcomes(turn) == [("result", '{"city": "London"}')]
            assert len(talk.caller.recording.of_type("llm-function-call-in-progress")) == 1
            assert len(talk.caller.recording.of_type("llm-function-call-stopped")) == 1

    return play


def http(world: ToolWorld) -> Play:
    hook = world.webhooks.add("weather", "rainy in {city}")
    tool = world.http_tool("weather", "weather", read_only=True, parameters=CITY)
    world.add(ToolBot("http", once("weather", PARIS, lambda found: f"It is {found}."), [tool]))

    async def play() -> None:
        await one_turn(world, "http", QUESTION, says="It is rainy in Paris.", tools=[("result", "rainy in Paris")])
        assert [(run.arguments, run.over) for run in hook.runs] == [({"city": "Paris"}, True)]
        assert world.webhooks.refused == 0, "signed as documented"

    return play


def nats(world: ToolWorld) -> Play:
    arguments = '{"name": "Robin", "people": 4, "time": "19:30"}'

    def words(found: str) -> str:
        booked = json.loads(found)
        return f"{booked['name']}, your table for {booked['people']} is booked."

    tool = {"name": "book_table", "kind": "nats", "idempotent": True, "parameters": BOOKING}
    world.add(ToolBot("nats", once("book_table", arguments, words), [tool]))

    async def play() -> None:
        async with nats_tool(NATS_TOOL, world.system.nats_url) as subject:
            assert subject == RealmSubjects("main").tool("book_table")
            result = json.dumps({"booked": True, "name": "Robin", "people": 4, "time": "19:30"})
            await one_turn(
                world, "nats", QUESTION, says="Robin, your table for 4 is booked.", tools=[("result", result)]
            )

    return play


def mcp_by_command(world: ToolWorld) -> Play:
    arguments = '{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}'

    def words(found: str) -> str:
        return f"There the time is {int(json.loads(found)['target']['datetime'][11:13])}."

    server = {"command": [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"], "tool": "convert_time"}
    tool = {"name": "convert", "kind": "mcp", "mcp": server, "read_only": True, "parameters": CONVERSION}
    world.add(ToolBot("mcp-by-command", once("convert", arguments, words), [tool]))

    async def play() -> None:
        async with world.call("mcp-by-command") as talk:
            said_s = await talk.ask(QUESTION)
            assert is_heard("There the time is 21.", heard := await talk.hear_reply(said_s)), heard
            ((outcome, result),) = outcomes(await talk.turn())
            assert outcome == "result"
            assert "Asia/Tokyo" in result

    return play


def mcp_over_http(world: ToolWorld) -> Play:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    tool = {"name": "add", "kind": "mcp", "mcp": {"url": url}, "parameters": SUM}
    model = once("add", '{"a": 2, "b": 3}', lambda found: f"That makes {found} dogs for you.")
    world.add(ToolBot("mcp-over-http", model, [tool]))

    async def play() -> None:
        async with mcp_server(listener):
            await one_turn(world, "mcp-over-http", QUESTION, says="That makes 5 dogs for you.", tools=[("result", "5")])

    return play


# --- More than one


def side_by_side(world: ToolWorld) -> Play:
    moon = world.webhooks.add("moon", "full", held=True)
    sun = world.webhooks.add("sun", "hot", held=True)

    def model(messages: Messages) -> Reply:
        if found := results(messages):
            return Reply(f"The moon is {found[0]}, the sun is {found[1]}.")
        return Reply(tool_calls=[ToolCall("moon"), ToolCall("sun")])

    tools = [world.http_tool("moon", "moon"), world.http_tool("sun", "sun")]
    world.add(ToolBot("side-by-side", model, tools))

    async def play() -> None:
        async with asyncio.TaskGroup() as tasks:
            says = "The moon is full, the sun is hot."
            pair = [("result", "full"), ("result", "hot")]
            tasks.create_task(one_turn(world, "side-by-side", QUESTION, says=says, tools=pair), name="caller")
            # Both run before either is answered; the second one is, first.
            await within(moon.began)
            await within(sun.began)
            sun.release.set()
            moon.release.set()
        assert len(moon.runs) == len(sun.runs) == 1

    return play


def one_after_the_other(world: ToolWorld) -> Play:
    where = world.webhooks.add("where", "London")
    there = world.webhooks.add("there", "windy in {city}")

    def model(messages: Messages) -> Reply:
        found = results(messages)
        if not found:
            return Reply("Let me see.", [ToolCall("where")])
        if len(found) == 1:
            return Reply(tool_calls=[ToolCall("there", json.dumps({"city": found[0]}))])
        return Reply(f"It is {found[1]}.")

    tools = [world.http_tool("where", "where"), world.http_tool("there", "there", parameters=CITY)]
    world.add(ToolBot("one-after-the-other", model, tools))

    async def play() -> None:
        async with world.call("one-after-the-other") as talk:
            said_s = await talk.ask(QUESTION)
            heard = await talk.hear_reply(said_s)
            assert is_heard("Let me see. It is windy in London.", heard), heard
            assert outcomes(await talk.turn()) == [("result", "London"), ("result", "windy in London")]
        assert [run.arguments for run in there.runs] == [{"city": "London"}]
        assert len(where.runs) == 1

    return play


# --- Slow ones


def too_slow(world: ToolWorld) -> Play:
    hook = world.webhooks.add("too-slow", "never", held=True)
    model = once("slow", "{}", lambda _found: "Sorry, there is no answer.")
    world.add(ToolBot("too-slow", model, [world.http_tool("slow", "too-slow", timeout_ms=400)]))

    async def play() -> None:
        async with world.call("too-slow") as talk:
            said_s = await talk.ask(QUESTION)
            assert is_heard("Sorry, there is no answer.", heard := await talk.hear_reply(said_s)), heard
            ((outcome, _words),) = outcomes(await talk.turn())
            assert outcome == "timeout"
            await within(hook.left)
        assert len(hook.runs) == 1

    return play


def with_a_filler(world: ToolWorld) -> Play:
    hook = world.webhooks.add("filled", "nineteen degrees", held=True)
    model = once("slow", "{}", lambda found: f"It is {found}.")
    tool = world.http_tool("slow", "filled", filler="One moment, please.", filler_after_ms=300)
    world.add(ToolBot("with-a-filler", model, [tool]))

    async def play() -> None:
        async with world.call("with-a-filler") as talk:
            said_s = await talk.ask(QUESTION)
            await within(hook.began)
            await talk.wait_for("bot-started-speaking", said_s)
            # It is long over before the tool is.
            await talk.caller.wait_for_quiet(1.0, within_s=WITHIN_S)
            assert is_heard("One moment, please.", filler := talk.heard(said_s)), filler
            hook.release.set()
            heard = await talk.hear_reply(said_s)
            assert is_heard("One moment, please. It is nineteen degrees.", heard), heard
            assert outcomes(await talk.turn()) == [("result", "nineteen degrees")]

    return play


def on_a_silent_page(world: ToolWorld) -> Play:
    model = once("where", "{}", lambda _found: "Sorry, there is no answer.")
    world.add(ToolBot("silent-page", model, [{"name": "where", "kind": "browser", "timeout_ms": 400}]))

    async def play() -> None:
        async with world.call("silent-page") as talk:
            said_s = await talk.ask(QUESTION)
            await talk.wait_for("llm-function-call-stopped", said_s)
            (asked_page,) = talk.caller.recording.of_type("llm-function-call-in-progress")
            talk.caller.send("llm-function-call-result", {**asked_page.data, "result": "too late"})
            assert is_heard("Sorry, there is no answer.", heard := await talk.hear_reply(said_s)), heard
            ((outcome, result),) = outcomes(await talk.turn())
            assert outcome == "timeout"
            assert result != "too late"

    return play


# --- Turns that are not over


def only_after_the_turn(world: ToolWorld) -> Play:
    hook = world.webhooks.add("noted", "done")

    def model(messages: Messages) -> Reply:
        if found := results(messages):
            return Reply(f"It is {found[0]}.")
        return Reply(tool_calls=[ToolCall("note", json.dumps({"text": str(messages[-1]["content"])}))])

    text = {"type": "object", "properties": {"text": {"type": "string"}}}
    tool = world.http_tool("note", "noted", read_only=True, parameters=text)
    world.emulators.deepgram.turn_quiet = TurnQuiet(eager_ms=300, end_ms=1_500)
    world.add(ToolBot("only-after-the-turn", model, [tool], stt="deepgram-flux"))

    async def guesses() -> int:
        return len(world.requests("only-after-the-turn"))

    async def play() -> None:
        async with world.call("only-after-the-turn") as talk:
            await talk.ask(FIRST_HALF)
            # The model is asked on the chance that this was all, and wants the tool.
            await eventually(guesses, lambda seen: seen > 0, WITHIN_S)
            said_s = await talk.ask(SECOND_HALF)
            assert is_heard("It is done.", heard := await talk.hear_reply(said_s)), heard
            assert outcomes(await talk.turn()) == [("result", "done")]
        (run,) = hook.runs
        assert count_words(f"{FIRST_HALF} {SECOND_HALF}", normalise(run.arguments["text"])).exact

    return play


# --- Interrupted ones


def interrupted(world: ToolWorld) -> Play:
    hook = world.webhooks.add("interrupted", "never", held=True)

    def model(messages: Messages) -> Reply:
        if asked(messages) == 1:
            return Reply(tool_calls=[ToolCall("slow")])
        cancelled = any(one["role"] == "tool" and "Cancelled" in str(one["content"]) for one in messages)
        return Reply("I cancelled that." if cancelled else "Nothing happened.")

    world.add(ToolBot("interrupted", model, [world.http_tool("slow", "interrupted")]))

    async def play() -> None:
        async with world.call("interrupted") as talk:
            await talk.ask(QUESTION)
            await within(hook.began)
            said_s = await talk.ask(ANOTHER)
            assert is_heard("I cancelled that.", heard := await talk.hear_reply(said_s)), heard
            await within(hook.left)
            await talk.turn()
            first, second = await talk.turns()
            assert [outcome for outcome, _ in outcomes(first)] == ["cancelled"]
            assert (first["bot"], second["tools"], second["bot"]) == (None, [], "I cancelled that.")
        assert len(hook.runs) == 1

    return play


def survived(world: ToolWorld) -> Play:
    hook = world.webhooks.add("survived", "forty two", held=True)

    def model(messages: Messages) -> Reply:
        match asked(messages):
            case 1:
                return Reply(tool_calls=[ToolCall("slow")])
            case 2:
                return Reply("There was a lady.")
            case _:
                (found,) = (str(one["content"]) for one in messages if one["role"] == "tool")
                return Reply(f"The answer is {found}.")

    tool = world.http_tool("slow", "survived", survives_interruption=True)
    world.add(ToolBot("survived", model, [tool]))

    async def play() -> None:
        async with world.call("survived") as talk:
            await talk.ask(QUESTION)
            await within(hook.began)
            said_s = await talk.ask(ANOTHER)
            assert is_heard("There was a lady.", heard := await talk.hear_reply(said_s)), heard
            assert not hook.runs[0].left
            assert [outcome for outcome, _ in outcomes((await talk.turns())[0])] == ["running"]
            hook.release.set()

            async def first_turn() -> list[tuple[str, str]]:
                return outcomes((await talk.turns())[0])

            await eventually(first_turn, lambda seen: seen == [("result", "forty two")], WITHIN_S)
            said_s = await talk.ask(THIRD)
            assert is_heard("The answer is forty two.", heard := await talk.hear_reply(said_s)), heard
        assert len(hook.runs) == 1

    return play


SCENARIOS: dict[str, Callable[[ToolWorld], Play]] = {
    play.__name__: play
    for play in (
        browser,
        http,
        nats,
        mcp_by_command,
        mcp_over_http,
        side_by_side,
        one_after_the_other,
        too_slow,
        on_a_silent_page,
        with_a_filler,
        only_after_the_turn,
        interrupted,
        survived,
    )
}
AT_ONCE = 5


async def play_all(folder: Path) -> dict[str, BaseException | None]:
    """What became of each scenario."""
    ended: dict[str, BaseException | None] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, play: Play) -> None:
        async with room:
            (ended[name],) = await asyncio.gather(play(), return_exceptions=True)

    async with ToolWorld.open(folder) as world:
        plays = {name: prepare(world) for name, prepare in SCENARIOS.items()}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.start({"NATTER_TOOL_COMMANDS": sys.executable}), name="start")
            for text in (QUESTION, ANOTHER, THIRD, FIRST_HALF, SECOND_HALF):
                await asyncio.to_thread(caller_speech, text)
        async with asyncio.TaskGroup() as tasks:
            for name, play in plays.items():
                tasks.create_task(one(name, play), name=name)
    return ended


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return asyncio.run(play_all(tmp_path_factory.mktemp("tools")))


@pytest.mark.parametrize("name", SCENARIOS)
def test_tools(ended: dict[str, BaseException | None], name: str) -> None:
    error = ended[name]
    if error is not None:
        raise error
