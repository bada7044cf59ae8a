"""The built-in model, for real."""

import asyncio
from contextlib import aclosing

import pytest

from natter_llm.local import LocalProvider
from natter_llm.provider import ChatMessage, LlmError, LlmRequest

SYSTEM = ChatMessage("system", "You answer questions briefly and correctly in plain English.")


def request(session: str, *texts: str, **fields: object) -> LlmRequest:
    messages = (SYSTEM, *(ChatMessage("user", text) for text in texts))
    return LlmRequest(session, messages, **fields)  # type: ignore[arg-type]


async def test_it_answers_and_says_what_it_used(local_model: LocalProvider, listen) -> None:
    heard = await listen(local_model, request("a", "What is the capital of France?", temperature=0.0))
    assert "Paris" in heard.text
    end = heard.end
    assert end.reason == "stop"
    assert end.usage.prompt_tokens > 20
    assert end.usage.completion_tokens >= len(heard.events) - 1


async def test_the_prompt_is_cached_by_session(local_model: LocalProvider, listen) -> None:
    await local_model.warm(LlmRequest("warm", (SYSTEM,)))
    heard = await listen(local_model, request("warm", "Hello?", max_tokens=4))
    end = heard.end
    assert end.usage.cached_tokens >= 12


async def test_replies_are_short(local_model: LocalProvider, listen) -> None:
    heard = await listen(local_model, request("a", "Tell me a very long story about a dragon."))
    end = heard.end
    assert end.usage.completion_tokens <= 61


async def test_it_goes_on_behind_what_was_said(local_model: LocalProvider, listen) -> None:
    said = "The capital of France is "
    heard = await listen(local_model, request("b", "What is the capital of France?", reply_so_far=said, temperature=0))
    assert heard.text.startswith("Paris")


async def test_closing_stops_the_inference(local_model: LocalProvider, listen) -> None:
    async with aclosing(local_model.generate(request("c", "Tell me a long story."))) as events:
        await anext(events)
    # The slot is free again long before 60 tokens could have been made; another generation on it starts at once.
    async with asyncio.timeout(20):
        assert (await listen(local_model, request("c", "Hello?", max_tokens=4))).text


async def test_sessions_at_once(local_model: LocalProvider, listen) -> None:
    asks = [request(f"many-{n}", "What is the capital of France?", max_tokens=12) for n in range(2)]
    replies = await asyncio.gather(*(listen(local_model, ask) for ask in asks))
    assert all(heard.text for heard in replies)


async def test_a_prompt_over_the_window_is_shortened_not_refused(local_model: LocalProvider, listen) -> None:
    heard = await listen(local_model, request("d", *["word " * 300] * 4, max_tokens=2))
    assert heard.end


async def test_without_its_model_it_says_so(listen) -> None:
    with pytest.raises(LlmError, match="not loaded"):
        await listen(LocalProvider(), request("a", "Hello?"))


async def test_attempts_in_quick_succession_find_room_and_their_prompt(local_model: LocalProvider, listen) -> None:
    for ask in ("What is", "What is the capital", "What is the capital of"):
        async with aclosing(local_model.generate(request("quick", ask))) as events:
            await asyncio.wait([waiting := asyncio.ensure_future(anext(events))], timeout=0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
    end = (await listen(local_model, request("quick", "What is the capital of France?", max_tokens=4))).end
    assert end.usage.completion_tokens > 0


async def test_when_old_messages_go_the_rest_is_not_read_again(local_model: LocalProvider, listen) -> None:
    texts = [f"Number {n}: {'the quick brown fox jumps over the lazy dog. ' * 2}" for n in range(1, 9)]
    reads: list[int] = []
    for count in range(1, len(texts) + 1):
        usage = (await listen(local_model, request("long", *texts[:count], max_tokens=2))).end.usage
        reads.append(usage.prompt_tokens - usage.cached_tokens)
    # The window is full from the sixth on.
    assert max(reads[1:]) < 2 * min(reads[1:])
