"""ElevenLabs' voices, against an emulator of the service."""

import asyncio

import pytest

from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_tts.provider import TtsProvider, TtsSettings

NEXT = "How are you doing today?"
LONG = "I would begin with something small and see how it goes in the end."


@pytest.fixture
def vendor() -> str:
    return "elevenlabs"


async def test_the_socket_is_open_before_it_is_needed(
    provider: TtsProvider, emulators: Emulators, say, none_open
) -> None:
    stream = provider.open(TtsSettings(voice="warm", language="de", model="eleven_flash_v2_5"))
    async with asyncio.timeout(3):
        while not emulators.elevenlabs.open_connections:
            await asyncio.sleep(0.01)
    assert (await say(stream, NEXT)).ended
    assert len(emulators.elevenlabs.requests) == 1
    assert emulators.elevenlabs.requests[0].query["language_code"] == "de"
    await stream.close()
    await none_open(emulators.elevenlabs)


async def test_an_interruption_leaves_nothing_for_the_next_attempt(
    provider: TtsProvider, emulators: Emulators, say
) -> None:
    stream = provider.open(TtsSettings(voice="cut-in"))
    for number in range(8):
        take = await say(stream, LONG, attempt=f"{number}.1", stop_after=2)
        assert not take.ended
        take = await say(stream, NEXT, attempt=f"{number}.2")
        assert take.heard_text == "how are you doing today"
    # Far more contexts than the service allows on a socket: each was closed.
    assert emulators.elevenlabs.max_connections <= 3
    await stream.close()


async def test_sessions_share_a_socket_and_the_fifth_opens_another(
    provider: TtsProvider, emulators: Emulators, say, none_open
) -> None:
    for voice, sessions, sockets in (("few", 3, 1), ("many", 5, 2)):
        emulators.elevenlabs.requests.clear()
        streams = [provider.open(TtsSettings(voice=voice)) for _ in range(sessions)]
        takes = await asyncio.gather(*(say(stream, LONG) for stream in streams))
        assert [count_words(LONG, take.heard).lost for take in takes] == [()] * sessions
        assert len(emulators.elevenlabs.requests) == sockets
        for stream in streams:
            await stream.close()
    await none_open(emulators.elevenlabs)


async def test_nothing_to_say_needs_nobody(provider: TtsProvider, say) -> None:
    stream = provider.open(TtsSettings(voice="none"))
    take = await say(stream, "😀 —")
    assert take.ended
    assert not take.pcm
    await stream.close()
