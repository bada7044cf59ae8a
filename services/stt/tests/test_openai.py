"""The provider `openai` through the real SDK against the emulated service: words exact, faults told."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Script
from natter_stt.openai import OpenAiProvider
from natter_stt.provider import SttError

SENTENCES = ("hello how are you today", "stop", "can you tell me what time it is please")
Calling = Callable[..., AbstractAsyncContextManager[Any]]


@pytest_asyncio.fixture
async def openai(emulators: Emulators) -> AsyncIterator[OpenAiProvider]:
    provider = OpenAiProvider()
    await provider.load(CollectorRegistry())
    await provider.probe()
    yield provider
    await provider.close()
    async with asyncio.timeout(3):
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("stt")] == []


async def test_three_utterances_are_heard_word_by_word(
    openai: OpenAiProvider, emulators: Emulators, calling: Calling
) -> None:
    async with calling(openai, speed=1.5, keyterms=("Natter", "Nova")) as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(600)
            begin = call.next_sample
            await call.utter(sentence, number)
            final = call.finals[-1]
            assert [word.text for word in final.words] == sentence.split()
            assert begin - 320 <= final.words[0].from_sample < begin + 1_600
            assert not any(word.estimated for word in final.words)
        assert [final.finalize_id for final in call.finals] == [1, 2, 3]
        assert any(not transcript.final and transcript.words for transcript in call.transcripts)
        assert call.errors == []
    form = emulators.openai.requests[-1].form()
    assert (form["model"], form["language"], form["prompt"]) == ([b"whisper-1"], [b"en"], [b"Natter, Nova"])
    with wave.open(io.BytesIO(form["file"][0])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)


async def test_a_model_without_word_times_gets_estimates(openai: OpenAiProvider, calling: Calling) -> None:
    async with calling(openai, "gpt-4o-mini-transcribe") as call:
        await call.utter(SENTENCES[0], 1)
        assert call.words == SENTENCES[0].split()
        assert all(word.estimated for word in call.finals[-1].words)


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
async def test_a_server_that_fails_every_time_is_told_and_taken_over(
    openai: OpenAiProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.openai.script("never", Script(fault))
    async with calling(openai, "never", speed=1.5) as call:
        await call.utter(SENTENCES[2], 1)
        (error,) = call.errors
        assert error.code == CODES[fault]
        assert "emulator-key" not in str(error)
        assert "OPENAI_API_KEY" in str(error) or fault not in {Fault.UNAUTHORIZED, Fault.QUOTA}
        call.open(model=None)
        async with asyncio.timeout(4):
            while not any(final.finalize_id == 1 for final in call.finals):
                await call.hush(20)
        assert call.words == SENTENCES[2].split()


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.BROKEN, Fault.SLOW])
async def test_a_request_that_fails_once_costs_no_word(
    openai: OpenAiProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.openai.script("once", Script(fault, times=1))
    async with calling(openai, "once", speed=1.5) as call:
        await call.utter(SENTENCES[0], 1)
        assert call.errors == []
        assert call.words == SENTENCES[0].split()


async def test_probe_tells_a_wrong_key(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    wrong = OpenAiProvider()
    await wrong.load(CollectorRegistry())
    with pytest.raises(SttError, match="OPENAI_API_KEY") as caught:
        await wrong.probe()
    await wrong.close()
    assert caught.value.code == Trouble.UNAUTHORIZED
    assert "another" not in str(caught.value)


async def test_without_key_and_address_it_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(SttError) as caught:
        await OpenAiProvider().load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED
