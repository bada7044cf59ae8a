"""What is printed of a soak, and when it is good."""

from natter_bench.chaos.soak import SoakReport
from natter_bench.chaos.soak_text import soak_json, soak_text
from natter_bench.turns_growth import Trend


def test_a_good_run() -> None:
    report = SoakReport(calls=80, turns=640, kills=89, waits_ms=[700.0, 900.0], turns_per_hour=1280.0)
    report.trends = [Trend("gateway", "memory_mb", 100.0, 101.0, 0.05, grew=False)]
    assert report.met
    text = soak_text(report)
    assert "640 turns in 80 calls, 89 kills" in text
    assert "+0.6" in text
    assert "nothing grows" in text
    assert soak_json(report)["trends"][0]["per_hour"] == 0.64


def test_a_bad_run() -> None:
    report = SoakReport(missed=1, failed=["no WebRTC connection"], wrong=["caller's words, lost: moon; doubled: -"])
    report.trends = [Trend("stt-2", "tasks", 10.0, 20.0, 1.0, grew=True)]
    assert not report.met
    text = soak_text(report)
    assert all(words in text for words in ("call failed: no WebRTC", "lost: moon", "GREW", "1 grew"))


def test_a_short_run() -> None:
    assert "too short to tell what grows" in soak_text(SoakReport())
