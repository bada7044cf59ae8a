"""`natter-bench latency`: how fast a system answers and falls silent, on emulated services with set delays.

The delays are those of good vendors: interims trail the audio by 100 ms, the final comes 100 ms after it was asked for
and differs from the last interim in one utterance of five, the model's first token takes 250 ms (then 60 a second), the
first audio 120 ms. Together they are 470 ms before any endpointing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

from natter_bench.latency_script import LONG_UTTERANCES, UTTERANCES
from natter_bench.measure import p50
from natter_bench.report import Summary, TurnReport, summary, time_to_silence, voice_to_voice

if TYPE_CHECKING:
    from natter_bench.latency_call import Say
    from natter_bench.latency_systems import LatencyRun

AGREES_MS: Final = 40.0
"""By so much the gateway's own figure may differ from the caller's."""


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """What to run. `only` one system, or (None) Natter, and Pipecat where it is installed."""

    utterances: int = 24
    barge_ins: int = 8
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The gateway's own figure of a turn less the caller's."""

    turns: int
    within: int
    """Of them that differ by 40 ms at most."""
    median_ms: float | None
    largest_ms: float | None
    """The furthest from 0."""

    @property
    def share(self) -> float | None:
        """None: the gateway told no latency."""
        return self.within / self.turns if self.turns else None


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """One run for each system."""

    runs: Sequence[LatencyRun]


async def run_latency(options: LatencyOptions, say: Say) -> LatencyReport:
    """Call the systems one after the other, with the same words. Raises CallError."""
    from natter_bench import latency_systems as systems  # starts with the emulators, which a mere client does not have

    names = [options.only] if options.only else [systems.NATTER, *([systems.PIPECAT] if systems.has_pipecat() else [])]
    # More than there are begin anew. The same words for every system.
    heard_out = list(islice(cycle(UTTERANCES), options.utterances))
    interrupted = list(islice(cycle(LONG_UTTERANCES), options.barge_ins))
    talk = systems.plan(heard_out, interrupted)
    return LatencyReport([await systems.run_system(name, talk, say) for name in names])


def difference_ms(turn: TurnReport) -> float | None:
    """The gateway's figure less the caller's; None where one of them is missing."""
    if turn.latency is None or turn.voice_to_voice_ms is None:
        return None
    return turn.latency.total_ms - turn.voice_to_voice_ms


def agreement(turns: Sequence[TurnReport]) -> Agreement:
    """Of the turns for which the gateway told a latency and the caller has one."""
    found = [ms for one in turns if (ms := difference_ms(one)) is not None]
    return Agreement(
        len(found),
        sum(abs(ms) <= AGREES_MS for ms in found),
        p50(found),
        max(found, key=abs, default=None),
    )


def contribution_summaries(turns: Sequence[TurnReport]) -> dict[str, tuple[Summary, float | None]]:
    """By name: what each contributed, and the median of what it took beyond that, hidden by other work."""
    values: dict[str, list[float]] = {}
    hidden: dict[str, list[float]] = {}
    for one in turns:
        if one.latency is None:
            continue
        for name, ms in one.latency.contributions.items():
            values.setdefault(name, []).append(ms)
        for name, ms in one.latency.hidden_ms.items():
            hidden.setdefault(name, []).append(ms)
    return {name: (summary(ms), p50(hidden.get(name, []))) for name, ms in values.items()}


def figures(run: LatencyRun) -> dict[str, float | None]:
    """The figures in which systems are compared; None where there is none."""
    session = run.session
    heard, silenced = voice_to_voice([session]), time_to_silence([session])
    return {
        "voice_to_voice_p50_ms": heard.p50,
        "voice_to_voice_p95_ms": heard.p95,
        "voice_to_voice_max_ms": max(
            (one.voice_to_voice_ms for one in session.turns if one.voice_to_voice_ms is not None), default=None
        ),
        "time_to_silence_p50_ms": silenced.p50,
        "time_to_silence_p95_ms": silenced.p95,
        "missed_turns": float(session.missed_turns),
        "talked_over": float(session.talked_over),
        "holes": float(sum(len(one.holes_ms) for one in run.replies)),
        "words_lost": float(sum(len(one.lost) for one in run.replies)),
        "words_doubled": float(sum(len(one.doubled) for one in run.replies)),
        "not_silenced": float(sum(not one.silenced for one in session.barge_ins)),
        "generations_per_turn": run.generations / run.turns if run.turns else None,
    }


def latency_json(report: LatencyReport) -> dict[str, Any]:
    """All that was measured, and what it comes to."""
    return {
        run.system: {
            **figures(run),
            "agreement": dataclasses.asdict(agreement(run.session.turns)),
            **dataclasses.asdict(run),
        }
        for run in report.runs
    }
