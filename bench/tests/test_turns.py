import pytest

from natter_bench.signalling import http_client
from natter_bench.speech import encode
from natter_bench.talker import Talk, Talker
from natter_bench.turns import TurnsOptions, TurnsReport, sections, turns_text
from natter_bench.turns_growth import Sample, trends

TURNS = [50 * number for number in range(1, 21)]


def trend_of(what: str, values: list[float]):
    (trend,) = trends([Sample(turns, {"gateway": {what: value}}) for turns, value in zip(TURNS, values, strict=True)])
    return trend


def test_memory_that_comes_to_rest_does_not_grow():
    trend = trend_of("memory_mb", [100 + min(turns, 400) / 20 + turns % 3 for turns in TURNS])
    assert not trend.grew
    assert abs(trend.slope) < 0.5


def test_memory_that_grows_by_the_turn():
    trend = trend_of("memory_mb", [100 + 0.03 * turns + turns % 3 for turns in TURNS])
    assert trend.grew
    assert trend.slope == pytest.approx(3.0, abs=0.5)


def test_memory_that_swings_is_not_taken_for_growth():
    assert not trend_of("memory_mb", [100 + 20 * (number % 2) for number in range(20)]).grew


@pytest.mark.parametrize(
    ("values", "grew"),
    [
        ([20.0] * 20, False),
        ([20.0 + turns // 100 for turns in TURNS], True),
        ([20.0 + (number % 2) for number in range(20)], False),
        ([20.0] * 5 + [21.0] * 15, False),
        ([20.0] * 19 + [30.0], False),
    ],
)
def test_tasks_that_never_get_back_to_their_most_grow(values, grew):
    assert trend_of("tasks", values).grew is grew


def test_few_samples_tell_no_trend():
    with pytest.raises(ValueError, match="8 are needed"):
        trends([Sample(1, {})])


def test_a_process_that_came_later_has_no_trend():
    samples = [
        Sample(turns, {"gateway": {"tasks": 1}, **({"stt": {"tasks": 1}} if turns > 50 else {})}) for turns in TURNS
    ]
    assert {trend.process for trend in trends(samples)} == {"gateway"}


def test_sections_name_scripts_where_the_emulators_look_for_them():
    assert sections(TurnsOptions(stt="local")) == {
        "stt": {"provider": "local"},
        "llm": {"provider": "openai", "model": "turns"},
        "tts": {"provider": "elevenlabs", "voice": "turns"},
    }


def test_what_grew_is_told():
    grown = trend_of("tasks", [20.0 + turns // 100 for turns in TURNS])
    report = TurnsReport(1_000, 30, 1, 19, 60.0, ("x", "x"), (grown,))
    text = turns_text(report)
    assert "GREW" in text
    assert text.count("error told: x") == 1
    assert report.too_many_missed


async def test_a_talker_asks_across_sessions_and_connections(serve_bot, voice_like):
    speech = encode(voice_like(0.5, 16_000), 16_000)
    async with serve_bot(reply=encode(voice_like(0.4, 24_000), 24_000)) as bot, http_client() as http:
        talker = Talker(bot.url, Talk("x", speech, session_turns=3, reconnect_every=2), http)
        asked = [number async for number in talker.turns(4)]
    assert asked == [1, 2, 3, 4]
    assert (talker.sessions, talker.reconnects, talker.missed) == (2, 1, 0)
    assert [offer["restart_pc"] for offer in bot.offers] == [False, True, False]
