"""What becomes of a call with a kill in it."""

from typing import Any, cast

import pytest

from natter_bench.chaos import run
from natter_bench.chaos.call import Held
from natter_bench.chaos.judge import CallHeard, TurnHeard, Usual
from natter_bench.chaos.plan import Strike
from natter_bench.chaos.run import NO_TRANSCRIPT, strike_once
from natter_bench.chaos.script import CONVERSATION
from natter_bench.chaos.victim import Blow
from natter_bench.chaos.world import World
from natter_bench.recording import Recording
from natter_bench.words import normalise
from natter_local.supervised import Supervised

SAID = " ".join(one.text for one in CONVERSATION)
STRIKE = Strike("stt", "KILL", 200)


class Worker:
    name = "stt-2"
    starts = 1


class HeldCall(Held):
    def phase(self, turn: int) -> str:
        return ""


async def struck(monkeypatch: pytest.MonkeyPatch, transcript: str | None) -> run.Run:
    turns = tuple(TurnHeard(700.0, 0.0, 0.0, tuple(normalise(one.reply))) for one in CONVERSATION)
    heard = CallHeard(turns, SAID, transcript)
    blow = Blow(cast("Supervised", Worker()), STRIKE)

    async def hold(*_: Any) -> Held:
        return HeldCall(heard, [], Recording(), cast("Any", None), 0, [blow])

    async def well(*_: Any) -> str:
        return ""

    monkeypatch.setattr(run, "hold_call", hold)
    monkeypatch.setattr(run, "settled", well)
    world = World(cast("Any", None), cast("Any", None), built_in=False, conversation=CONVERSATION)
    return await strike_once(world, STRIKE, Usual((700.0,) * 3, (0.0,) * 3, 0.0), [], None)


async def test_a_call_whose_transcript_is_not_to_be_had_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (await struck(monkeypatch, SAID)).bad
    one = await struck(monkeypatch, None)
    assert one.bad
    assert one.failed == NO_TRANSCRIPT
