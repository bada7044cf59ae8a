"""A headless caller and the built-in models: ten turns in a row, and the same over networks that lose packets."""

import asyncio
from typing import Any

import pytest

from natter_bench.loss_comparison import CLEAN, RANDOM, SINGLE, LossOptions, LossReport, compare_losses, loss_text
from natter_bench.report import SessionReport
from natter_bench.speech import QUESTIONS
from natter_bench.words import word_error_rate

TURNS = 10
WITHIN_MS = 30.0
"""What a loss may cost a turn, of the time that is not the model's and the voice's own."""

NETWORKS = [CLEAN, RANDOM, SINGLE]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def report(natter: Any) -> LossReport:
    """Three calls of ten turns, interleaved."""
    options = LossOptions(natter.url, bot="steady", turns=TURNS, nats_url=natter.services["nats"]["url"])
    found = asyncio.run(compare_losses(options))
    print(loss_text(found))  # noqa: T201 - shown by pytest when a test fails
    return found


@pytest.fixture(params=NETWORKS)
def call(request: pytest.FixtureRequest, report: LossReport) -> SessionReport:
    return report.runs[request.param]


def test_no_turn_is_missed(call: SessionReport) -> None:
    assert [one.missed for one in call.turns] == [False] * TURNS
    assert call.talked_over == 0


def test_no_hole_is_heard(call: SessionReport) -> None:
    assert all(one.voice is not None and one.voice.segments > 0 for one in call.turns)
    assert [one.voice for one in call.turns if one.voice is not None and one.voice.holes] == []
    assert call.incomplete_segments == 0


def test_the_caller_is_understood(call: SessionReport) -> None:
    rates = [word_error_rate(asked, one.user_text) for asked, one in zip(QUESTIONS, call.turns, strict=True)]
    assert sum(rates) / len(rates) <= 0.15


def test_contributions_add_up(call: SessionReport) -> None:
    for one in call.turns:
        assert one.latency is not None
        assert sum(one.latency.contributions.values()) == pytest.approx(one.latency.total_ms, abs=1)
        # The gateway's clock starts at its last window of speech, which may end later than the caller's last sound.
        assert one.voice_to_voice_ms is not None
        assert one.latency.total_ms < one.voice_to_voice_ms + WITHIN_MS


@pytest.mark.parametrize("network", [RANDOM, SINGLE])
def test_a_loss_costs_no_time(report: LossReport, network: str) -> None:
    lost = report.runs[network]
    assert lost.dropped_outgoing > 0
    assert lost.dropped_incoming > 0
    difference_ms = report.transport_difference_ms(network)
    assert difference_ms is not None
    assert difference_ms <= WITHIN_MS


def test_nobody_logs_what_was_said(report: LossReport, tmp_path_factory: pytest.TempPathFactory) -> None:
    logs = "".join(path.read_text() for path in tmp_path_factory.getbasetemp().glob("natter*/natter.log")).lower()
    assert "turn answered" in logs
    turns = [one for call in report.runs.values() for one in call.turns]
    # A missed turn has no text; that it was missed is another test's business.
    said = [text.lower() for one in turns for text in (one.user_text, one.bot_text) if text]
    assert len(said) > len(turns)
    assert [text for text in said if text in logs] == []
