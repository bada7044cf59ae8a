"""A turn of the latency bench on a system of its own. What it hears on a busy machine is not judged here."""

from natter_bench.latency import LatencyReport, figures, latency_json
from natter_bench.latency_script import UTTERANCES
from natter_bench.latency_systems import NATTER, plan, run_system
from natter_bench.words import normalise


async def test_a_turn_is_measured():
    short = min(UTTERANCES, key=lambda one: len(one.reply))
    run = await run_system(NATTER, plan([short], []), lambda _line: None)
    found = figures(run)
    assert found["missed_turns"] == 0
    # The delays alone; how much more it takes is for the bench to say.
    assert found["voice_to_voice_p50_ms"] is not None
    assert found["voice_to_voice_p50_ms"] >= 470
    (turn,) = run.session.turns
    assert normalise(turn.user_text) == normalise(short.text)
    assert turn.latency is not None
    assert run.generations >= 1
    assert len(run.replies) == 1
    assert latency_json(LatencyReport([run]))[NATTER]["generations"] == run.generations
