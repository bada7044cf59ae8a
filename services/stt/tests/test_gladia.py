"""The provider `gladia` through the real SDK against the emulated service: words exact, faults survived."""

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
from natter_stt.gladia import GladiaProvider
from natter_stt.provider import SttError

SENTENCES = ("hello how are you today", "stop", "can you tell me what time it is please")
Calling = Callable[..., AbstractAsyncContextManager[Any]]


@pytest_asyncio.fixture
async def gladia(emulators: Emulators) -> AsyncIterator[GladiaProvider]:
    before = asyncio.all_tasks()
    provider = GladiaProvider()
    await provider.load(CollectorRegistry())
    yield provider
    await provider.close()
    async with asyncio.timeout(3):
        while emulators.gladia.open_connections:
            await asyncio.sleep(0.01)
        # The SDK's own tasks as well.
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait(left)


async def test_three_utterances_are_heard_word_by_word(
    gladia: GladiaProvider, emulators: Emulators, calling: Calling
) -> None:
    async with calling(gladia, keyterms=("Natter",)) as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(600)
            begin = call.next_sample
            await call.utter(sentence, number)
            final = call.finals[-1]
            assert [word.text for word in final.words] == sentence.split()
            assert begin <= final.words[0].from_sample < begin + 1_600
        assert [final.finalize_id for final in call.finals] == [1, 2, 3]
        assert any(not transcript.final and transcript.words for transcript in call.transcripts)
        assert call.errors == []
    body = emulators.gladia.requests[0].json()
    assert body["realtime_processing"]["custom_vocabulary_config"]["vocabulary"] == ["Natter"]
    assert len(emulators.gladia.requests) == 2


async def test_a_finalize_without_speech_is_answered_empty(gladia: GladiaProvider, calling: Calling) -> None:
    async with calling(gladia) as call:
        await call.hush(600)
        call.finalize(1, call.next_sample)
        async with asyncio.timeout(3):
            while not call.finals:
                await call.hush(20)
        assert (call.finals[0].finalize_id, call.finals[0].words) == (1, ())
        assert call.errors == []


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.HALF_OPEN, Fault.MALFORMED, Fault.CUT, Fault.SLOW])
async def test_a_connection_that_fails_once_costs_no_word(
    gladia: GladiaProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.gladia.script("once", Script(fault, times=1))
    async with calling(gladia, "once", speed=1.5) as call:
        await call.hush(500)
        for number, sentence in enumerate(SENTENCES, 1):
            await call.utter(sentence, number)
            await call.hush(300)
        assert call.errors == []
        assert call.words == " ".join(SENTENCES).split()
        assert [final.finalize_id for final in call.finals if final.finalize_id] == [1, 2, 3]


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
    gladia: GladiaProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.gladia.script("never", Script(fault))
    async with calling(gladia, "never", speed=1.5) as call:
        await call.hush(300)
        await call.utter(SENTENCES[2], 1)
        (error,) = call.errors
        assert error.code == CODES[fault]
        assert "emulator-key" not in str(error)
        assert "GLADIA_API_KEY" in str(error) or fault not in {Fault.UNAUTHORIZED, Fault.QUOTA}
        call.open(model=None)
        async with asyncio.timeout(6):
            while not any(final.finalize_id == 1 for final in call.finals):
                await call.hush(20)
        assert call.words == SENTENCES[2].split()


async def test_probe_tells_a_wrong_key(
    gladia: GladiaProvider, emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gladia.probe()
    monkeypatch.setenv("GLADIA_API_KEY", "another")
    wrong = GladiaProvider()
    await wrong.load(CollectorRegistry())
    with pytest.raises(SttError, match="GLADIA_API_KEY") as caught:
        await wrong.probe()
    await wrong.close()
    assert caught.value.code == Trouble.UNAUTHORIZED
