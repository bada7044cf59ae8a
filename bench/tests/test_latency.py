import json

import numpy as np
import pytest

from natter_bench.caller import Caller, Setup
from natter_bench.errors import CallError
from natter_bench.latency import LatencyReport, agreement, contribution_summaries, figures, latency_json
from natter_bench.latency_call import Plan, converse
from natter_bench.latency_hearing import WordsHeard, words_heard
from natter_bench.latency_systems import LatencyRun, run_system
from natter_bench.latency_text import latency_text
from natter_bench.measure import Interruption
from natter_bench.recording import VOICE_HZ, ReceivedPacket, decode
from natter_bench.report import SessionReport, TurnReport
from natter_bench.speculation import Speculation
from natter_bench.speech import encode
from natter_bench.transcript import Latency, latency_of
from natter_emulators.marks import speak

REPLY = "Sure, the moon goes around the earth. It has no air."


def received(pcm, *, stall_at=None, stall_s=0.2):
    """Speech as frames that arrive in time, but for those from `stall_at` on."""
    encoded = encode(pcm, VOICE_HZ)
    packets = [
        ReceivedPacket(
            number * 0.02 + (stall_s if stall_at is not None and number >= stall_at else 0),
            number,
            number * 960,
            payload,
        )
        for number, payload in enumerate(encoded.frames)
    ]
    return decode(packets)


def test_a_reply_that_came_whole_has_no_hole():
    found = words_heard(received(speak(REPLY, VOICE_HZ).pcm), REPLY, after_s=-1)
    assert found == WordsHeard((), (), ())


def test_a_pause_between_sentences_is_no_hole_and_one_between_words_is():
    first, second = (speak(text, VOICE_HZ).pcm for text in ("Sure, the moon goes around the earth.", "It has no air."))
    pause = np.zeros(VOICE_HZ // 4, np.int16)
    assert words_heard(received(np.concatenate([first, pause, second])), REPLY, after_s=-1) == WordsHeard((), (), ())
    broken = speak(REPLY, VOICE_HZ)
    cut = broken.words[2].to_sample + VOICE_HZ // 25
    sound = np.concatenate([broken.pcm[:cut], pause, broken.pcm[cut:]])
    found = words_heard(received(sound), REPLY, after_s=-1)
    assert (found.lost, found.doubled) == ((), ())
    assert found.holes_ms == (pytest.approx(250, abs=20),)


def test_packets_that_come_late_and_words_that_do_not_come_are_told():
    speech = speak(REPLY, VOICE_HZ)
    between = (speech.words[2].to_sample + VOICE_HZ // 25) // 480 + 1
    assert len(words_heard(received(speech.pcm, stall_at=between), REPLY, after_s=-1).holes_ms) == 1
    short = speech.pcm[: speech.words[-2].to_sample]
    assert words_heard(received(short), REPLY, after_s=-1).lost == ("air",)


def a_turn(heard_ms, told_ms=None):
    latency = None
    if told_ms is not None:
        latency = Latency(1, told_ms, {"endpointing": 200.0, "model": told_ms - 200}, {"model": 30.0})
    return TurnReport(heard_ms, heard_ms is None, False, [], None, "yes", "no", latency)


def a_run(system, turns, speculation=None, errors=()):
    barge_ins = [Interruption(1.0, 1.2, True), Interruption(1.0, 1.3, True), Interruption(1.0, 5.0, False)]
    session = SessionReport(Setup(), turns, barge_ins, 0, 0, 0, 60.0)
    replies = (WordsHeard((), (), ()), WordsHeard(("moon",), (), (80.0,)))
    return LatencyRun(system, session, replies, 14, 10, errors, speculation or Speculation())


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
    assert (found["holes"], found["words_lost"], found["words_doubled"]) == (1, 1, 0)
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
        exchanges, barge_ins = await converse(caller, Plan([speech], [""], [speech], speech), lines.append)
    assert (len(exchanges), len(barge_ins)) == (1, 1)
    assert len(lines) == 2


async def test_a_system_that_is_not_there_is_told_in_words(monkeypatch):
    monkeypatch.setattr("natter_bench.pipecat_system.pipecat_python", lambda: None)
    with pytest.raises(CallError, match="not installed"):
        await run_system("pipecat", Plan([], [], [], encode_nothing()), lambda _line: None)


def encode_nothing():
    return encode(np.zeros(320, np.int16), 16_000)
