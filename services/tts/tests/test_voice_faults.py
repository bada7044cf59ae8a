"""Every fault of every vendor: its name, what is left of the segment, and that the rest is said next; and its probe.

All are met side by side by one fixture, each with emulators of its own; each test looks at its own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from natter_common.providers import Trouble
from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words
from natter_emulators.script import Fault, Script
from natter_tts.provider import TtsError, TtsSettings

LONG: Final = "I would begin with something small and see how it goes in the end."
WORDS: Final = LONG.split()
CODES: Final = {
    Fault.SLOW: Trouble.STALLED,
    Fault.STALL: Trouble.STALLED,
    Fault.HALF_OPEN: Trouble.STALLED,
    Fault.UNAUTHORIZED: Trouble.UNAUTHORIZED,
    Fault.QUOTA: Trouble.QUOTA,
    Fault.RATE_LIMITED: Trouble.RATE_LIMITED,
    Fault.BROKEN: Trouble.UNAVAILABLE,
    Fault.MALFORMED: Trouble.MALFORMED,
    Fault.CUT: Trouble.CUT_OFF,
    Fault.BAD_REQUEST: Trouble.BAD_SETTINGS,
}
LASTING: Final = (Trouble.UNAUTHORIZED, Trouble.QUOTA, Trouble.BAD_SETTINGS)
# A server of one's own may take its time: SLOW is no fault there.
FAULTS: Final = [
    (vendor, fault)
    for vendor in ("deepgram", "elevenlabs", "openai")
    for fault in CODES
    if (vendor, fault) != ("openai", Fault.SLOW)
]
PROBES: Final = [
    ("deepgram", Fault.UNAUTHORIZED),
    ("deepgram", Fault.BROKEN),
    ("elevenlabs", Fault.UNAUTHORIZED),
    ("elevenlabs", Fault.QUOTA),
    ("elevenlabs", Fault.BROKEN),
    ("elevenlabs", Fault.HALF_OPEN),
]
AT_ONCE: Final = 8


def name_of(fault: Fault) -> str:
    return f"faulty-{fault.value}"


def settings_of(vendor: str, fault: Fault) -> TtsSettings:
    return TtsSettings(model=name_of(fault)) if vendor == "openai" else TtsSettings(voice=name_of(fault))


@dataclass
class Faced:
    """Two attempts at a segment, of which the first met the fault; the second says what the first left."""

    first: Any
    second: Any


@dataclass
class Outcomes:
    faced: Mapping[tuple[str, Fault], Any]
    probed: Mapping[tuple[str, Fault], Any]
    tasks_left: frozenset[str]


@pytest.fixture(scope="module")
def outcomes(loaded, say) -> Outcomes:
    async def face(vendor: str, fault: Fault) -> Faced:
        async with Emulators() as emulators, loaded(vendor, emulators) as voices:
            script = Script(fault=fault, times=1, after_words=3, words_per_s=5.0)
            getattr(emulators, vendor).script(name_of(fault), script)
            stream = voices.open(settings_of(vendor, fault))
            first = await say(stream, LONG)
            if vendor == "elevenlabs":
                # What was said is known, and another worker might say the rest.
                await stream.close()
                stream = voices.open(settings_of(vendor, fault))
            second = await say(stream, " ".join(WORDS[len(first.words) :]), attempt="1.2")
            await stream.close()
            return Faced(first, second)

    async def probe(vendor: str, fault: Fault) -> TtsError | None:
        async with Emulators() as emulators, loaded(vendor, emulators) as voices, asyncio.timeout(10):
            getattr(emulators, vendor).script_default(Script(fault=fault))
            error = None
            try:
                await voices.probe()
            except TtsError as caught:
                error = caught
            getattr(emulators, vendor).script_default(Script())
            await voices.probe()
            return error

    async def meet_all() -> Outcomes:
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(meet: Callable[[str, Fault], Coroutine[Any, Any, object]], case: tuple[str, Fault]) -> object:
            async with turns:
                return await meet(*case)

        found = await asyncio.gather(
            *(in_turn(face, case) for case in FAULTS),
            *(in_turn(probe, case) for case in PROBES),
            return_exceptions=True,
        )
        faced = dict(zip(FAULTS, found, strict=False))
        probed = dict(zip(PROBES, found[len(FAULTS) :], strict=True))
        names = (task.get_name() for task in asyncio.all_tasks())
        left = frozenset(name for name in names if name.startswith(("deepgram", "elevenlabs", "openai")))
        return Outcomes(faced, probed, left)

    return asyncio.run(meet_all())


def cases(which: list[tuple[str, Fault]]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}-{case[1].value}") for case in which]


@pytest.mark.parametrize(("vendor", "fault"), cases(FAULTS))
def test_a_fault_has_its_name_and_the_rest_can_be_said(outcomes: Outcomes, vendor: str, fault: Fault) -> None:
    outcome = outcomes.faced[vendor, fault]
    if isinstance(outcome, BaseException):
        raise outcome
    error = outcome.first.error
    assert error is not None
    assert error.code == CODES[fault]
    assert error.retryable == (error.code not in LASTING)
    assert "emulator-key" not in str(error)
    if error.code == Trouble.BAD_SETTINGS:
        assert name_of(fault) in str(error)
    said = len(outcome.first.words)
    assert outcome.first.text.split() == WORDS[:said]
    if vendor != "elevenlabs":
        # Nobody tells where the words of half a segment end: nothing of it is given out.
        assert outcome.first.pcm == b""
        assert said == 0
    elif fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT}:
        assert said >= 2
    assert outcome.second.error is None
    assert outcome.second.ended
    assert count_words(LONG, [*outcome.first.heard, *outcome.second.heard]).exact


@pytest.mark.parametrize(("vendor", "fault"), cases(PROBES))
def test_a_probe_finds_it(outcomes: Outcomes, vendor: str, fault: Fault) -> None:
    outcome = outcomes.probed[vendor, fault]
    assert isinstance(outcome, TtsError)
    assert outcome.code == CODES[fault]


def test_no_task_is_left(outcomes: Outcomes) -> None:
    assert not outcomes.tasks_left
