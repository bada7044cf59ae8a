"""Calls with every provider through the real SDKs, at the emulated services: words exact, faults survived or told.

All calls are made side by side by one fixture, each with a provider and emulators of its own: they mostly wait. Each
test looks at its own.
"""

from __future__ import annotations

import asyncio
import io
import os
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.deepgram import TurnQuiet
from natter_emulators.emulators import Emulators
from natter_emulators.script import Fault, Script
from natter_stt.deepgram import DeepgramFluxProvider, DeepgramProvider
from natter_stt.gladia import GladiaProvider
from natter_stt.openai import OpenAiProvider
from natter_stt.provider import BadSettingsError, StreamSettings, SttError, TurnSign

pytestmark = pytest.mark.timeout(300)

SENTENCES: Final = ("hello how are you today", "stop", "can you tell me what time it is please")
MS: Final = 16
AT_ONCE: Final = 10
CODES: Final = {
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
Calling = Callable[..., AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class Vendor:
    """A provider.

    Attributes:
        service: the emulator.
        key: the variable with the key.
        survives: what may happen once without the conductor's noticing.
        speed: of calls with faults, times real time: what vendors and providers wait for is not scaled.
        check: looks at what a call with the keyterms Natter and Nova has asked for.
    """

    name: str
    provider: Callable[[], Any]
    service: str
    key: str
    survives: Sequence[Fault]
    speed: float
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Scene:
    """One provider, loaded, and its emulated service, which nobody else uses."""

    vendor: Vendor
    provider: Any
    service: Any
    calling: Calling

    def call(self, speed: float = 3.0, **settings: Any) -> AbstractAsyncContextManager[Any]:
        return self.calling(self.provider, speed, **settings)


@asynccontextmanager
async def scene_of(vendor: Vendor, calling: Calling, environment: asyncio.Lock) -> AsyncGenerator[Scene]:
    """Raises `TimeoutError` when a connection is left behind."""
    async with Emulators() as emulators:
        provider = vendor.provider()
        async with environment:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in emulators.environment().items():
                    patch.setenv(name, value)
                await provider.load(CollectorRegistry())
        service = getattr(emulators, vendor.service)
        try:
            yield Scene(vendor, provider, service, calling)
        finally:
            await provider.close()
        async with asyncio.timeout(3):
            while service.open_connections:
                await asyncio.sleep(0.01)


# What the services were asked.


def check_deepgram(service: Any) -> None:
    (request,) = service.requests
    assert request.query["model"] == "nova-3"
    assert keyterms_of(request) == ["Natter", "Nova"]


def check_flux(service: Any) -> None:
    (request,) = service.requests
    assert request.query["model"] == "flux-general-en"
    assert keyterms_of(request) == ["Natter", "Nova"]


def keyterms_of(request: Any) -> list[str]:
    return [value for name, value in request.query_all if name == "keyterm"]


def check_gladia(service: Any) -> None:
    made, _connected = service.requests
    assert made.json()["realtime_processing"]["custom_vocabulary_config"]["vocabulary"] == ["Natter", "Nova"]


def check_openai(service: Any) -> None:
    form = service.requests[-1].form()
    assert (form["model"], form["language"], form["prompt"]) == ([b"whisper-1"], [b"en"], [b"Natter, Nova"])
    with wave.open(io.BytesIO(form["file"][0])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)


MID_STREAM: Final = (Fault.STALL, Fault.HALF_OPEN, Fault.MALFORMED, Fault.CUT)
DEEPGRAM: Final = Vendor(
    "deepgram", DeepgramProvider, "deepgram", "DEEPGRAM_API_KEY", (*MID_STREAM, Fault.SLOW), 3.0, check_deepgram
)
FLUX: Final = Vendor("deepgram-flux", DeepgramFluxProvider, "deepgram", "DEEPGRAM_API_KEY", MID_STREAM, 1.0, check_flux)
GLADIA: Final = Vendor(
    "gladia", GladiaProvider, "gladia", "GLADIA_API_KEY", (*MID_STREAM, Fault.SLOW), 1.5, check_gladia
)
OPENAI: Final = Vendor(
    "openai", OpenAiProvider, "openai", "OPENAI_API_KEY", (Fault.CUT, Fault.BROKEN, Fault.SLOW), 1.5, check_openai
)
VENDORS: Final = (DEEPGRAM, FLUX, GLADIA, OPENAI)


# Calls that every provider has to hold out.


async def three_utterances_are_heard_word_by_word(scene: Scene, _: Fault) -> None:
    async with scene.call(1.5, keyterms=("Natter", "Nova")) as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(600)
            said = await call.utter(sentence, number)
            final = call.finals[-1]
            assert [word.text for word in final.words] == sentence.split()
            for heard, word in zip(final.words, said, strict=True):
                assert abs(heard.from_sample - word.from_sample) < 50 * MS
                assert abs(heard.to_sample - word.to_sample) < 50 * MS
                assert not heard.estimated
            assert final.through_sample >= final.words[-1].to_sample
        assert [final.finalize_id for final in call.finals] == [1, 2, 3]
        assert any(not transcript.final and transcript.words for transcript in call.transcripts)
        assert call.errors == []
    scene.vendor.check(scene.service)


async def a_fault_once_costs_no_word(scene: Scene, fault: Fault) -> None:
    scene.service.script("once", Script(fault, times=1))
    async with scene.call(scene.vendor.speed, model="once") as call:
        await call.hush(500)
        for number, sentence in enumerate(SENTENCES, 1):
            await call.utter(sentence, number)
            await call.hush(300)
        assert call.errors == []
        assert call.words == " ".join(SENTENCES).split()
        assert call.answered == [1, 2, 3]


async def a_fault_every_time_is_told_and_taken_over(scene: Scene, fault: Fault) -> None:
    scene.service.script("never", Script(fault))
    async with scene.call(scene.vendor.speed, model="never") as call:
        await call.hush(300)
        await call.utter(SENTENCES[2], 1)
        (error,) = call.errors
        assert error.code == CODES[fault]
        assert "emulator-key" not in str(error)
        assert scene.vendor.key in str(error) or fault not in {Fault.UNAUTHORIZED, Fault.QUOTA}
        call.open()
        await call.hush_until(lambda: 1 in call.answered)
        assert call.words == SENTENCES[2].split()
        assert call.answered == [1]


async def a_finalize_without_speech_is_answered_empty(scene: Scene, _: Fault) -> None:
    async with scene.call() as call:
        await call.hush(600)
        call.finalize(1, call.next_sample)
        await call.hush_until(lambda: 1 in call.answered)
        assert call.words == []
        assert call.errors == []


# Deepgram's.


async def silence_is_not_paid_for(scene: Scene, _: Fault) -> None:
    scene.service.idle_s = 6.0
    async with scene.call(1.0) as call:
        await call.hush(6_500)
        await call.utter("stop", 1)
        assert call.words == ["stop"]
        assert call.errors == []
    assert len(scene.service.requests) == 1


async def a_quiet_connection_that_is_cut_is_opened_again(scene: Scene, _: Fault) -> None:
    scene.service.idle_s = 0.3
    async with scene.call() as call:
        await call.hush_until(lambda: len(scene.service.requests) >= 2)
        scene.service.idle_s = 10.0
        await call.utter(SENTENCES[0], 1)
        assert call.words == SENTENCES[0].split()
        assert call.errors == []


# Flux's.


def signs(call: Any) -> list[TurnSign]:
    return [transcript.sign for transcript in call.transcripts if transcript.sign is not TurnSign.NONE]


async def turns_end_by_themselves_with_signs(scene: Scene, _: Fault) -> None:
    async with scene.call() as call:
        for number, sentence in enumerate(SENTENCES, 1):
            await call.hush(300)
            await call.say(sentence)
            await call.hush_until(lambda ends=number: signs(call).count(TurnSign.END) == ends)
            final = call.finals[-1]
            assert final.sign is TurnSign.END
            assert [word.text for word in final.words] == sentence.split()
        assert signs(call) == [TurnSign.EAGER_END, TurnSign.END] * 3
        eager = next(transcript for transcript in call.transcripts if transcript.sign is TurnSign.EAGER_END)
        assert not eager.final
        assert [word.text for word in eager.words] == SENTENCES[0].split()
        assert len(call.finals) == 3
        assert call.errors == []


async def an_eager_end_is_taken_back(scene: Scene, _: Fault) -> None:
    scene.service.turn_quiet = TurnQuiet(eager_ms=300, end_ms=1_500)
    async with scene.call() as call:
        await call.say("can you tell me")
        await call.hush_until(lambda: TurnSign.EAGER_END in signs(call))
        await call.say("the time")
        await call.hush_until(lambda: TurnSign.END in signs(call))
        assert signs(call) == [TurnSign.EAGER_END, TurnSign.RESUMED, TurnSign.EAGER_END, TurnSign.END]
        assert call.words == ["can", "you", "tell", "me", "the", "time"]
        assert call.errors == []


async def a_finalize_is_answered_by_the_end_of_the_turn(scene: Scene, _: Fault) -> None:
    async with scene.call() as call:
        await call.utter(SENTENCES[0], 1)
        assert call.finals[-1].sign is TurnSign.END
        assert call.words == SENTENCES[0].split()
        call.finalize(2, call.next_sample)
        await call.hush_until(lambda: 2 in call.answered)
        assert (len(call.finals), call.finals[-1].words) == (2, ())
        assert call.errors == []


async def a_turn_that_does_not_end_is_ended(scene: Scene, _: Fault) -> None:
    scene.service.turn_quiet = TurnQuiet(eager_ms=300, end_ms=60_000)
    async with scene.call(1.0) as call:
        await call.utter("hello", 1)
        assert call.words == ["hello"]
        assert call.errors == []


# OpenAI's.


async def a_model_without_word_times_gets_estimates(scene: Scene, _: Fault) -> None:
    async with scene.call(model="gpt-4o-mini-transcribe") as call:
        await call.utter(SENTENCES[0], 1)
        assert call.words == SENTENCES[0].split()
        assert all(word.estimated for word in call.finals[-1].words)


# All of them, side by side.


@dataclass(frozen=True)
class Case:
    """A call to be made."""

    vendor: Vendor
    happens: Callable[[Scene, Fault], Awaitable[None]]
    fault: Fault = Fault.NONE

    def __str__(self) -> str:
        name = f"{self.vendor.name}-{getattr(self.happens, '__name__', '')}"
        return name if self.fault is Fault.NONE else f"{name}-{self.fault.value}"


CASES: Final = (
    # The longest first.
    Case(DEEPGRAM, silence_is_not_paid_for),
    *(Case(vendor, three_utterances_are_heard_word_by_word) for vendor in VENDORS),
    *(Case(vendor, a_fault_once_costs_no_word, fault) for vendor in reversed(VENDORS) for fault in vendor.survives),
    *(Case(vendor, a_fault_every_time_is_told_and_taken_over, fault) for vendor in VENDORS for fault in CODES),
    *(Case(vendor, a_finalize_without_speech_is_answered_empty) for vendor in VENDORS),
    Case(DEEPGRAM, a_quiet_connection_that_is_cut_is_opened_again),
    Case(FLUX, turns_end_by_themselves_with_signs),
    Case(FLUX, an_eager_end_is_taken_back),
    Case(FLUX, a_finalize_is_answered_by_the_end_of_the_turn),
    Case(FLUX, a_turn_that_does_not_end_is_ended),
    Case(OPENAI, a_model_without_word_times_gets_estimates),
)


@dataclass(frozen=True)
class Outcomes:
    """What became of the calls, by their names, and what is still there after them."""

    failures: dict[str, BaseException | None]
    tasks: list[str]
    files: int


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, calling: Calling) -> Outcomes:
    """Of the calls that the tests of this run look at."""
    looked_at = {item.name for item in request.session.items}
    cases = [case for case in CASES if f"{test_a_call.__name__}[{case}]" in looked_at]
    return asyncio.run(make(cases, calling))


async def make(cases: Sequence[Case], calling: Calling) -> Outcomes:
    files = len(os.listdir("/dev/fd"))
    room, environment = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def call(case: Case) -> None:
        async with room, scene_of(case.vendor, calling, environment) as scene:
            await case.happens(scene, case.fault)

    ends = await asyncio.gather(*(call(case) for case in cases), return_exceptions=True)
    # SDKs' own tasks may take a moment to end.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=3)
    names = [f"{task.get_name()}: {task.get_coro()}" for task in left]
    failures = {str(case): end for case, end in zip(cases, ends, strict=True)}
    return Outcomes(failures, names, len(os.listdir("/dev/fd")) - files)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_call(outcomes: Outcomes, case: Case) -> None:
    failure = outcomes.failures[str(case)]
    if failure is not None:
        raise failure


def test_no_task_and_no_socket_is_left(outcomes: Outcomes) -> None:
    assert outcomes.tasks == []
    assert outcomes.files <= 0


# Settings.


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_probe_tells_a_wrong_key(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulators() as emulators:
        for name, value in emulators.environment().items():
            monkeypatch.setenv(name, value)
        right, wrong = vendor.provider(), vendor.provider()
        await right.load(CollectorRegistry())
        await right.probe()
        await right.close()
        monkeypatch.setenv(vendor.key, "another")
        await wrong.load(CollectorRegistry())
        with pytest.raises(SttError, match=vendor.key) as caught:
            await wrong.probe()
        await wrong.close()
    assert caught.value.code == Trouble.UNAUTHORIZED
    assert not caught.value.retryable
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_without_a_key_it_is_left_out(vendor: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (vendor.key, vendor.key.replace("_API_KEY", "_BASE_URL")):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SttError, match=vendor.key) as caught:
        await vendor.provider().load(CollectorRegistry())
    assert caught.value.code == Trouble.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("vendor", "model", "right"), [(DEEPGRAM, "flux-general-en", "deepgram-flux"), (FLUX, "nova-3", "nova-3")]
)
def test_a_model_of_the_other_kind_is_refused(vendor: Vendor, model: str, right: str) -> None:
    with pytest.raises(BadSettingsError, match=right):
        vendor.provider().open(StreamSettings(model=model), lambda _: None)
