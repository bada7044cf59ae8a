"""Deepgram's voices through the vendor's SDK, against an emulator of the service."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_emulators.script import Fault, Script
from natter_tts.deepgram import DeepgramProvider, DeepgramVoiceSettings
from natter_tts.deepgram_link import FlushBudget
from natter_tts.provider import TtsError, TtsSettings

SEGMENTS = ("Hello there, my friend,", "how are you doing today?", "I am very happy to see you here.")
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
async def provider(emulators: Emulators) -> AsyncIterator[DeepgramProvider]:
    before = asyncio.all_tasks()
    voices = DeepgramProvider(DeepgramVoiceSettings(api_key="emulator-key", base_url=emulators.url))
    await voices.load(CollectorRegistry())
    yield voices
    await voices.close()
    await none_open(emulators)
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith("deepgram-")}


async def none_open(emulators: Emulators) -> None:
    async with asyncio.timeout(3):
        while emulators.deepgram.open_connections:
            await asyncio.sleep(0.01)


async def test_a_reply_of_three_segments(provider: DeepgramProvider, emulators: Emulators, say) -> None:
    await provider.probe()
    stream = provider.open(TtsSettings())
    for number, text in enumerate(SEGMENTS):
        take = await say(stream, text, last=number == 2)
        assert take.error is None
        assert count_words(text, take.heard).lost == count_words(text, take.heard).doubled == ()
        assert all(word.estimated for word in take.words)
        # Where the voice begins and ends is known, and nothing but that.
        assert abs(take.words[0].from_sample - take.heard[0].from_sample) <= 24 * 60
        assert abs(take.words[-1].to_sample - take.heard[-1].to_sample) <= 24 * 60
    await stream.close()
    assert emulators.deepgram.requests[-1].query["model"] == "aura-2-thalia-en"
    # That of the probe and that of the session.
    assert len(emulators.deepgram.requests) == 2


async def test_an_interruption_leaves_nothing_for_the_next_attempt(
    provider: DeepgramProvider, emulators: Emulators, say
) -> None:
    stream = provider.open(TtsSettings(voice="cut-in"))
    await stream.ready()
    for number in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.12):
                await say(stream, LONG, attempt=f"{number}.1")
        take = await say(stream, SEGMENTS[1], attempt=f"{number}.2")
        assert take.heard_text == "how are you doing today"
    assert len(emulators.deepgram.requests) == 1
    await stream.close()


async def test_more_flushes_than_a_socket_takes(provider: DeepgramProvider, emulators: Emulators, say) -> None:
    emulators.deepgram.script("brisk", Script(words_per_s=5.0))
    stream = provider.open(TtsSettings(voice="brisk"))
    for _ in range(22):
        assert (await say(stream, "Yes.")).heard_text == "yes"
    assert len(emulators.deepgram.requests) == 2
    await stream.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.SLOW, Trouble.STALLED),
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
    provider: DeepgramProvider, emulators: Emulators, say, fault: Fault, code: Trouble
) -> None:
    voice = f"faulty-{fault.value}"
    emulators.deepgram.script(voice, Script(fault=fault, times=1, after_words=3))
    stream = provider.open(TtsSettings(voice=voice))
    first = await say(stream, LONG)
    assert first.error is not None
    assert first.error.code == code
    assert "emulator-key" not in str(first.error)
    if code == Trouble.BAD_SETTINGS:
        assert voice in str(first.error)
    assert first.pcm == b""
    # On the same stream: a fresh socket.
    second = await say(stream, LONG, attempt="1.2")
    assert second.error is None
    assert (count_words(LONG, second.heard).lost, count_words(LONG, second.heard).doubled) == ((), ())
    await stream.close()


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.UNAUTHORIZED, Trouble.UNAUTHORIZED), (Fault.BROKEN, Trouble.UNAVAILABLE)]
)
async def test_a_probe_finds_it(provider: DeepgramProvider, emulators: Emulators, fault: Fault, code: Trouble) -> None:
    emulators.deepgram.script_default(Script(fault=fault))
    with pytest.raises(TtsError) as caught:
        await provider.probe()
    assert caught.value.code == code
    emulators.deepgram.script_default(Script())
    await provider.probe()


async def test_nobody_there() -> None:
    voices = DeepgramProvider(DeepgramVoiceSettings(api_key="k", base_url="http://127.0.0.1:9"))
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAVAILABLE
    await voices.close()


async def test_without_a_key_it_is_left_out() -> None:
    with pytest.raises(TtsError) as caught:
        await DeepgramProvider(DeepgramVoiceSettings(api_key="")).load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED


async def test_a_language_without_a_voice(provider: DeepgramProvider) -> None:
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
