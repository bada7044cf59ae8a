"""ElevenLabs' voices, against an emulator of the service."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_emulators.script import Fault, Script
from natter_tts.elevenlabs import ElevenLabsProvider, ElevenLabsSettings
from natter_tts.provider import RATE_HZ, TtsError, TtsSettings

SEGMENTS = ("Hello there, my friend,", "how are you doing today?", "I am very happy to see you here.")
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
async def provider(emulators: Emulators) -> AsyncIterator[ElevenLabsProvider]:
    before = asyncio.all_tasks()
    voices = ElevenLabsProvider(ElevenLabsSettings(api_key="emulator-key", base_url=emulators.url))
    await voices.load(CollectorRegistry())
    yield voices
    await voices.close()
    await none_open(emulators)
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith("elevenlabs")}


async def none_open(emulators: Emulators) -> None:
    async with asyncio.timeout(3):
        while emulators.elevenlabs.open_connections:
            await asyncio.sleep(0.01)


async def test_a_reply_of_three_segments(provider: ElevenLabsProvider, emulators: Emulators, say) -> None:
    await provider.probe()
    stream = provider.open(TtsSettings(voice="reply"))
    for number, text in enumerate(SEGMENTS):
        take = await say(stream, text, last=number == 2)
        assert take.error is None
        assert count_words(text, take.heard).lost == count_words(text, take.heard).doubled == ()
        for word, mark in zip(take.words, take.heard, strict=True):
            assert not word.estimated
            assert abs(word.from_sample - mark.from_sample) <= RATE_HZ * 60 // 1000
            assert abs(word.to_sample - mark.to_sample) <= RATE_HZ * 60 // 1000
        for before, after in pairwise(take.words):
            assert before.to_sample <= after.from_sample
    await stream.close()
    assert emulators.elevenlabs.max_connections == 1


async def test_the_socket_is_open_before_it_is_needed(provider: ElevenLabsProvider, emulators: Emulators, say) -> None:
    stream = provider.open(TtsSettings(voice="warm", language="de", model="eleven_flash_v2_5"))
    async with asyncio.timeout(3):
        while not emulators.elevenlabs.open_connections:
            await asyncio.sleep(0.01)
    assert (await say(stream, SEGMENTS[0])).ended
    assert len(emulators.elevenlabs.requests) == 1
    assert emulators.elevenlabs.requests[0].query["language_code"] == "de"
    await stream.close()
    await none_open(emulators)


async def test_an_interruption_leaves_nothing_for_the_next_attempt(
    provider: ElevenLabsProvider, emulators: Emulators, say
) -> None:
    stream = provider.open(TtsSettings(voice="cut-in"))
    for number in range(8):
        take = await say(stream, LONG, attempt=f"{number}.1", stop_after=2)
        assert not take.ended
        take = await say(stream, SEGMENTS[1], attempt=f"{number}.2")
        assert take.heard_text == "how are you doing today"
    # Far more contexts than the service allows on a socket: each was closed.
    assert emulators.elevenlabs.max_connections <= 3
    await stream.close()


async def test_sessions_share_a_socket_and_the_fifth_opens_another(
    provider: ElevenLabsProvider, emulators: Emulators, say
) -> None:
    for voice, sessions, sockets in (("few", 3, 1), ("many", 5, 2)):
        emulators.elevenlabs.requests.clear()
        streams = [provider.open(TtsSettings(voice=voice)) for _ in range(sessions)]
        takes = await asyncio.gather(*(say(stream, LONG) for stream in streams))
        assert [count_words(LONG, take.heard).lost for take in takes] == [()] * sessions
        assert len(emulators.elevenlabs.requests) == sockets
        for stream in streams:
            await stream.close()
    await none_open(emulators)


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
async def test_a_fault_leaves_whole_words_and_the_rest_can_be_said(
    provider: ElevenLabsProvider, emulators: Emulators, say, fault: Fault, code: Trouble
) -> None:
    voice = f"faulty-{fault.value}"
    emulators.elevenlabs.script(voice, Script(fault=fault, times=1, after_words=3))
    stream = provider.open(TtsSettings(voice=voice))
    first = await say(stream, LONG)
    await stream.close()
    assert first.error is not None
    assert first.error.code == code
    assert first.error.retryable == (code not in {Trouble.UNAUTHORIZED, Trouble.QUOTA, Trouble.BAD_SETTINGS})
    if code == Trouble.BAD_SETTINGS:
        assert voice in str(first.error)
    said = LONG.split()[: len(first.words)]
    assert first.text.split() == said
    if fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT}:
        assert len(said) >= 2
    stream = provider.open(TtsSettings(voice=voice))
    second = await say(stream, LONG.removeprefix(" ".join(said)).strip())
    assert second.ended
    count = count_words(LONG, [*first.heard, *second.heard])
    assert (count.lost, count.doubled) == ((), ())
    await stream.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.UNAUTHORIZED, Trouble.UNAUTHORIZED),
        (Fault.QUOTA, Trouble.QUOTA),
        (Fault.BROKEN, Trouble.UNAVAILABLE),
        (Fault.HALF_OPEN, Trouble.STALLED),
    ],
)
async def test_a_probe_finds_it(
    provider: ElevenLabsProvider, emulators: Emulators, fault: Fault, code: Trouble
) -> None:
    emulators.elevenlabs.script_default(Script(fault=fault))
    async with asyncio.timeout(5):
        with pytest.raises(TtsError) as caught:
            await provider.probe()
    assert caught.value.code == code
    emulators.elevenlabs.script_default(Script())
    await provider.probe()


async def test_nobody_there() -> None:
    voices = ElevenLabsProvider(ElevenLabsSettings(api_key="k", base_url="http://127.0.0.1:9"))
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAVAILABLE
    await voices.close()


async def test_without_a_key_it_is_left_out() -> None:
    with pytest.raises(TtsError) as caught:
        await ElevenLabsProvider(ElevenLabsSettings(api_key="")).load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED


async def test_nothing_to_say_needs_nobody(provider: ElevenLabsProvider, say) -> None:
    stream = provider.open(TtsSettings(voice="none"))
    take = await say(stream, "😀 —")
    assert take.ended
    assert not take.pcm
    await stream.close()
