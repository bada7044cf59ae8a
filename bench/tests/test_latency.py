import json

import pytest

from natter_bench.caller import Caller, Setup
from natter_bench.errors import CallError
from natter_bench.latency import LatencyReport, agreement, contribution_summaries, figures, latency_json
from natter_bench.latency_call import Plan, converse
from natter_bench.latency_systems import LatencyRun, run_system
from natter_bench.latency_text import latency_text
from natter_bench.measure import Interruption
from natter_bench.report import SessionReport, TurnReport
from natter_bench.speculation import Speculation
from natter_bench.speech import encode
from natter_bench.transcript import Latency, latency_of


def a_turn(heard_ms, told_ms=None):
    latency = None
    if told_ms is not None:
        latency = Latency(1, told_ms, {"endpointing": 200.0, "model": told_ms - 200}, {"model": 30.0})
    return TurnReport(heard_ms, heard_ms is None, False, [], None, "yes", "no", latency)


def a_run(system, turns, speculation=None, errors=()):
    barge_ins = [Interruption(1.0, 1.2, True), Interruption(1.0, 1.3, True), Interruption(1.0, 5.0, False)]
    session = SessionReport(Setup(), turns, barge_ins, 0, 0, 0, 60.0)
    return LatencyRun(system, session, 14, 10, errors, speculation or Speculation())


def test_agreement_of_the_gateway_with_the_caller():
    found = agreement([a_turn(500, 480), a_turn(500, 460), a_turn(500, 459), a_turn(500), a_turn(None, 500)])
    assert (found.turns, found.within) == (3, 2)
    assert found.share == pytest.approx(2 / 3)
    assert found.largest_ms == -41
    assert agreement([a_turn(500)]).share is None


def test_hidden_work_is_told_apart_from_contributions():
    parts = contribution_summaries([a_turn(500, 500), a_turn(500, 520)])
    assert parts["model"][0].p50 == 310
    assert parts["model"][1] == 30
    assert parts["endpointing"][1] is None


def test_hidden_work_is_read_where_the_gateway_tells_it():
    parts = [{"name": "model", "ms": 250, "hidden_ms": 100}, {"name": "text", "ms": 3}]
    latency = latency_of({"natter": {"turn": 4, "latency": {"total_ms": 300, "contributions": parts}}})
    assert latency is not None
    assert latency.contributions == {"model": 250, "text": 3}
    assert latency.hidden_ms == {"model": 100}


def test_figures_leave_out_what_was_missed_and_not_silenced():
    found = figures(a_run("natter", [a_turn(500), a_turn(600), a_turn(None)]))
    assert found["voice_to_voice_p50_ms"] == 550
    assert found["voice_to_voice_max_ms"] == 600
    assert found["missed_turns"] == 1
    assert found["time_to_silence_p50_ms"] == pytest.approx(250)
    assert found["not_silenced"] == 1
    assert found["generations_per_turn"] == 1.4


def test_two_systems_are_shown_with_ratios():
    ours = a_run("natter", [a_turn(500, 480)], Speculation(6, 4, 3, 1, 10, 50, 1.5))
    theirs = a_run("pipecat", [a_turn(1000)], errors=("no voice",))
    text = latency_text(LatencyReport([ours, theirs]), verbose=True)
    row = next(line for line in text.splitlines() if line.startswith("voice-to-voice p50"))
    assert row.split()[2:] == ["500", "ms", "1000", "ms", "0.50"]
    assert "100% of 1 turns" in text
    assert "1 dropped (10% of all)" in text
    assert "pipecat told of trouble: no voice" in text
    assert "gateway 480 (-20 ms): endpointing 200 model 280(+30)" in text


def test_one_system_has_no_ratio_and_a_gateway_that_counts_nothing_is_no_error():
    text = latency_text(LatencyReport([a_run("natter", [a_turn(500, 480)])]))
    assert "ratio" not in text.splitlines()[0]
    assert "- guesses" in text


def test_json_has_the_figures_and_what_they_were_made_of():
    found = json.loads(json.dumps(latency_json(LatencyReport([a_run("natter", [a_turn(500, 480)])]))))
    assert found["natter"]["voice_to_voice_p50_ms"] == 500
    assert found["natter"]["agreement"]["within"] == 1
    assert found["natter"]["session"]["turns"][0]["latency"]["total_ms"] == 480


async def test_a_conversation_is_heard_out_and_then_interrupted(serve_bot, voice_like):
    speech = encode(voice_like(0.5, 16_000), 16_000)
    lines = []
    async with (
        serve_bot(reply=encode(voice_like(3.0, 24_000), 24_000)) as bot,
        Caller.connect(bot.url, via_start=False) as caller,
    ):
        exchanges, barge_ins = await converse(caller, Plan([speech], [speech], speech), lines.append)
    assert (len(exchanges), len(barge_ins)) == (1, 1)
    assert len(lines) == 2


async def test_a_system_that_is_not_there_is_told_in_words(monkeypatch):
    monkeypatch.setattr("natter_bench.pipecat_system.pipecat_python", lambda: None)
    with pytest.raises(CallError, match="not installed"):
        await run_system("pipecat", Plan([], [], encode_nothing()), lambda _line: None)


def encode_nothing():
    import numpy as np

    return encode(np.zeros(320, np.int16), 16_000)
