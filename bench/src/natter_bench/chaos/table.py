"""The chaos suite as a table for a terminal, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from natter_bench.chaos.sums import Row, Run

_HEADS: Final = ("runs", "words lost", "doubled", "reply lost", "doubled", "p50", "p95", "max", "hole", "missed")


def run_line(run: Run) -> str:
    """One line for whoever waits."""
    parts = [f"{run.offset_ms:5d} ms  {run.phase or '-':<15} {run.victim:<7} {'BAD' if run.bad else 'ok ':<3}"]
    one = run.judgement
    if one is not None:
        added = "never" if one.added_ms is None else f"{one.added_ms:+.0f} ms"
        parts.append(f"added {added}, hole {one.hole_ms:.0f} ms")
        wrong = (
            ("lost", one.lost),
            ("doubled", one.doubled),
            ("reply lost", one.reply_lost),
            ("reply doubled", one.reply_doubled),
            ("told", one.errors),
        )
        parts += [f"{name}: {' '.join(words)}" for name, words in wrong if words]
        parts += [f"missed {one.missed}"] if one.missed else []
        parts += [f"word error rate {one.worse * 100:+.1f} points"] if one.worse is not None else []
    parts += [run.failed] if run.failed else []
    parts += [f"(machine busy: {run.late_frames} late)"] if run.late_frames else []
    return "  ".join(parts)


def chaos_text(rows: Sequence[Row]) -> str:
    """The table, and what is missed."""
    lines = [f"{'':<10}" + "".join(f"{head:>12}" for head in _HEADS)]
    for row in rows:
        cells = (
            str(row.runs),
            str(row.lost) if row.worse is None else f"{row.worse * 100:+.1f} pt",
            str(row.doubled) if row.worse is None else "",
            str(row.reply_lost),
            str(row.reply_doubled),
            _ms(row.added_p50_ms),
            _ms(row.added_p95_ms),
            _ms(row.added_max_ms),
            _ms(row.hole_max_ms),
            str(row.missed),
        )
        lines.append(f"{row.series.name:<10}" + "".join(f"{cell:>12}" for cell in cells).rstrip())
    lines.append("")
    lines += [f"{row.series.name:<10} {'MISSED: ' + '; '.join(row.misses) if row.misses else 'met'}" for row in rows]
    return "\n".join(lines) + "\n"


def chaos_json(rows: Sequence[Row], runs: Sequence[Sequence[Run]]) -> dict[str, Any]:
    """The same for programs, run by run."""
    return {
        "series": [
            {**dataclasses.asdict(row), "runs": [dataclasses.asdict(run) for run in of_row]}
            for row, of_row in zip(rows, runs, strict=True)
        ],
        "met": not any(row.misses for row in rows),
    }


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
