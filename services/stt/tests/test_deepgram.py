"""The provider `deepgram` through the real SDK against the emulated service: words exact, faults survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Script
from natter_stt.deepgram import DeepgramProvider
from natter_stt.provider import BadSettingsError, StreamSettings, SttError

SENTENCES = ("hello how are you today", "stop", "can you tell me what time it is please")
Calling = Callable[..., AbstractAsyncContextManager[Any]]


@pytest_asyncio.fixture
async def deepgram(emulators: Emulators) -> AsyncIterator[DeepgramProvider]:
    provider = DeepgramProvider()
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()


def words_of(*sentences: str) -> list[str]:
    return " ".join(sentences).split()


async def test_three_utterances_are_heard_word_by_word(
    deepgram: DeepgramProvider, emulators: Emulators, calling: Calling
) -> None:
    async with calling(deepgram, keyterms=("Natter",)) as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(600)
            begin = call.next_sample
            await call.utter(sentence, number)
            final = call.finals[-1]
            assert [word.text for word in final.words] == sentence.split()
            assert begin <= final.words[0].from_sample < begin + 1_600
            assert final.through_sample >= final.words[-1].to_sample
        assert [final.finalize_id for final in call.finals] == [1, 2, 3]
        assert any(not transcript.final and transcript.words for transcript in call.transcripts)
        assert call.errors == []
    request = emulators.deepgram.requests[-1]
    assert request.query["keyterm"] == "Natter"
    assert request.query["model"] == "nova-3"
    assert len(emulators.deepgram.requests) == 1
    await gone(emulators)


async def gone(emulators: Emulators) -> None:
    """Nothing of the streams is left: no connection, no task."""
    async with asyncio.timeout(2):
        while emulators.deepgram.open_connections:
            await asyncio.sleep(0.01)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("stt")]
    assert left == []


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.HALF_OPEN, Fault.MALFORMED, Fault.CUT, Fault.SLOW])
async def test_a_connection_that_fails_once_costs_no_word(
    deepgram: DeepgramProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.deepgram.script("once", Script(fault, times=1))
    async with calling(deepgram, "once") as call:
        await call.hush(500)
        for number, sentence in enumerate(SENTENCES, 1):
            await call.utter(sentence, number)
            await call.hush(300)
        assert call.errors == []
        assert call.words == words_of(*SENTENCES)
        assert [final.finalize_id for final in call.finals if final.finalize_id] == [1, 2, 3]
    await gone(emulators)


CODES = {
    Fault.STALL: Trouble.STALLED,
    Fault.HALF_OPEN: Trouble.STALLED,
    Fault.MALFORMED: Trouble.MALFORMED,
    Fault.CUT: Trouble.CUT_OFF,
    Fault.UNAUTHORIZED: Trouble.UNAUTHORIZED,
    Fault.QUOTA: Trouble.QUOTA,
    Fault.RATE_LIMITED: Trouble.RATE_LIMITED,
    Fault.BROKEN: Trouble.UNAVAILABLE,
    Fault.BAD_REQUEST: Trouble.BAD_SETTINGS,
}


@pytest.mark.parametrize("fault", list(CODES))
async def test_a_connection_that_fails_every_time_is_told_and_taken_over(
    deepgram: DeepgramProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.deepgram.script("never", Script(fault))
    async with calling(deepgram, "never") as call:
        await call.hush(300)
        await call.utter(SENTENCES[2], 1)
        (error,) = call.errors
        assert error.code == CODES[fault]
        assert "emulator-key" not in str(error)
        assert "DEEPGRAM_API_KEY" in str(error) or fault not in {Fault.UNAUTHORIZED, Fault.QUOTA}
        call.open(model="nova-3")
        await call.wait_until(lambda: any(final.finalize_id == 1 for final in call.finals))
        assert call.words == words_of(SENTENCES[2])
    await gone(emulators)


async def test_silence_is_not_paid_for(deepgram: DeepgramProvider, emulators: Emulators, calling: Calling) -> None:
    emulators.deepgram.idle_s = 6.0
    async with calling(deepgram, speed=1.0) as call:
        await call.hush(6_500)
        await call.utter("stop", 1)
        assert call.words == ["stop"]
        assert call.errors == []
    assert len(emulators.deepgram.requests) == 1


async def test_a_quiet_connection_that_is_cut_is_opened_again(
    deepgram: DeepgramProvider, emulators: Emulators, calling: Calling
) -> None:
    emulators.deepgram.idle_s = 0.3
    async with calling(deepgram) as call:
        async with asyncio.timeout(5):
            while len(emulators.deepgram.requests) < 2:
                await call.hush(60)
        emulators.deepgram.idle_s = 10.0
        await call.utter(SENTENCES[0], 1)
        assert call.words == words_of(SENTENCES[0])
        assert call.errors == []


async def test_probe_tells_a_wrong_key(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> None:
    right = DeepgramProvider()
    await right.load(CollectorRegistry())
    await right.probe()
    monkeypatch.setenv("DEEPGRAM_API_KEY", "another")
    wrong = DeepgramProvider()
    await wrong.load(CollectorRegistry())
    with pytest.raises(SttError, match="DEEPGRAM_API_KEY") as caught:
        await wrong.probe()
    assert caught.value.code == Trouble.UNAUTHORIZED
    assert not caught.value.retryable


async def test_without_a_key_it_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(SttError) as caught:
        await DeepgramProvider().load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED


async def test_a_model_of_the_other_kind_is_refused(deepgram: DeepgramProvider) -> None:
    with pytest.raises(BadSettingsError, match="deepgram-flux"):
        deepgram.open(StreamSettings(model="flux-general-en"), lambda _: None)
