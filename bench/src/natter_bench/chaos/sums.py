"""The rows of the chaos table, each with the limits that it misses. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from natter_bench.chaos.judge import MOST_WORSE, Judgement
from natter_bench.chaos.plan import Series
from natter_bench.measure import p50, p95


@dataclass(frozen=True, slots=True)
class Run:
    """One call with a kill in it.

    Attributes:
        phase: what was going on when it fell: the caller speaking, the pause before the answer, the bot speaking.
        failed: why there was no call, or what did not come back after it; empty when all went its way.
        judgement: None where there was no call.
    """

    offset_ms: int
    victim: str
    phase: str = ""
    failed: str = ""
    judgement: Judgement | None = None
    late_frames: int = 0
    """Frames that the caller itself sent over 10 ms late: its machine was too busy."""

    @property
    def bad(self) -> bool:
        """Whether a word, a turn or the call itself was lost."""
        one = self.judgement
        return bool(self.failed) or one is None or not one.words_whole or one.missed > 0 or one.added_ms is None


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of a series. Words are those of the caller (`lost`, `doubled`) and of the bot (`reply_…`)."""

    series: Series
    runs: int
    failed: int
    lost: int
    doubled: int
    reply_lost: int
    reply_doubled: int
    worse: float | None
    """By how much the word error rate exceeds the usual at most; None on emulators."""
    added_p50_ms: float | None
    added_p95_ms: float | None
    added_max_ms: float | None
    """None: in one of the runs a voice never came."""
    hole_max_ms: float | None
    missed: int
    misses: tuple[str, ...]
    """The limits that are not kept, in words."""


def row_of(series: Series, runs: Sequence[Run]) -> Row:
    """Add up a series, and hold it to its limits."""
    judged = [run.judgement for run in runs if run.judgement is not None]
    added = [one.added_ms for one in judged if one.added_ms is not None]
    never = len(judged) - len(added)
    worse = [one.worse for one in judged if one.worse is not None]
    row = Row(
        series=series,
        runs=len(runs),
        failed=sum(bool(run.failed) for run in runs),
        lost=sum(len(one.lost) for one in judged),
        doubled=sum(len(one.doubled) for one in judged),
        reply_lost=sum(len(one.reply_lost) for one in judged),
        reply_doubled=sum(len(one.reply_doubled) for one in judged),
        worse=max(worse, default=None),
        added_p50_ms=p50(added),
        added_p95_ms=p95(added),
        added_max_ms=None if never else max(added, default=None),
        hole_max_ms=max((one.hole_ms for one in judged), default=None),
        missed=sum(one.missed for one in judged),
        misses=(),
    )
    return dataclasses.replace(row, misses=tuple(_misses(row, never)))


def _misses(row: Row, never: int) -> list[str]:
    limits = row.series.limits
    counts = (
        (row.failed, "runs failed"),
        (row.missed, "turns missed"),
        (never, "voices never came"),
        (row.lost, "words lost"),
        (row.doubled, "words doubled"),
        (row.reply_lost, "reply words lost"),
        (row.reply_doubled, "reply words doubled"),
    )
    found = [f"{count} {words}" for count, words in counts if count]
    if not row.runs:
        found.append("nothing was run")
    if row.worse is not None and row.worse > MOST_WORSE:
        found.append(f"word error rate {row.worse * 100:.1f} points over the usual (limit {MOST_WORSE * 100:.0f})")
    bounds = (
        ("added silence p50", row.added_p50_ms, limits.added_p50_ms),
        ("added silence max", row.added_max_ms, limits.added_max_ms),
        ("hole", row.hole_max_ms, limits.hole_ms),
    )
    found += [
        f"{name} {value:.0f} ms (limit {limit:.0f})"
        for name, value, limit in bounds
        if value is not None and limit is not None and value > limit
    ]
    return found
