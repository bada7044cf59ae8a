"""A worker of each stage is killed, stopped and drained in a call: no word lost, none twice, no long silence.

The short form of `make chaos`: a call for each signal, in which one stage after the other is struck at its work.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from natter_bench.chaos.call import Held, hold_call
from natter_bench.chaos.judge import CallHeard, Judgement, judge, usual_of
from natter_bench.chaos.keeping import story
from natter_bench.chaos.plan import SIGNALS, STAGES, Series, Strike
from natter_bench.chaos.victim import settled
from natter_bench.chaos.world import SPARED, open_world, spoken
from natter_bench.latency_script import Utterance
from natter_bench.speech import EncodedSpeech

# One fixture has all the calls made.
pytestmark = pytest.mark.timeout(240)

TURN: Final = Utterance("Do you know a good story?", "I know a good story, so listen.")
AFTER_MS: Final = {"vad": 1200, "stt": 700, "llm": 2000, "tts": 2800}
"""From where the caller begins: near the end of the speech, in it, while the model writes, while the bot speaks."""
STOPPED_FOR_S: Final = 6.0
NOBODY: Final = "nobody"
STRUCK: Final = {"KILL": STAGES, "STOP": ("stt", "tts"), "TERM": ("vad", "llm")}
"""Each stage is killed; what else happens to workers is the same code for all of them."""
SLOWER: Final = 2.0
"""The machine has other work and three systems at once: silence may be this many times the limit of `make chaos`."""
LONGER_HOLE: Final = 5.0
"""The same of a hole, which is short enough to come from the machine alone."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Held | str]:
    """By signal: the call, or what did not come back behind it."""
    return asyncio.run(make_calls(tmp_path_factory.mktemp("chaos")))


async def make_calls(folder: Path) -> dict[str, Held | str]:
    """One beside the other, each with a system of its own: mostly they wait for the sound to pass."""
    speech = await asyncio.to_thread(spoken, TURN.text, built_in=False)
    made = await asyncio.gather(*(make_call(folder / signal, signal, speech) for signal in SIGNALS))
    return dict(zip(SIGNALS, made, strict=True))


async def make_call(folder: Path, signal: str, speech: EncodedSpeech) -> Held | str:
    struck = STRUCK[signal]
    async with open_world(folder, dict.fromkeys(struck, SPARED), conversation=[TURN] * (len(struck) + 2)) as world:
        strikes = {turn: Strike(stage, signal, AFTER_MS[stage], STOPPED_FOR_S) for turn, stage in enumerate(struck, 1)}
        # The first turn shows what is usual, the last what is left.
        held = await hold_call(world, [speech] * (len(strikes) + 2), strikes)
        return await settled(world.http, world.system, held.blows) or held


@pytest.mark.parametrize(
    ("stage", "signal"), [(stage, signal) for signal in SIGNALS for stage in (*STRUCK[signal], NOBODY)]
)
def test_the_caller_notices_nothing(calls: dict[str, Held | str], stage: str, signal: str) -> None:
    held = calls[signal]
    assert isinstance(held, Held), held
    one, timeline = judged(held, STRUCK[signal], stage), story(held, heading=f"{stage}-{signal}")
    assert one.errors == (), timeline
    assert held.heard.transcript is not None
    assert one.missed == 0, timeline
    assert one.words_whole, f"{one}\n{timeline}"
    limits = Series(STRUCK[signal][0] if stage == NOBODY else stage, signal).limits
    assert one.added_ms is not None
    if limits.added_max_ms is not None:
        assert one.added_ms <= SLOWER * limits.added_max_ms, f"{one}\n{timeline}"
    if limits.hole_ms is not None:
        assert one.hole_ms <= LONGER_HOLE * limits.hole_ms, f"{one}\n{timeline}"


def judged(held: Held, struck: Sequence[str], stage: str) -> Judgement:
    """The turn in which a stage was struck, against the first; the caller's words are those of the whole call."""
    turns = held.heard.turns
    turn = turns[-1] if stage == NOBODY else turns[struck.index(stage) + 1]
    usual = usual_of([CallHeard(turns[:1], None, TURN.text)], [TURN])
    one = judge(CallHeard((turn,), None, TURN.text, held.heard.errors), [TURN], usual)
    if stage != NOBODY:
        return one
    script = [TURN] * len(turns)
    whole = judge(held.heard, script, usual_of([CallHeard(turns[:1] * len(turns), None, None)], script))
    return replace(one, lost=whole.lost, doubled=whole.doubled)
