"""A voice of a server that speaks OpenAI's API, through the vendor's SDK, against an emulator of it."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Script
from natter_emulators.server import Exchange, Router, serve
from natter_tts.openai import OpenAiProvider, OpenAiVoiceSettings
from natter_tts.provider import TtsError, TtsProvider, TtsSettings

NEXT = "How are you doing today?"
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
def vendor() -> str:
    return "openai"


async def test_an_interruption_ends_the_request(provider: TtsProvider, emulators: Emulators, say) -> None:
    stream = provider.open(TtsSettings())
    task = asyncio.create_task(say(stream, LONG))
    async with asyncio.timeout(3):
        while not emulators.openai.open_connections:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)
    assert (await say(stream, NEXT, attempt="1.2")).heard_text == "how are you doing today"


async def test_a_slow_server_is_waited_for(provider: TtsProvider, emulators: Emulators, say) -> None:
    emulators.openai.script("slow", Script(fault=Fault.SLOW, slow_ms=1100, words_per_s=5.0))
    assert (await say(provider.open(TtsSettings(model="slow")), NEXT)).ended


async def test_a_wrong_key_is_found_by_the_probe(emulators: Emulators) -> None:
    voices = OpenAiProvider(OpenAiVoiceSettings(api_key="wrong", base_url=f"{emulators.url}/v1"))
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAUTHORIZED
    await voices.close()


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
async def test_a_server_that_answers_everything_with_a_page_is_found_by_the_probe(content_type: str) -> None:
    async def page(exchange: Exchange) -> None:
        await exchange.start(content_type)
        await exchange.write(b"<html>Welcome</html>")

    router = Router()
    router.http("GET", "/models", page)
    async with serve(router) as port:
        voices = OpenAiProvider(OpenAiVoiceSettings(base_url=f"http://127.0.0.1:{port}"))
        await voices.load(CollectorRegistry())
        with pytest.raises(TtsError) as caught:
            await voices.probe()
        assert caught.value.code == Trouble.MALFORMED
        assert "OPENAI_BASE_URL" in str(caught.value)
        await voices.close()
