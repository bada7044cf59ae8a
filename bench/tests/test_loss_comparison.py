from natter_bench.caller import Setup
from natter_bench.loss_comparison import CLEAN, RANDOM, SINGLE, LossOptions, LossReport, compare_losses, loss_text
from natter_bench.report import SessionReport, TurnReport
from natter_bench.speech import Speech, encode
from natter_bench.transcript import Latency


def turn(ms, model_ms=0.0):
    latency = Latency(1, ms, {"endpointing": ms - model_ms, "model": model_ms})
    return TurnReport(ms, ms is None, False, [], None, "", "", latency)


def session(*turns):
    return SessionReport(Setup(), list(turns), [], 0, 0, 0, 1.0)


def test_differences_are_those_of_the_same_question():
    report = LossReport(
        {
            CLEAN: session(turn(700, 100), turn(900, 300), turn(1000, 300)),
            RANDOM: session(turn(750, 130), turn(700, 80), turn(1020, 300)),
        }
    )
    assert report.p50_ms(RANDOM) == 750
    assert report.p50_difference_ms(RANDOM) == -150
    assert report.paired_difference_ms(RANDOM) == 20
    # What the model took differs by chance; without it each turn took 20 ms longer.
    assert report.transport_difference_ms(RANDOM) == 20


def test_turns_without_figures_are_left_out():
    missed = TurnReport(None, True, False, [], None, "", "", None)
    report = LossReport({CLEAN: session(turn(700), missed), SINGLE: session(missed, turn(700))})
    assert report.paired_difference_ms(SINGLE) is None
    assert "missed turns 1 of 2" in loss_text(report)


async def test_three_calls_ask_in_turn_and_lose_what_they_should(serve_bot, voice_like, monkeypatch):
    made = Speech("x", voice_like(0.5, 24_000), 24_000)
    monkeypatch.setattr("natter_bench.loss_comparison.question", lambda number, voice=None: made)
    monkeypatch.setattr("natter_bench.conversation.GREETING_WITHIN_S", 0.1)
    async with serve_bot(reply=encode(voice_like(0.3, 24_000), 24_000)) as bot:
        report = await compare_losses(LossOptions(bot.url, turns=2, fraction=0.1, packet=10))
    assert [len(run.turns) for run in report.runs.values()] == [2, 2, 2]
    assert (report.runs[CLEAN].dropped_outgoing, report.runs[CLEAN].dropped_incoming) == (0, 0)
    assert report.runs[RANDOM].dropped_outgoing > 1
    assert (report.runs[SINGLE].dropped_outgoing, report.runs[SINGLE].dropped_incoming) == (1, 1)
    assert report.paired_difference_ms(SINGLE) is not None
