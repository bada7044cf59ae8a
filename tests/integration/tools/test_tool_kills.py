"""The llm worker is killed before, during and after a call of a tool: it runs at most once, and the reply tells."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from natter_emulators.marks import caller_speech
from natter_emulators.script import Messages, Reply, ToolCall
from natter_local.supervised import Supervised
from natter_testing.eventually import eventually
from natter_testing.tool_calls import WITHIN_S, ToolBot, ToolTalk, ToolWorld, is_heard, outcomes, results, within
from natter_testing.webhooks import Hook

# One fixture has all the calls made.
pytestmark = pytest.mark.timeout(240)

QUESTION: Final = "Please book a table for me."
DONE: Final = "Thank you, it is booked for you now."
NOT_SURE: Final = "Sorry, perhaps it is booked, perhaps not."
"""What the model makes of a call whose outcome is unknown."""
TIMEOUT_MS: Final = 30_000
SLOW_MS: Final = 2_400
"""How long a model takes to begin that is killed before it does. It is waited for 3 s."""


@dataclass(slots=True)
class Victim:
    """A call whose llm worker is killed, and what became of it.

    Attributes:
        hook: the webhook that its tool is; None where the page runs the tool.
    """

    bot: ToolBot
    hook: Hook | None
    first: Callable[[ToolTalk], Coroutine[None, None, None]]
    """Ask, and bring it to where it waits for the others."""
    last: Callable[[ToolTalk], Coroutine[None, None, None]]
    """Bring it from there to the point where the worker is killed."""
    go_on: Callable[[ToolTalk], None]
    """What happens once the worker is dead."""
    heard: str = ""
    turn: dict[str, Any] = field(default_factory=dict[str, Any])
    errors: list[str] = field(default_factory=list[str])


def model(messages: Messages) -> Reply:
    """Books once, and says what is known of it."""
    found = results(messages)
    if not found:
        return Reply(tool_calls=[ToolCall("book")])
    return Reply(DONE if found[-1] == "booked" else NOT_SURE)


def webhook(world: ToolWorld, name: str, *, slow_ms: int = 0, **fields: Any) -> tuple[ToolBot, Hook]:
    hook = world.webhooks.add(name, "booked", held=True)
    tool = world.http_tool("book", name, timeout_ms=TIMEOUT_MS, **fields)
    return ToolBot(name, model, [tool], slow_ms=slow_ms), hook


def before(world: ToolWorld) -> Victim:
    """The model has not called the tool yet."""
    bot, hook = webhook(world, "before", slow_ms=SLOW_MS)
    hook.release.set()

    async def last(talk: ToolTalk) -> None:
        said_s = await talk.ask(QUESTION)
        await talk.wait_for("bot-llm-started", said_s)

    return Victim(bot, hook, nothing, last, lambda _talk: None)


def during(world: ToolWorld, name: str, **fields: Any) -> Victim:
    """The tool has begun and is not done."""
    bot, hook = webhook(world, name, **fields)

    async def first(talk: ToolTalk) -> None:
        await talk.ask(QUESTION)
        await within(hook.began)

    return Victim(bot, hook, first, nothing, lambda _talk: hook.release.set())


def during_in_the_page() -> Victim:
    bot = ToolBot("page", model, [{"name": "book", "kind": "browser", "timeout_ms": TIMEOUT_MS}])

    async def first(talk: ToolTalk) -> None:
        said_s = await talk.ask(QUESTION)
        await talk.wait_for("llm-function-call-in-progress", said_s)

    def go_on(talk: ToolTalk) -> None:
        (asked,) = talk.caller.recording.of_type("llm-function-call-in-progress")
        talk.caller.send("llm-function-call-result", {**asked.data, "result": "booked"})

    return Victim(bot, None, first, nothing, go_on)


def after(world: ToolWorld) -> Victim:
    """The result is reported, and the next generation has not said anything yet."""
    bot, hook = webhook(world, "after", slow_ms=SLOW_MS)

    async def with_the_result() -> int:
        return sum(messages[-1]["role"] == "tool" for messages in world.requests(bot.name))

    async def first(talk: ToolTalk) -> None:
        await talk.ask(QUESTION)
        await within(hook.began)

    async def last(_talk: ToolTalk) -> None:
        hook.release.set()
        await eventually(with_the_result, lambda seen: seen == 1, WITHIN_S)

    return Victim(bot, hook, first, last, lambda _talk: None)


async def nothing(_talk: ToolTalk) -> None:
    pass


def all_victims(world: ToolWorld) -> list[Victim]:
    """In the order of their last steps: the model of the first must not be done when the last one has taken its own."""
    return [
        before(world),
        during(world, "during"),
        during(world, "during-idempotent", idempotent=True),
        during(world, "during-read-only", read_only=True),
        during_in_the_page(),
        after(world),
    ]


async def sessions(world: ToolWorld, process: Supervised) -> int:
    return (await world.http.get(f"{process.url}/health")).json()["sessions"]


async def play_all(folder: Path) -> dict[str, Victim]:
    await asyncio.to_thread(caller_speech, QUESTION)
    async with ToolWorld.open(folder) as world, AsyncExitStack() as stack:
        victims = all_victims(world)
        for victim in victims:
            world.add(victim.bot)
        await world.start({})
        calls = [(victim, await stack.enter_async_context(world.call(victim.bot.name))) for victim in victims]
        async with asyncio.TaskGroup() as tasks:
            # The other worker comes only now, so that all calls are with the first.
            adding = tasks.create_task(world.system.add("llm"), name="spare")
            for victim, talk in calls:
                tasks.create_task(victim.first(talk), name=f"first-{victim.bot.name}")
        spare = adding.result()
        first = world.system.of("llm")[0]
        assert (await sessions(world, first), await sessions(world, spare)) == (len(victims), 0)
        for victim, talk in calls:
            await victim.last(talk)
        # The one has not called its tool yet, the other not said a word of what it makes of the result.
        (talk_before, *_, talk_after) = (talk for _, talk in calls)
        assert victims[0].hook is not None
        assert victims[0].hook.runs == []
        assert not talk_before.caller.recording.of_type("llm-function-call-started")
        assert not talk_after.caller.recording.of_type("bot-llm-text")
        await world.system.kill("llm", number=1)

        async def end(victim: Victim, talk: ToolTalk) -> None:
            victim.go_on(talk)
            victim.heard = await talk.hear_reply(0.0)
            victim.turn = await talk.turn()
            victim.errors = talk.errors

        await asyncio.gather(*(end(victim, talk) for victim, talk in calls))
        assert await sessions(world, spare) == len(victims)
        return {victim.bot.name: victim for victim in victims}


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Victim]:
    return asyncio.run(play_all(tmp_path_factory.mktemp("kills")))


@pytest.mark.parametrize(
    ("name", "runs", "outcome", "says"),
    [
        ("before", 1, "result", DONE),
        ("during", 1, "unknown", NOT_SURE),
        ("during-read-only", 1, "unknown", NOT_SURE),
        ("during-idempotent", 2, "result", DONE),
        ("page", 0, "result", DONE),
        ("after", 1, "result", DONE),
    ],
)
def test_kill(victims: dict[str, Victim], name: str, runs: int, outcome: str, says: str) -> None:
    victim = victims[name]
    ((became, _result),) = outcomes(victim.turn)
    assert became == outcome
    assert is_heard(says, victim.heard), victim.heard
    assert victim.turn["bot"] == says
    assert victim.errors == []
    if victim.hook is not None:
        assert len(victim.hook.runs) == runs
        assert len({run.key for run in victim.hook.runs}) == 1, "it runs again under the same id"
        # That of the dead worker was left unfinished; the other one, if any, was not.
        assert sum(run.over for run in victim.hook.runs) == (outcome == "result")
