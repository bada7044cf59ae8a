"""The latency bench's report for a terminal: a table of the systems, and what the gateway says of its own time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from natter_bench.latency import AGREES_MS, LatencyReport, agreement, contribution_summaries, difference_ms, figures
from natter_bench.report import TurnReport, late_lines
from natter_bench.speculation import Speculation

if TYPE_CHECKING:
    from natter_bench.latency_systems import LatencyRun

_ROWS: Final = (
    ("voice-to-voice p50", "voice_to_voice_p50_ms", "ms"),
    ("voice-to-voice p95", "voice_to_voice_p95_ms", "ms"),
    ("voice-to-voice max", "voice_to_voice_max_ms", "ms"),
    ("time to silence p50", "time_to_silence_p50_ms", "ms"),
    ("time to silence p95", "time_to_silence_p95_ms", "ms"),
    ("missed turns", "missed_turns", ""),
    ("spoke too early", "talked_over", ""),
    ("holes", "holes", ""),
    ("words lost", "words_lost", ""),
    ("words doubled", "words_doubled", ""),
    ("not silenced", "not_silenced", ""),
    ("generations a turn", "generations_per_turn", "x"),
)


def latency_text(report: LatencyReport, *, verbose: bool = False) -> str:
    """The systems side by side, and the first one's figures as shares of the second's."""
    runs = report.runs
    heads = [run.system for run in runs]
    lines = [f"{'':<22}" + "".join(f"{head:>12}" for head in [*heads, *(["ratio"] if len(runs) == 2 else [])])]
    values = [figures(run) for run in runs]
    for title, name, unit in _ROWS:
        cells = [_cell(one[name], unit) for one in values]
        if len(runs) == 2:
            cells.append(_ratio(values[0][name], values[1][name]) if unit == "ms" else "")
        lines.append(f"{title:<22}" + "".join(f"{cell:>12}" for cell in cells).rstrip())
    lines.append(f"{'turns, interruptions':<22}" + "".join(f"{_count(run):>12}" for run in runs))
    for run in runs:
        lines += _own_figures(run)
        lines += [f"{run.system} told of trouble: {words}" for words in run.errors]
        lines += [f"{run.system}: {line}" for line in late_lines([run.session])]
    if verbose:
        for run in runs:
            lines += ["", f"{run.system}, turn by turn"]
            lines += [_turn_line(number, one) for number, one in enumerate(run.session.turns, 1)]
            lines += [
                f"  reply {number:2d}  holes of {', '.join(_cell(ms, 'ms') for ms in one.holes_ms) or '-'}; "
                f"lost: {' '.join(one.lost) or '-'}; doubled: {' '.join(one.doubled) or '-'}"
                for number, one in enumerate(run.replies, 1)
                if one.holes_ms or one.lost or one.doubled
            ]
            lines += [
                f"  interruption {number:2d}  silent after {_cell(one.time_to_silence_ms, 'ms')}"
                for number, one in enumerate(run.session.barge_ins, 1)
            ]
    return "\n".join(lines) + "\n"


def _own_figures(run: LatencyRun) -> list[str]:
    """What the gateway says: nothing, where it says nothing."""
    parts = contribution_summaries(run.session.turns)
    if not parts:
        return []
    lines = ["", f"{run.system}'s gateway says{'':<5}       p50         p95  hidden p50"]
    for name, (part, hidden_ms) in parts.items():
        lines.append(f"  {name:<20}{_cell(part.p50, 'ms'):>12}{_cell(part.p95, 'ms'):>12}{_cell(hidden_ms, 'ms'):>12}")
    agreed = agreement(run.session.turns)
    share = "-" if agreed.share is None else f"{agreed.share:.0%}"
    lines.append(
        f"  within {AGREES_MS:.0f} ms of the caller's figure: {share} of {agreed.turns} turns "
        f"(median {_signed(agreed.median_ms)}, furthest {_signed(agreed.largest_ms)})"
    )
    return [*lines, *_waste(run.speculation)]


def _waste(told: Speculation) -> list[str]:
    share = "-" if told.wasted_share is None else f"{told.wasted_share:.0%}"
    return [
        f"  asked of the model: {_cell(told.committed)} for turns that were over, {_cell(told.speculative)} guesses; "
        f"{_cell(told.used)} guesses played, {_cell(told.wasted)} dropped ({share} of all)",
        f"  dropped with them: {_cell(told.wasted_tokens)} tokens, {_cell(told.wasted_characters)} characters, "
        f"{_cell(told.wasted_voice_s, 's')} of voice",
    ]


def _turn_line(number: int, one: TurnReport) -> str:
    heard = "missed" if one.missed else "spoke too early" if one.talked_over else _cell(one.voice_to_voice_ms, "ms")
    line = f"  {number:2d} {heard:>8}"
    if one.latency is not None:
        parts = " ".join(
            f"{name} {ms:.0f}" + (f"(+{one.latency.hidden_ms[name]:.0f})" if one.latency.hidden_ms.get(name) else "")
            for name, ms in one.latency.contributions.items()
        )
        line += f"  gateway {one.latency.total_ms:.0f} ({_signed(difference_ms(one))}): {parts}"
    return f"{line}  “{one.user_text}”"


def _count(run: LatencyRun) -> str:
    return f"{len(run.session.turns)}, {len(run.session.barge_ins)}"


def _cell(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    if unit == "x":
        return f"{value:.2f}"
    if unit == "s":
        return f"{value:.1f} s"
    return f"{value:.0f}{' ' + unit if unit else ''}"


def _ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else "-"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.0f} ms"
