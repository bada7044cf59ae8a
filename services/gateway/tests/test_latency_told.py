"""What page, histogram and log are told of an answered turn."""

import json
from typing import Any

import pytest
import structlog

from natter_common.metrics import Metrics
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.turn_latency import Accepted, TurnLatencyMeter
from natter_gateway.latency import AttemptMarks, Mark


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("gateway")


@pytest.fixture
def meter(told: list[dict[str, Any]], metrics: Metrics) -> TurnLatencyMeter:
    return TurnLatencyMeter(Page(lambda text: told.append(json.loads(text))), metrics, structlog.get_logger())


def test_an_adopted_guess_is_told_with_what_it_hid(
    meter: TurnLatencyMeter, told: list[dict[str, Any]], metrics: Metrics
) -> None:
    guess = AttemptMarks()
    guess.began(Mark.MODEL, 1_100)
    guess.mark(Mark.MODEL, 1_350)
    meter.begin(Accepted(3, 1_000, 1_200, asked_at_ms=1_080, final_at_ms=1_205), 1_206, guess)
    meter.mark(Mark.TEXT, 1_360)
    meter.mark(Mark.VOICE, 1_480)
    meter.audible(1_500)
    assert not meter.waiting
    latency = told[0]["data"]["natter"]["latency"]
    assert latency["total_ms"] == 500
    assert [(part["name"], part["ms"], part["hidden_ms"]) for part in latency["contributions"]] == [
        ("endpointing", 200, 0),
        ("transcription", 5, 120),
        ("model", 145, 105),
        ("text", 10, 0),
        ("voice", 120, 0),
        ("playout", 20, 0),
    ]
    labels = {"stage": "gateway", "provider": "turn", "work": "model_hidden"}
    assert metrics.registry.get_sample_value("natter_stage_latency_seconds_sum", labels) == pytest.approx(0.105)


def test_a_turn_without_an_audible_answer_is_forgotten(meter: TurnLatencyMeter, told: list[dict[str, Any]]) -> None:
    meter.begin(Accepted(1, 0, 200, asked_at_ms=100, final_at_ms=0), 200, AttemptMarks())
    meter.forget()
    meter.began(Mark.MODEL, 210)
    meter.audible(500)
    assert told == []
