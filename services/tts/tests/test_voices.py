"""What the voices of all vendors hold to, each against an emulator of its service."""

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_tts.provider import RATE_HZ, TtsError, TtsProvider, TtsSettings

SEGMENTS = ("Hello there, my friend,", "how are you doing today?", "I am very happy to see you here.")
NEAR_SAMPLES = RATE_HZ * 60 // 1000


@pytest.fixture(params=["deepgram", "elevenlabs", "openai"])
def vendor(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_reply_of_three_segments(vendor: str, provider: TtsProvider, emulators: Emulators, say) -> None:
    await provider.probe()
    stream = provider.open(TtsSettings())
    for number, text in enumerate(SEGMENTS):
        take = await say(stream, text, last=number == 2)
        assert take.error is None
        assert count_words(text, take.heard).exact
        # The others tell no times: where the voice begins and ends is known, and nothing but that.
        timed = vendor == "elevenlabs"
        assert all(word.estimated is not timed for word in take.words)
        pairs = list(zip(take.words, take.heard, strict=True))
        for word, mark in pairs if timed else pairs[:1]:
            assert abs(word.from_sample - mark.from_sample) <= NEAR_SAMPLES
        for word, mark in pairs if timed else pairs[-1:]:
            assert abs(word.to_sample - mark.to_sample) <= NEAR_SAMPLES
        for before, after in pairwise(take.words):
            assert before.to_sample <= after.from_sample
    await stream.close()
    requests = list(getattr(emulators, vendor).requests)
    # That of the probe, and that of the session or those of its segments.
    assert len(requests) == (4 if vendor == "openai" else 2)
    assert vendor != "deepgram" or requests[-1].query["model"] == "aura-2-thalia-en"


async def test_nobody_there(vendor: str, make_voices) -> None:
    voices = make_voices(vendor, "k", "http://127.0.0.1:9")
    await voices.load(CollectorRegistry())
    with pytest.raises(TtsError) as caught:
        await voices.probe()
    assert caught.value.code == Trouble.UNAVAILABLE
    await voices.close()


async def test_with_neither_key_nor_address_it_is_left_out(vendor: str, make_voices) -> None:
    with pytest.raises(TtsError) as caught:
        await make_voices(vendor, "", "").load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED
