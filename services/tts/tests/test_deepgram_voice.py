"""Deepgram's voices through the vendor's SDK, against an emulator of the service."""

import asyncio

import pytest

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_tts.deepgram_link import FlushBudget
from natter_tts.provider import TtsError, TtsProvider, TtsSettings

NEXT = "How are you doing today?"
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
def vendor() -> str:
    return "deepgram"


async def test_an_interruption_leaves_nothing_for_the_next_attempt(
    provider: TtsProvider, emulators: Emulators, say
) -> None:
    stream = provider.open(TtsSettings(voice="cut-in"))
    await stream.ready()
    for number in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.12):
                await say(stream, LONG, attempt=f"{number}.1")
        take = await say(stream, NEXT, attempt=f"{number}.2")
        assert take.heard_text == "how are you doing today"
    assert len(emulators.deepgram.requests) == 1
    await stream.close()


async def test_more_flushes_than_a_socket_takes(provider: TtsProvider, emulators: Emulators, say) -> None:
    stream = provider.open(TtsSettings())
    for _ in range(22):
        assert (await say(stream, "Yes.")).heard_text == "yes"
    assert len(emulators.deepgram.requests) == 2
    await stream.close()


async def test_a_language_without_a_voice(provider: TtsProvider) -> None:
    with pytest.raises(TtsError) as caught:
        provider.open(TtsSettings(language="xx"))
    assert caught.value.code == Trouble.BAD_SETTINGS


def test_flushes_are_counted_in_a_window() -> None:
    budget = FlushBudget(most=2, within_s=10.0)
    for now_s, allowed in ((0.0, True), (1.0, True), (9.0, False), (10.5, True)):
        assert budget.allows(now_s) is allowed
        if allowed:
            budget.note(now_s)
    assert not budget.allows(10.9)
    assert budget.allows(11.5)
