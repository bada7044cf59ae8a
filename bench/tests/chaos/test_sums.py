"""Rows, the limits that they miss, and how they are printed; when the soak kills."""

import pytest

from natter_bench.chaos.judge import Judgement
from natter_bench.chaos.plan import STAGES, ChaosOptions, Series, kills
from natter_bench.chaos.sums import Run, row_of
from natter_bench.chaos.table import chaos_json, chaos_text, run_line

KILLED = Series("stt", "KILL")


def run(judgement: Judgement | None = None, failed: str = "") -> Run:
    return Run(200, "stt-2", "caller speaks", failed, judgement)


def test_all_is_well() -> None:
    row = row_of(KILLED, [run(Judgement(added_ms=ms)) for ms in (100.0, 300.0, 1400.0)])
    assert (row.added_p50_ms, row.added_max_ms, row.misses) == (300, 1400, ())
    assert "met" in chaos_text([row])


@pytest.mark.parametrize(
    ("judgement", "words"),
    [
        (Judgement(lost=("a", "b")), "2 words lost"),
        (Judgement(doubled=("a",)), "1 words doubled"),
        (Judgement(reply_lost=("a",)), "1 reply words lost"),
        (Judgement(reply_doubled=("a",)), "1 reply words doubled"),
        (Judgement(missed=1), "1 turns missed"),
        (Judgement(added_ms=None), "1 voices never came"),
        (Judgement(added_ms=1600.0), "added silence max 1600 ms (limit 1500)"),
        (Judgement(worse=0.031), "word error rate 3.1 points over the usual (limit 2)"),
    ],
)
def test_limits(judgement: Judgement, words: str) -> None:
    row = row_of(KILLED, [run(Judgement()), run(Judgement()), run(judgement)])
    assert words in row.misses
    assert f"MISSED: {words}" in chaos_text([row])


def test_the_median_has_a_limit_where_a_worker_is_killed() -> None:
    runs = [run(Judgement(added_ms=800.0))]
    assert row_of(KILLED, runs).misses == ("added silence p50 800 ms (limit 700)",)
    assert row_of(Series("stt", "STOP"), runs).misses == ()
    assert row_of(Series("nats", "KILL"), runs).misses == ()


def test_a_dead_node_of_the_broker_may_not_be_heard() -> None:
    runs = [run(Judgement(added_ms=130.0, hole_ms=130.0))]
    assert row_of(Series("nats", "KILL"), runs).misses == ("hole 130 ms (limit 100)",)
    assert row_of(Series("nats", "STOP"), runs).misses == ()


@pytest.mark.parametrize(
    ("stage", "signal", "limit"),
    [("nats", "KILL", 1000), ("nats", "STOP", 2000), ("nats", "TERM", 1000), ("llm", "STOP", 2000)]
    + [(stage, "TERM", 1500) for stage in STAGES],
)
def test_an_answer_may_not_come_much_later(stage: str, signal: str, limit: int) -> None:
    series = Series(stage, signal)
    assert row_of(series, [run(Judgement(added_ms=limit - 100.0))]).misses == ()
    late = row_of(series, [run(Judgement(added_ms=limit + 100.0))])
    assert late.misses == (f"added silence max {limit + 100} ms (limit {limit})",)


def test_a_drain_may_not_be_heard() -> None:
    runs = [run(Judgement(added_ms=800.0, hole_ms=130.0))]
    assert row_of(Series("tts", "TERM"), runs).misses == ("hole 130 ms (limit 100)",)


def test_a_call_that_failed() -> None:
    row = row_of(KILLED, [run(failed="no WebRTC connection within 15 s")])
    assert row.misses == ("1 runs failed",)
    assert "no WebRTC connection" in run_line(run(failed="no WebRTC connection within 15 s"))
    assert row_of(KILLED, []).misses == ("nothing was run",)


def test_json_has_every_run() -> None:
    runs = [run(Judgement(lost=("a",)))]
    content = chaos_json([row_of(KILLED, runs)], [runs])
    assert content["met"] is False
    assert content["series"][0]["runs"][0]["judgement"]["lost"] == ("a",)


def test_a_line_a_run() -> None:
    line = run_line(run(Judgement(lost=("moon",), added_ms=412.0, missed=1, errors=("Sorry.",))))
    assert all(
        words in line for words in ("200 ms", "stt-2", "BAD", "added +412 ms", "lost: moon", "missed 1", "Sorry.")
    )
    assert "BAD" not in run_line(run(Judgement()))


def test_what_is_run() -> None:
    options = ChaosOptions(stages=("llm", "tts"), signals=("TERM",), offsets=3, every_ms=200, first_ms=100)
    assert [one.name for one in options.series()] == ["llm-TERM", "tts-TERM"]
    assert options.offsets_ms() == [100, 300, 500]


def test_the_same_seed_kills_the_same() -> None:
    todo = kills(7, 100.0, 20.0, ("stt", "tts"))
    assert [kill.at_s for kill in todo] == [20, 40, 60, 80]
    assert todo == kills(7, 100.0, 20.0, ("stt", "tts"))
    assert todo != kills(8, 100.0, 20.0, ("stt", "tts"))
    assert all(0 <= kill.pick < 1 for kill in todo)
    assert kills(7, 100.0, 0.0, ("stt",)) == []
