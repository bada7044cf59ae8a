"""The soak's report for a terminal, and as JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from natter_bench.measure import p50, p95
from natter_bench.turns_growth import Trend

if TYPE_CHECKING:
    from natter_bench.chaos.soak import SoakReport


def soak_text(report: SoakReport) -> str:
    """For the terminal."""
    waits_ms = report.waits_ms
    waits = f"p50 {_ms(p50(waits_ms))}, p95 {_ms(p95(waits_ms))}, max {_ms(max(waits_ms, default=None))}"
    lines = [
        f"{report.turns} turns in {report.calls} calls, {report.kills} kills, {report.spared} left out without a spare",
        f"  missed turns       {report.missed}",
        f"  caller's words     lost {report.lost}, doubled {report.doubled}",
        f"  words of replies   lost {report.reply_lost}, doubled {report.reply_doubled}",
        f"  calls that failed  {len(report.failed)}",
        f"  voice to voice     {waits}",
        f"  longest hole       {report.hole_ms:.0f} ms",
        *([f"  rolling restarts   {report.rolls} {report.roll_failed}".rstrip()] if report.rolled else []),
        *(f"  {words}" for words in report.wrong),
        *(f"  call failed: {words}" for words in report.failed),
        *(f"  error told: {words}" for words in dict.fromkeys(report.errors)),
    ]
    if report.late_frames:
        lines.append(f"  the callers sent {report.late_frames} frames late: this machine was too busy")
    if not report.trends:
        lines.append("  too short to tell what grows")
        return "\n".join(lines) + "\n"
    lines.append(f"  {'':<10} {'':<14} {'first':>9} {'last':>9}   per hour, second half")
    lines += [
        f"  {trend.process:<10} {trend.what:<14} {trend.first:9.1f} {trend.last:9.1f}   "
        f"{per_hour(trend, report):+.1f}{'  GREW' if trend.grew else ''}"
        for trend in report.trends
    ]
    lines.append("  nothing grows" if not report.grew else f"  {len(report.grew)} grew")
    return "\n".join(lines) + "\n"


def soak_json(report: SoakReport) -> dict[str, Any]:
    """For programs."""
    content = dataclasses.asdict(report)
    content["trends"] = [{**dataclasses.asdict(trend), "per_hour": per_hour(trend, report)} for trend in report.trends]
    return {**content, "met": report.met}


def per_hour(trend: Trend, report: SoakReport) -> float:
    """The trend's slope, which is that of 100 turns, at the run's pace."""
    return trend.slope * report.turns_per_hour / 100


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
