"""The provider with the real SDK against the emulator of OpenAI's API: each fault it can have, tools, interruption."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

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
    LlmError,
    LlmEvent,
    LlmRequest,
    ToolCall,
    ToolDefinition,
)

TEXT = "I would begin with something small and see how it goes."
QUICK = Deadlines(first_s=1.5, next_s=1.0, usage_s=0.5)
# Beyond the deadline itself; the machine may have other work.
GRACE_S = 2.0
BRISK = Delays(first_token_ms=5, tokens_per_s=500)


@asynccontextmanager
async def provider_for(emulators: Emulators) -> AsyncGenerator[OpenAiProvider]:
    where = emulators.environment()
    settings = OpenAiSettings(key=where["OPENAI_API_KEY"], base_url=where["OPENAI_BASE_URL"])  # type: ignore[arg-type]
    provider = OpenAiProvider(settings, QUICK)
    await provider.load(CollectorRegistry())
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def emulators() -> AsyncGenerator[Emulators]:
    async with Emulators(delays=BRISK) as emulators:
        yield emulators


@pytest.fixture
async def provider(emulators: Emulators) -> AsyncGenerator[OpenAiProvider]:
    async with provider_for(emulators) as provider:
        yield provider


def ask(model: str | None, **fields: Any) -> LlmRequest:
    return LlmRequest("s", (ChatMessage("user", "How would you begin?"),), model=model, **fields)


async def until_idle(emulators: Emulators) -> None:
    async with asyncio.timeout(10):
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)


async def test_a_whole_reply_with_its_usage(emulators: Emulators, provider: OpenAiProvider, listen) -> None:
    await provider.probe()
    await provider.warm(ask(None))
    heard = await listen(provider, ask(None))
    assert heard.text
    end = heard.end
    assert end.reason == "stop"
    assert not end.usage.estimated
    assert end.usage.completion_tokens > 0


CASES: Final = {
    "stall": (Script(fault=Fault.STALL), Trouble.STALLED, True),
    "half-open": (Script(fault=Fault.HALF_OPEN), Trouble.STALLED, True),
    "slow": (Script(fault=Fault.SLOW, slow_ms=10_000), Trouble.STALLED, True),
    "unauthorized": (Script(fault=Fault.UNAUTHORIZED), Trouble.UNAUTHORIZED, False),
    "quota": (Script(fault=Fault.QUOTA), Trouble.QUOTA, False),
    "rate-limited": (Script(fault=Fault.RATE_LIMITED), Trouble.RATE_LIMITED, True),
    "broken": (Script(fault=Fault.BROKEN), Trouble.UNAVAILABLE, True),
    "malformed": (Script(fault=Fault.MALFORMED), Trouble.MALFORMED, True),
    "cut": (Script(fault=Fault.CUT), Trouble.CUT_OFF, True),
    "bad-request": (Script(fault=Fault.BAD_REQUEST), Trouble.BAD_SETTINGS, False),
}


@dataclass
class Faced:
    """Two requests, the first of which met the fault."""

    error: LlmError | None
    took_s: float
    said: str
    again: str


@pytest.fixture(scope="module")
def faced(listen) -> Mapping[str, Faced | BaseException]:
    """All faults, side by side, each with a provider and emulators of its own."""

    async def face(script: Script) -> Faced:
        async with Emulators(delays=BRISK) as emulators, provider_for(emulators) as provider:
            emulators.openai.script("m", replace(script, times=1, replies=[Reply(TEXT)]))
            events: list[LlmEvent] = []
            error = None
            began = time.monotonic()
            try:
                await listen(provider, ask("m"), events)
            except LlmError as caught:
                error = caught
            took_s = time.monotonic() - began
            # Once more, as the conductor does: the rest is said, nothing twice.
            again = await listen(provider, ask("m"))
            await until_idle(emulators)
            assert all(isinstance(event, Delta) for event in events)
            return Faced(error, took_s, "".join(event.text for event in events), again.text)

    async def face_all() -> list[Faced | BaseException]:
        return await asyncio.gather(*(face(script) for script, _, _ in CASES.values()), return_exceptions=True)

    return dict(zip(CASES, asyncio.run(face_all()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_each_fault_has_its_name_in_time_and_passes(faced: Mapping[str, Faced | BaseException], case: str) -> None:
    script, code, retryable = CASES[case]
    outcome = faced[case]
    if isinstance(outcome, BaseException):
        raise outcome
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == (code, retryable)
    assert outcome.took_s < QUICK.first_s + QUICK.next_s + GRACE_S
    assert TEXT.startswith(outcome.said)
    assert bool(outcome.said) == (script.fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT})
    assert outcome.again == TEXT


async def test_what_was_said_before_a_fault_is_not_said_again(
    emulators: Emulators, provider: OpenAiProvider, listen
) -> None:
    emulators.openai.script("m", Script(replies=[Reply(TEXT)]))
    said = "I would begin with something small "
    assert (await listen(provider, ask("m", reply_so_far=said))).text == TEXT.removeprefix(said)


async def test_slow_but_in_time(emulators: Emulators, provider: OpenAiProvider, listen) -> None:
    emulators.openai.script("m", Script(fault=Fault.SLOW, slow_ms=400, replies=[Reply(TEXT)]))
    assert (await listen(provider, ask("m"))).text == TEXT


async def test_an_interruption_reaches_the_server(emulators: Emulators, provider: OpenAiProvider) -> None:
    emulators.openai.script("m", Script(replies=[Reply(" ".join([TEXT] * 50))]))
    async with aclosing(provider.generate(ask("m"))) as events:
        assert isinstance(await anext(events), Delta)
    async with asyncio.timeout(10):
        while not emulators.openai.cancelled:
            await asyncio.sleep(0.01)
    await until_idle(emulators)


async def test_parallel_tool_calls_and_their_results(emulators: Emulators, provider: OpenAiProvider, listen) -> None:
    def reply(messages: Any) -> Reply:
        if messages[-1]["role"] == "tool":
            return Reply("It is good.")
        return Reply(
            text="Tell me more.",
            tool_calls=[ScriptedCall("weather", '{"city":"Ulm"}'), ScriptedCall("time", '{"zone": "there"}')],
        )

    emulators.openai.script("m", Script(replies=reply))
    tools = tuple(ToolDefinition(name, "Tells it.", '{"type":"object"}') for name in ("weather", "time"))
    heard = await listen(provider, ask("m", tools=tools))
    assert heard.text == "Tell me more."
    assert [(call.name, call.arguments) for call in heard.calls] == [
        ("weather", '{"city":"Ulm"}'),
        ("time", '{"zone": "there"}'),
    ]
    assert len({call.id for call in heard.calls}) == 2
    end = heard.end
    assert end.reason == "tool_calls"
    messages = (
        ChatMessage("user", "How is it?"),
        ChatMessage("assistant", "Tell me more.", heard.calls),
        *(ChatMessage("tool", "good", tool_call_id=call.id) for call in heard.calls),
    )
    assert (await listen(provider, LlmRequest("s", messages, model="m", tools=tools))).text == "It is good."


async def test_arguments_that_are_no_json_are_passed_on(emulators: Emulators, provider: OpenAiProvider, listen) -> None:
    emulators.openai.script("m", Script(replies=[Reply(tool_calls=[ScriptedCall("weather", '{"city":')])]))
    heard = await listen(provider, ask("m"))
    assert heard.calls == (ToolCall(heard.calls[0].id, "weather", '{"city":'),)


async def test_many_turns_one_at_a_time(emulators: Emulators, provider: OpenAiProvider, listen) -> None:
    emulators.openai.script("m", Script(replies=[Reply("No.")]))
    for _ in range(50):
        assert (await listen(provider, ask("m"))).text == "No."
    assert emulators.openai.max_connections <= 2


async def test_another_key(emulators: Emulators, listen) -> None:
    base_url = emulators.environment()["OPENAI_BASE_URL"]
    provider = OpenAiProvider(OpenAiSettings(key="wrong", base_url=base_url))  # type: ignore[arg-type]
    await provider.load(CollectorRegistry())
    for wait in (provider.probe(), listen(provider, ask("m"))):
        with pytest.raises(LlmError) as caught:
            await wait
        assert (caught.value.code, caught.value.retryable) == (Trouble.UNAUTHORIZED, False)
        assert "OPENAI_API_KEY" in str(caught.value)
        assert "wrong" not in str(caught.value)
    await provider.close()
