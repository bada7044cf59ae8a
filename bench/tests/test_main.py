import json

import pytest

from natter_bench.call import CallOptions, run_call
from natter_bench.load import LoadOptions, load_text, run_load
from natter_bench.main import main
from natter_bench.report import call_text
from natter_bench.resources import Service
from natter_bench.speech import Speech, encode


@pytest.fixture(autouse=True)
def short_speech(monkeypatch, voice_like):
    """Half-second questions instead of sentences: the test is about the run, not the voice."""
    made = Speech("x", voice_like(0.5, 24_000), 24_000)
    monkeypatch.setattr("natter_bench.call.question", lambda number, voice=None: made)
    monkeypatch.setattr("natter_bench.call.say", lambda text, voice=None: made)
    monkeypatch.setattr("natter_bench.loss_comparison.question", lambda number, voice=None: made)
    monkeypatch.setattr("natter_bench.load.question", lambda number, voice=None: made)
    monkeypatch.setattr("natter_bench.conversation.GREETING_WITHIN_S", 0.1)


def test_nothing_there(unused_address, capsys):
    assert main(["call", "--url", unused_address]) == 2
    assert f"nothing answers at {unused_address}" in capsys.readouterr().err
    assert main(["load", "--url", unused_address, "--sessions", "2"]) == 2
    assert "nothing answers" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--loss", "2"], ["--turns", "0"], ["--loss", "0.1", "--lose-packet", "3"]])
def test_wrong_arguments(wrong, capsys):
    with pytest.raises(SystemExit) as left:
        main(["call", *wrong])
    assert left.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["call", "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("--turns", "--loss", "--lose-packet", "--services-file", "--json"))


async def test_a_call_prints_its_figures(serve_bot, voice_like):
    async with serve_bot(reply=encode(voice_like(1.5, 24_000), 24_000)) as bot:
        report = await run_call(CallOptions(bot.url, turns=1, barge_ins=2), [Service("gateway", bot.url)])
    text = call_text(report.session, report.services, interrupted=True)
    for words in ("setup", "voice-to-voice", "endpointing", "missed turns     0 of 1", "2 interruptions", "150 MB"):
        assert words in text
    assert all(one.silenced for one in report.session.barge_ins)


async def test_a_load_prints_what_a_session_costs(serve_bot):
    async with serve_bot() as bot:
        options = LoadOptions(bot.url, sessions=2, seconds=0.5, apart_s=0.05)
        report = await run_load(options, [Service("gateway", bot.url)])
    text = load_text(report)
    assert "2 in conversation" in text
    assert "% of a core" in text
    assert report.failures == []
    assert report.caller.cpu_s_per_session_s > 0


async def test_a_refused_call_does_not_end_the_load(serve_bot):
    async with serve_bot(capacity=1) as bot:
        report = await run_load(LoadOptions(bot.url, sessions=2, seconds=0.3, apart_s=0.3), [])
    assert len(report.sessions) == 1
    assert report.failures == ["HTTP 503: no capacity"]
    assert "1 failed" in load_text(report)


def test_json_of_a_report_is_json(monkeypatch, capsys, voice_like):
    from natter_bench.call import CallReport
    from natter_bench.caller import Setup
    from natter_bench.measure import Interruption
    from natter_bench.report import SessionReport, TurnReport

    turn = TurnReport(700.0, False, False, [], None, "q", "a", None)
    session = SessionReport(Setup(), [turn], [Interruption(1.0, 1.2, True)], 0, 0, 0, 1.0)
    monkeypatch.setattr("natter_bench.main._run", lambda work: (work.close(), CallReport(session, {}))[1])
    assert main(["call", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["voice_to_voice_ms"]["p50"] == 700
    assert printed["time_to_silence_ms"]["p50"] == pytest.approx(200)
