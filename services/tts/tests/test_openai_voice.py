"""A voice of a server that speaks OpenAI's API, through the vendor's SDK, against an emulator of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_emulators.script import Fault, Script
from natter_tts.openai import OpenAiProvider, OpenAiVoiceSettings
from natter_tts.provider import TtsError, TtsSettings

SEGMENTS = ("Hello there, my friend,", "how are you doing today?", "I am very happy to see you here.")
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
async def provider(emulators: Emulators) -> AsyncIterator[OpenAiProvider]:
    voices = OpenAiProvider(OpenAiVoiceSettings(api_key="emulator-key", base_url=f"{emulators.url}/v1"))
    await voices.load(CollectorRegistry())
    yield voices
    await voices.close()
    async with asyncio.timeout(3):
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)


async def test_a_reply_of_three_segments(provider: OpenAiProvider, say) -> None:
    await provider.probe()
    stream = provider.open(TtsSettings())
    for number, text in enumerate(SEGMENTS):
        take = await say(stream, text, last=number == 2)
        assert take.error is None
        assert count_words(text, take.heard).lost == count_words(text, take.heard).doubled == ()
        assert all(word.estimated for word in take.words)
    await stream.close()


async def test_an_interruption_ends_the_request(provider: OpenAiProvider, emulators: Emulators, say) -> None:
    stream = provider.open(TtsSettings())
    task = asyncio.create_task(say(stream, LONG))
    async with asyncio.timeout(3):
        while not emulators.openai.open_connections:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)
    assert (await say(stream, SEGMENTS[1], attempt="1.2")).heard_text == "how are you doing today"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.STALL, Trouble.STALLED),
        (Fault.HALF_OPEN, Trouble.STALLED),
        (Fault.UNAUTHORIZED, Trouble.UNAUTHORIZED),
        (Fault.QUOTA, Trouble.QUOTA),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED),
        (Fault.BROKEN, Trouble.UNAVAILABLE),
        (Fault.MALFORMED, Trouble.MALFORMED),
        (Fault.CUT, Trouble.CUT_OFF),
        (Fault.BAD_REQUEST, Trouble.BAD_SETTINGS),
    ],
)
async def test_a_fault_leaves_nothing_and_the_same_can_be_said_again(
    provider: OpenAiProvider, emulators: Emulators, say, fault: Fault, code: Trouble
) -> None:
    model = f"faulty-{fault.value}"
    emulators.openai.script(model, Script(fault=fault, times=1, after_words=3))
    stream = provider.open(TtsSettings(model=model))
    first = await say(stream, LONG)
    assert first.error is not None
    assert first.error.code == code
    if code == Trouble.BAD_SETTINGS:
        assert model in str(first.error)
    assert first.pcm == b""
    second = await say(stream, LONG, attempt="1.2")
    assert (count_words(LONG, second.heard).lost, count_words(LONG, second.heard).doubled) == ((), ())


async def test_a_slow_server_is_waited_for(provider: OpenAiProvider, emulators: Emulators, say) -> None:
    emulators.openai.script("slow", Script(fault=Fault.SLOW))
    assert (await say(provider.open(TtsSettings(model="slow")), SEGMENTS[0])).ended


async def test_a_wrong_key_is_found_by_the_probe(emulators: Emulators) -> None:
    voices = OpenAiProvider(OpenAiVoiceSettings(api_key="wrong", base_url=f"{emulators.url}/v1"))
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAUTHORIZED
    await voices.close()


async def test_nobody_there() -> None:
    voices = OpenAiProvider(OpenAiVoiceSettings(base_url="http://127.0.0.1:9/v1"))
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAVAILABLE
    await voices.close()


async def test_with_neither_key_nor_address_it_is_left_out() -> None:
    with pytest.raises(TtsError) as caught:
        await OpenAiProvider(OpenAiVoiceSettings(api_key="", base_url="")).load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED
