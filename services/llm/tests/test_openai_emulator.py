"""The provider with the real SDK against the emulator of OpenAI's API: each fault it can have, tools, interruption."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.script import Delays, Fault, Reply, Script
from natter_emulators.script import ToolCall as ScriptedCall
from natter_llm.openai.provider import Deadlines, OpenAiProvider, OpenAiSettings
from natter_llm.provider import (
    ChatMessage,
    Delta,
    End,
    LlmError,
    LlmEvent,
    LlmRequest,
    ToolCall,
    ToolCalls,
    ToolDefinition,
)

TEXT = "I would begin with something small and see how it goes."
QUICK = Deadlines(first_s=1.5, next_s=1.0, usage_s=0.5)
# Beyond the deadline itself; the machine may have other work.
GRACE_S = 2.0


@pytest.fixture
async def emulators() -> AsyncGenerator[Emulators]:
    async with Emulators(delays=Delays(first_token_ms=5, tokens_per_s=500)) as emulators:
        yield emulators


@pytest.fixture
async def provider(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[OpenAiProvider]:
    for name, value in emulators.environment().items():
        monkeypatch.setenv(name, value)
    provider = OpenAiProvider(deadlines=QUICK)
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()


def ask(model: str | None, **fields: Any) -> LlmRequest:
    return LlmRequest("s", (ChatMessage("user", "How would you begin?"),), model=model, **fields)


async def events_of(provider: OpenAiProvider, request: LlmRequest) -> list[LlmEvent]:
    async with asyncio.timeout(20), aclosing(provider.generate(request)) as events:
        return [event async for event in events]


def text_of(events: list[LlmEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def until_idle(emulators: Emulators) -> None:
    async with asyncio.timeout(10):
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)


async def test_a_whole_reply_with_its_usage(emulators: Emulators, provider: OpenAiProvider) -> None:
    await provider.probe()
    await provider.warm(ask(None))
    events = await events_of(provider, ask(None))
    assert text_of(events)
    end = events[-1]
    assert isinstance(end, End)
    assert end.reason == "stop"
    assert not end.usage.estimated
    assert end.usage.completion_tokens > 0


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault.STALL, Trouble.STALLED, True),
        (Fault.HALF_OPEN, Trouble.STALLED, True),
        (Fault.UNAUTHORIZED, Trouble.UNAUTHORIZED, False),
        (Fault.QUOTA, Trouble.QUOTA, False),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED, True),
        (Fault.BROKEN, Trouble.UNAVAILABLE, True),
        (Fault.MALFORMED, Trouble.MALFORMED, True),
        (Fault.CUT, Trouble.CUT_OFF, True),
        (Fault.BAD_REQUEST, Trouble.BAD_SETTINGS, False),
    ],
)
async def test_each_fault_has_its_name_in_time_and_passes(
    emulators: Emulators, provider: OpenAiProvider, fault: Fault, code: Trouble, retryable: bool
) -> None:
    emulators.openai.script("m", Script(fault=fault, times=1, replies=[Reply(TEXT)]))
    said: list[str] = []

    async def listen() -> None:
        async with asyncio.timeout(20), aclosing(provider.generate(ask("m"))) as events:
            async for event in events:
                assert isinstance(event, Delta)
                said.append(event.text)

    began = time.monotonic()
    with pytest.raises(LlmError) as caught:
        await listen()
    took_s = time.monotonic() - began
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert took_s < QUICK.first_s + QUICK.next_s + GRACE_S
    assert TEXT.startswith("".join(said))
    assert bool(said) == (fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT})
    # Once more, as the conductor does: the rest is said, nothing twice.
    assert text_of(await events_of(provider, ask("m"))) == TEXT
    await until_idle(emulators)


async def test_what_was_said_before_a_fault_is_not_said_again(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(replies=[Reply(TEXT)]))
    said = "I would begin with something small "
    assert text_of(await events_of(provider, ask("m", reply_so_far=said))) == TEXT.removeprefix(said)


async def test_slow_but_in_time(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(fault=Fault.SLOW, slow_ms=400, replies=[Reply(TEXT)]))
    assert text_of(await events_of(provider, ask("m"))) == TEXT


async def test_slow_beyond_the_deadline(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(fault=Fault.SLOW, slow_ms=10_000, replies=[Reply(TEXT)]))
    with pytest.raises(LlmError) as caught:
        await events_of(provider, ask("m"))
    assert caught.value.code == Trouble.STALLED
    await until_idle(emulators)


async def test_an_interruption_reaches_the_server(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(replies=[Reply(" ".join([TEXT] * 50))]))
    async with aclosing(provider.generate(ask("m"))) as events:
        assert isinstance(await anext(events), Delta)
    async with asyncio.timeout(10):
        while not emulators.openai.cancelled:
            await asyncio.sleep(0.01)
    await until_idle(emulators)


async def test_parallel_tool_calls_and_their_results(emulators: Emulators, provider: OpenAiProvider) -> None:
    def reply(messages: Any) -> Reply:
        if messages[-1]["role"] == "tool":
            return Reply("It is good.")
        return Reply(
            text="Tell me more.",
            tool_calls=[ScriptedCall("weather", '{"city":"Ulm"}'), ScriptedCall("time", '{"zone": "there"}')],
        )

    emulators.openai.script("m", Script(replies=reply))
    tools = tuple(ToolDefinition(name, "Tells it.", '{"type":"object"}') for name in ("weather", "time"))
    events = await events_of(provider, ask("m", tools=tools))
    assert text_of(events) == "Tell me more."
    (called,) = [event for event in events if isinstance(event, ToolCalls)]
    assert [(call.name, call.arguments) for call in called.calls] == [
        ("weather", '{"city":"Ulm"}'),
        ("time", '{"zone": "there"}'),
    ]
    assert len({call.id for call in called.calls}) == 2
    end = events[-1]
    assert isinstance(end, End)
    assert end.reason == "tool_calls"
    messages = (
        ChatMessage("user", "How is it?"),
        ChatMessage("assistant", "Tell me more.", called.calls),
        *(ChatMessage("tool", "good", tool_call_id=call.id) for call in called.calls),
    )
    assert text_of(await events_of(provider, LlmRequest("s", messages, model="m", tools=tools))) == "It is good."


async def test_arguments_that_are_no_json_are_passed_on(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(replies=[Reply(tool_calls=[ScriptedCall("weather", '{"city":')])]))
    events = await events_of(provider, ask("m"))
    (called,) = [event for event in events if isinstance(event, ToolCalls)]
    assert called.calls == (ToolCall(called.calls[0].id, "weather", '{"city":'),)


async def test_two_hundred_turns_one_at_a_time(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(replies=[Reply("No.")]))
    for _ in range(200):
        assert text_of(await events_of(provider, ask("m"))) == "No."
    assert emulators.openai.max_connections <= 2


async def test_another_key(emulators: Emulators) -> None:
    base_url = emulators.environment()["OPENAI_BASE_URL"]
    provider = OpenAiProvider(OpenAiSettings(key="wrong", base_url=base_url))  # type: ignore[arg-type]
    await provider.load(CollectorRegistry())
    for wait in (provider.probe(), events_of(provider, ask("m"))):
        with pytest.raises(LlmError) as caught:
            await wait
        assert (caught.value.code, caught.value.retryable) == (Trouble.UNAUTHORIZED, False)
        assert "OPENAI_API_KEY" in str(caught.value)
        assert "wrong" not in str(caught.value)
    await provider.close()
