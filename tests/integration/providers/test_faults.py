"""Every provider, with each fault and without: the reply is spoken, by whoever can, or an error is told.

All calls are made side by side by one fixture; each test looks at its own.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_emulators.script import DEFAULT_REPLIES, Fault, Script
from natter_testing.provider_calls import ANSWERED_WITHIN_S, QUESTION, Case, Outcome, call_all, provider_system

pytestmark = pytest.mark.timeout(600)

SERVICES: Final = {"gateway": 1, "vad": 1, "stt": 2, "llm": 1, "tts": 2}
USUAL: Final = {"stt": {"provider": "deepgram"}, "llm": {"provider": "openai"}, "tts": {"provider": "elevenlabs"}}
LASTING: Final = (Fault.UNAUTHORIZED, Fault.QUOTA, Fault.BAD_REQUEST)
FAULTS: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)
TRIED_AGAIN: Final = (Fault.STALL, Fault.CUT, Fault.BROKEN, Fault.UNAUTHORIZED)
HOPELESS: Final = (Fault.STALL, Fault.BROKEN)
AT_ONCE: Final = 5
WORDS_PER_S: Final = 5.0
"""Of the voices: as fast as can be counted."""
PATIENT: Final = {"turn": {"final_grace_ms": 2_000}}
"""With so many calls at once a final may come late; that the last interim counts then is not what is asked here."""


@dataclass(frozen=True)
class Provider:
    """A provider, who stands behind it in a chain, and how the emulator's script is named."""

    stage: str
    name: str
    next: str
    service: str
    scripted_by: str = "model"
    beside: Mapping[str, Any] = field(default_factory=dict)


PROVIDERS: Final = (
    Provider("stt", "deepgram", "gladia", "deepgram"),
    Provider("stt", "deepgram-flux", "deepgram", "deepgram"),
    Provider("stt", "gladia", "deepgram", "gladia"),
    Provider("stt", "openai", "deepgram", "openai"),
    # The built-in model says what nobody knows ahead: the built-in voice has no words that it can't say.
    Provider("llm", "openai", "local", "openai", beside={"tts": {"provider": "local"}}),
    Provider("tts", "elevenlabs", "deepgram", "elevenlabs", "voice"),
    Provider("tts", "deepgram", "elevenlabs", "deepgram"),
    Provider("tts", "openai", "elevenlabs", "openai"),
)


def name_of(provider: Provider, fault: Fault, how: str) -> str:
    return f"{provider.stage}-{provider.name}-{fault.value}-{how}"


def case_of(provider: Provider, fault: Fault, how: str) -> Case:
    name = name_of(provider, fault, how)
    chain = [provider.name, provider.next] if how == "chain" else [provider.name]
    section: dict[str, Any] = {"provider": chain, provider.scripted_by: name}
    if provider.stage == "llm":
        section["max_tokens"] = 30
    beside = provider.beside if how == "chain" else {}
    return Case(name, {**USUAL, **beside, provider.stage: section}, extra=PATIENT)


def case_is_heavy(provider: Provider, fault: Fault, how: str) -> bool:
    """Whether built-in models answer."""
    return how == "chain" and bool(provider.beside)


CASES: Final = [
    (provider, fault, how)
    for provider in PROVIDERS
    for how, faults in (("plain", (Fault.NONE,)), ("chain", FAULTS), ("once", TRIED_AGAIN), ("always", HOPELESS))
    for fault in faults
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    return asyncio.run(_call(tmp_path_factory.mktemp("providers")))


async def _call(folder: Path) -> Mapping[str, Outcome]:
    cases = [case_of(*case) for case in CASES]
    async with Emulators() as emulators:
        for voices in (emulators.elevenlabs, emulators.deepgram, emulators.openai):
            voices.script_default(Script(words_per_s=WORDS_PER_S))
        for provider, fault, how in CASES:
            times = 1 if how == "once" else None
            name = name_of(provider, fault, how)
            getattr(emulators, provider.service).script(name, Script(fault=fault, times=times, words_per_s=WORDS_PER_S))
        heavy = [case_of(*case) for case in CASES if case_is_heavy(*case)]
        light = [case for case in cases if case not in heavy]
        async with provider_system(folder, emulators, cases, {"NATTER_CAPACITY": "40"}, SERVICES) as system:
            # The built-in models compute: on a small machine one caller at a time is as many as they answer in time.
            heavy_ones, light_ones = await asyncio.gather(
                call_all(system, heavy, at_once=1), call_all(system, light, AT_ONCE)
            )
            return {**heavy_ones, **light_ones}


def check_spoken(outcome: Outcome, *, marked: bool = True) -> None:
    """The caller was understood to the word, and heard the reply, no word of it missing or twice."""
    assert outcome.refused == ""
    assert outcome.errors == []
    assert count_words(QUESTION, outcome.understood.split()).exact, outcome.understood
    assert outcome.audible_s > 0.5
    if marked:
        assert count_words(DEFAULT_REPLIES[0], outcome.words).exact, outcome.heard


def check_told(outcome: Outcome) -> None:
    """What is wrong was said, in words, in time."""
    assert outcome.refused or outcome.errors
    if outcome.told_s is not None:
        assert outcome.told_s < ANSWERED_WITHIN_S
    assert all(len(words) > 10 for words in outcome.errors)


def cases(how: str) -> list[Any]:
    return [
        pytest.param(provider, fault, id=f"{provider.stage}-{provider.name}-{fault.value}")
        for provider, fault, case in CASES
        if case == how
    ]


@pytest.mark.parametrize(("provider", "fault"), cases("plain"))
def test_a_whole_turn(outcomes: Mapping[str, Outcome], provider: Provider, fault: Fault) -> None:
    check_spoken(outcomes[name_of(provider, fault, "plain")])


@pytest.mark.parametrize(("provider", "fault"), cases("chain"))
def test_the_next_of_the_chain_takes_over(outcomes: Mapping[str, Outcome], provider: Provider, fault: Fault) -> None:
    check_spoken(outcomes[name_of(provider, fault, "chain")], marked=provider.stage != "llm")


@pytest.mark.parametrize(("provider", "fault"), cases("once"))
def test_without_another_it_is_tried_again_or_told(
    outcomes: Mapping[str, Outcome], provider: Provider, fault: Fault
) -> None:
    outcome = outcomes[name_of(provider, fault, "once")]
    if fault in LASTING and (outcome.refused or outcome.errors):
        check_told(outcome)
    else:
        check_spoken(outcome)


@pytest.mark.parametrize(("provider", "fault"), cases("always"))
def test_what_never_works_is_told(outcomes: Mapping[str, Outcome], provider: Provider, fault: Fault) -> None:
    check_told(outcomes[name_of(provider, fault, "always")])
