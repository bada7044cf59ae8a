"""A vendor that fails in the middle, and the built-in model behind it: no word lost, none twice, no long silence."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from natter_bench.recording import VOICE_HZ
from natter_bench.speech import resample
from natter_bench.words import normalise, word_error_rate
from natter_emulators.emulators import Emulators
from natter_emulators.script import DEFAULT_REPLIES, Fault, Script
from natter_testing.hearing import RATE_HZ, recognise
from natter_testing.provider_calls import QUESTION, Case, Outcome, call_all, provider_system

pytestmark = [pytest.mark.timeout(200), pytest.mark.alone]

SERVICES: Final = {"gateway": 1, "vad": 1, "stt": 1, "llm": 1, "tts": 1}
USUAL: Final = {"stt": {"provider": "deepgram"}, "llm": {"provider": "openai"}, "tts": {"provider": "elevenlabs"}}
LONGEST_GAP_S: Final = 1.5
SPOKEN_BEFORE_CUT: Final = 4
CASES: Final = [
    Case("plain", USUAL),
    Case("stalled-hearing", {**USUAL, "stt": {"provider": ["deepgram", "local"], "model": "stalls"}}),
    # Nothing ahead of time: what breaks before it is heard is made anew, and nobody hears that it broke.
    Case(
        "cut-voice",
        {**USUAL, "tts": {"provider": ["elevenlabs", "local"], "voice": "cuts"}, "turn": {"speculation": False}},
    ),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """One call after the other: what they wait for is nobody else's work."""
    return asyncio.run(_call(tmp_path_factory.mktemp("takeover")))


async def _call(folder: Path) -> Mapping[str, Outcome]:
    async with Emulators() as emulators:
        emulators.deepgram.script("stalls", Script(fault=Fault.STALL, after_words=3))
        emulators.elevenlabs.script("cuts", Script(fault=Fault.CUT, after_words=SPOKEN_BEFORE_CUT))
        async with provider_system(folder, emulators, CASES, {}, SERVICES) as system:
            return await call_all(system, CASES, at_once=1)


def test_no_word_of_the_caller_is_lost(outcomes: Mapping[str, Outcome]) -> None:
    stalled = outcomes["stalled-hearing"]
    assert stalled.errors == []
    # The built-in recognizer's own hearing is all that may be between what was said and what was understood.
    assert word_error_rate(QUESTION, stalled.understood) <= 0.17, stalled.understood
    assert len(normalise(stalled.understood)) == len(normalise(QUESTION))


def test_a_stalled_recognizer_costs_no_long_silence(outcomes: Mapping[str, Outcome]) -> None:
    usual, stalled = outcomes["plain"].answered_s, outcomes["stalled-hearing"].answered_s
    assert usual is not None
    assert stalled is not None
    print(f"answered after {usual:.2f} s, with a stalled recognizer after {stalled:.2f} s")  # noqa: T201
    assert stalled - usual <= LONGEST_GAP_S


def test_no_word_of_the_reply_is_missing_or_twice(outcomes: Mapping[str, Outcome]) -> None:
    cut = outcomes["cut-voice"]
    assert cut.errors == []
    reply = normalise(DEFAULT_REPLIES[0])
    before = [word.text for word in cut.words]
    assert before
    assert before == reply[: len(before)]
    after_last_mark = cut.pcm[cut.words[-1].to_sample :]
    (rest,) = recognise(resample(after_last_mark, VOICE_HZ, RATE_HZ))
    assert normalise(rest) == reply[len(before) :]


def test_a_voice_that_breaks_off_leaves_no_long_silence(outcomes: Mapping[str, Outcome]) -> None:
    holes_ms = outcomes["cut-voice"].holes_ms
    print(f"holes in the reply: {[round(hole) for hole in holes_ms]} ms")  # noqa: T201
    assert max(holes_ms, default=0.0) <= LONGEST_GAP_S * 1000
