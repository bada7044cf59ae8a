"""The provider `deepgram-flux` through the real SDK against the emulated service: turns, signs, faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.deepgram import TurnQuiet
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Script
from natter_stt.deepgram import DeepgramFluxProvider
from natter_stt.provider import BadSettingsError, StreamSettings, TurnSign

SENTENCES = ("hello how are you today", "stop", "can you tell me what time it is please")
Calling = Callable[..., AbstractAsyncContextManager[Any]]


@pytest_asyncio.fixture
async def flux(emulators: Emulators) -> AsyncIterator[DeepgramFluxProvider]:
    provider = DeepgramFluxProvider()
    await provider.load(CollectorRegistry())
    await provider.probe()
    yield provider
    await provider.close()
    async with asyncio.timeout(2):
        while emulators.deepgram.open_connections:
            await asyncio.sleep(0.01)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("stt")] == []


def signs(call: Any) -> list[TurnSign]:
    return [transcript.sign for transcript in call.transcripts if transcript.sign is not TurnSign.NONE]


async def until_turn_ends(call: Any, ends: int) -> None:
    """Silence until so many turns have ended, or a fault is told."""
    async with asyncio.timeout(8):
        while signs(call).count(TurnSign.END) < ends and not call.errors:
            await call.hush(20)


async def test_turns_end_by_themselves_with_signs(
    flux: DeepgramFluxProvider, emulators: Emulators, calling: Calling
) -> None:
    async with calling(flux, keyterms=("Natter", "Nova")) as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(300)
            begin, _ = await call.say(sentence)
            await until_turn_ends(call, number)
            final = call.finals[-1]
            assert final.sign is TurnSign.END
            assert [word.text for word in final.words] == sentence.split()
            assert begin <= final.words[0].from_sample < begin + 1_600
        assert signs(call) == [TurnSign.EAGER_END, TurnSign.END] * 3
        eager = next(transcript for transcript in call.transcripts if transcript.sign is TurnSign.EAGER_END)
        assert not eager.final
        assert [word.text for word in eager.words] == SENTENCES[0].split()
        assert len(call.finals) == 3
    query = emulators.deepgram.requests[-1].query_all
    assert [value for name, value in query if name == "keyterm"] == ["Natter", "Nova"]


async def test_an_eager_end_is_taken_back(flux: DeepgramFluxProvider, emulators: Emulators, calling: Calling) -> None:
    emulators.deepgram.turn_quiet = TurnQuiet(eager_ms=300, end_ms=1_500)
    async with calling(flux) as call:
        await call.say("can you tell me")
        async with asyncio.timeout(4):
            while TurnSign.EAGER_END not in signs(call):
                await call.hush(20)
        await call.say("the time")
        await until_turn_ends(call, 1)
        assert signs(call) == [TurnSign.EAGER_END, TurnSign.RESUMED, TurnSign.EAGER_END, TurnSign.END]
        assert call.words == ["can", "you", "tell", "me", "the", "time"]


async def test_finalize_is_answered_by_the_end_of_the_turn_and_without_one_soon(
    flux: DeepgramFluxProvider, calling: Calling
) -> None:
    async with calling(flux) as call:
        await call.utter(SENTENCES[0], 1)
        assert call.finals[-1].sign is TurnSign.END
        assert call.words == SENTENCES[0].split()
        call.finalize(2, call.next_sample)
        async with asyncio.timeout(2):
            while len(call.finals) < 2:
                await call.hush(20)
        assert (call.finals[-1].finalize_id, call.finals[-1].words) == (2, ())


async def test_a_turn_that_does_not_end_is_ended(
    flux: DeepgramFluxProvider, emulators: Emulators, calling: Calling
) -> None:
    emulators.deepgram.turn_quiet = TurnQuiet(eager_ms=300, end_ms=60_000)
    async with calling(flux, speed=1.0) as call:
        await call.utter("hello", 1)
        assert call.words == ["hello"]
        assert call.errors == []


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.HALF_OPEN, Fault.MALFORMED, Fault.CUT])
async def test_a_connection_that_fails_once_costs_no_word(
    flux: DeepgramFluxProvider, emulators: Emulators, calling: Calling, fault: Fault
) -> None:
    emulators.deepgram.script("once", Script(fault, times=1))
    async with calling(flux, "once", speed=1.0) as call:
        await call.hush(300)
        for number, sentence in enumerate(SENTENCES, 1):
            await call.utter(sentence, number)
            await call.hush(300)
        assert call.errors == []
        assert call.words == " ".join(SENTENCES).split()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.STALL, Trouble.STALLED),
        (Fault.CUT, Trouble.CUT_OFF),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED),
        (Fault.UNAUTHORIZED, Trouble.UNAUTHORIZED),
    ],
)
async def test_a_connection_that_fails_every_time_is_told_and_taken_over(
    flux: DeepgramFluxProvider, emulators: Emulators, calling: Calling, fault: Fault, code: Trouble
) -> None:
    emulators.deepgram.script("never", Script(fault))
    async with calling(flux, "never", speed=1.0) as call:
        await call.utter(SENTENCES[2], 1)
        assert [error.code for error in call.errors] == [code]
        call.open(model=None)
        async with asyncio.timeout(5):
            while TurnSign.END not in signs(call):
                await call.hush(20)
        assert call.words == SENTENCES[2].split()


async def test_nova_models_are_refused(flux: DeepgramFluxProvider) -> None:
    with pytest.raises(BadSettingsError, match="nova-3"):
        flux.open(StreamSettings(model="nova-3"), lambda _: None)
