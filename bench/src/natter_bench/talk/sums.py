"""The figures of the whole set, each with its target and whether it is met. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from natter_bench.measure import p50, p95, percentile
from natter_bench.talk.judge import LATENCY_WITHIN_MS, SLOW_MS, Judgement

_MOST_HOLDS_IN_TEN: Final = 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `met` is None where nothing could be told."""

    name: str
    value: str
    target: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Speculation:
    """Generations that were asked for, and what became of guesses; from the gateway's metrics."""

    generations: int
    used: int
    wasted: int


_SAMPLE: Final = re.compile(r"^(natter_(?:attempts|speculations)_total)\{([^}]*)\}\s+(\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def speculation_of(metrics: str) -> Speculation | None:
    """From the Prometheus text format; None where the gateway doesn't count it."""
    counted: dict[tuple[str, str], int] = {}
    for name, labels, value in _SAMPLE.findall(metrics):
        found = dict(_LABEL.findall(labels))
        kind = found.get("kind") or found.get("outcome") or ""
        counted[name, kind] = counted.get((name, kind), 0) + round(float(value))
    generations = sum(count for (name, _), count in counted.items() if name == "natter_attempts_total")
    if not any(name == "natter_attempts_total" for name, _ in counted):
        return None
    used = counted.get(("natter_speculations_total", "used"), 0)
    return Speculation(generations, used, counted.get(("natter_speculations_total", "wasted"), 0))


def figures(judged: Sequence[Judgement], speculation: Speculation | None) -> list[Figure]:
    """All rows, in the order of the kinds. Rows whose kind was not played are left out."""
    rows: list[Figure | None] = [
        _cut_off(judged),
        _answer_p50(judged),
        _slow(judged),
        _early(judged),
        _single_turns(judged),
        _resumed(judged),
        _held(judged, "held after vad's onset", lambda one: one.held_after_onset_ms, "<= 100 ms in 95 %"),
        _held(judged, "held after the sound began", lambda one: one.held_after_sound_ms, ""),
        *_silence(judged, "D", "time to silence"),
        _heard(judged, "heard text as the page was told", lambda one: one.heard_text_right),
        _heard(judged, "heard text as the model was told", lambda one: one.kept_text_right),
        _echo(judged),
        *_silence(judged, "E", "time to silence, with echo"),
        _waste(speculation),
        _agreement(judged),
        _vad_late(judged),
    ]
    return [row for row in rows if row is not None]


def _of(judged: Sequence[Judgement], kinds: str) -> list[Judgement]:
    return [one for one in judged if one.case.kind in kinds and one.ok is not None]


def _cut_off(judged: Sequence[Judgement]) -> Figure | None:
    asked = _of(judged, "AB")
    if not asked:
        return None
    cut = sum(bool(one.cut_off) for one in asked)
    into = [one for one in _of(judged, "DE") if one.cut_off is not None]
    of_into = sum(bool(one.cut_off) for one in into)
    value = _share(cut, len(asked)) + (f"; of interruptions {of_into} of {len(into)}" if into else "")
    return Figure("answered mid-sentence", value, "<= 5 %", cut <= 0.05 * len(asked))


def _answer_p50(judged: Sequence[Judgement]) -> Figure | None:
    times = [one.voice_to_voice_ms for one in _of(judged, "AB") if one.voice_to_voice_ms is not None]
    middle = p50(times)
    if middle is None:
        return None
    value = f"p50 {_ms(times, 50)}, p95 {_ms(times, 95)}, of {len(times)}"
    return Figure("voice to voice", value, "p50 <= 800 ms", middle <= 800)


def _slow(judged: Sequence[Judgement]) -> Figure | None:
    asked = [one for one in _of(judged, "AB") if not one.cut_off]
    if not asked:
        return None
    slow = sum(one.voice_to_voice_ms is None or one.voice_to_voice_ms > SLOW_MS for one in asked)
    return Figure("over 2 s, or never", _share(slow, len(asked)), "<= 10 %", slow <= 0.1 * len(asked))


def _early(judged: Sequence[Judgement]) -> Figure | None:
    asked = _of(judged, "AB")
    if not asked:
        return None
    early = sum(bool(one.decided_early) for one in asked)
    return Figure("decided mid-sentence, heard or not", _share(early, len(asked)), "", None)


def _single_turns(judged: Sequence[Judgement]) -> Figure | None:
    asked = _of(judged, "AB")
    if not asked:
        return None
    return Figure("made one turn", _share(sum(one.turns == 1 for one in asked), len(asked)), "", None)


def _resumed(judged: Sequence[Judgement]) -> Figure | None:
    small = _of(judged, "C")
    if not small:
        return None
    good = sum(bool(one.resumed) for one in small)
    return Figure("went on after a false alarm", f"{good} of {len(small)}", ">= 19 of 20", good >= 0.95 * len(small))


def _held(
    judged: Sequence[Judgement], name: str, value: Callable[[Judgement], float | None], target: str
) -> Figure | None:
    into = _of(judged, "CD") + [one for one in _of(judged, "E") if one.time_to_silence_ms is not None]
    if not into:
        return None
    times = [ms for one in into if (ms := value(one)) is not None]
    high = p95(times)
    text = (
        "-" if high is None else f"p50 {_ms(times, 50)}, p95 {_ms(times, 95)}, {len(times)} holds in {len(into)} cases"
    )
    return Figure(name, text, target, None if high is None or not target else high <= 100)


def _silence(judged: Sequence[Judgement], kind: str, name: str) -> list[Figure]:
    cuts = [one for one in _of(judged, kind) if one.case.interrupts]
    if not cuts:
        return []
    times = [one.time_to_silence_ms for one in cuts if one.time_to_silence_ms is not None]
    middle, high = p50(times), p95(times)
    never = len(cuts) - len(times)
    value = f"p50 {_ms(times, 50)}, p95 {_ms(times, 95)}, of {len(times)}" + (f"; {never} never" if never else "")
    target = "p50 <= 200, p95 <= 300 ms" if kind == "D" else "p95 <= 300 ms"
    met = middle is not None and high is not None and high <= 300 and (kind == "E" or middle <= 200) and not never
    return [Figure(name, value, target, met)]


def _heard(judged: Sequence[Judgement], name: str, right: Callable[[Judgement], bool | None]) -> Figure | None:
    cuts = [one for one in _of(judged, "D") if right(one) is not None]
    if not cuts:
        return None
    good = sum(bool(right(one)) for one in cuts)
    return Figure(name, f"{good} of {len(cuts)} within a word", ">= 38 of 40", good >= 0.95 * len(cuts))


def _echo(judged: Sequence[Judgement]) -> Figure | None:
    alone = [one for one in _of(judged, "E") if not one.case.interrupts]
    if not alone:
        return None
    broken, holds = sum(not one.resumed for one in alone), sum(one.holds for one in alone)
    value = f"{broken} interruptions, {holds} holds in {len(alone)} replies"
    met = not broken and holds <= _MOST_HOLDS_IN_TEN * max(1, len(alone) / 10)
    return Figure("its own voice as echo", value, "none, <= 1 in 10", met)


def _waste(speculation: Speculation | None) -> Figure:
    name, target = "speculation wasted", "<= 35 % of calls"
    if speculation is None or speculation.generations == 0:
        return Figure(name, "-", target, None)
    share = speculation.wasted / speculation.generations
    value = f"{share:.0%}: {speculation.wasted} of {speculation.generations} calls, {speculation.used} guesses used"
    return Figure(name, value, target, share <= 0.35)


def _agreement(judged: Sequence[Judgement]) -> Figure | None:
    apart = [
        abs(one.gateway_ms - one.voice_to_voice_ms)
        for one in _of(judged, "ABD")
        if one.gateway_ms is not None and one.voice_to_voice_ms is not None
    ]
    if not apart:
        return None
    near = sum(ms <= LATENCY_WITHIN_MS for ms in apart)
    value = f"{_share(near, len(apart))} within {LATENCY_WITHIN_MS:.0f} ms, p95 {_ms(apart, 95)}"
    return Figure("gateway's own latency", value, ">= 95 %", near >= 0.95 * len(apart))


def _vad_late(judged: Sequence[Judgement]) -> Figure | None:
    """Explains what the two clocks may differ by: the gateway counts from where vad saw the end."""
    late = [one.vad_late_ms for one in _of(judged, "AB") if one.vad_late_ms is not None]
    if not late:
        return None
    return Figure(
        "speech ends, vad less truth", f"p5 {_ms(late, 5)}, p50 {_ms(late, 50)}, p95 {_ms(late, 95)}", "", None
    )


def _share(count: int, of: int) -> str:
    return f"{count / of:.0%} ({count} of {of})"


def _ms(values: Sequence[float], percent: float) -> str:
    value = percentile(values, percent)
    return "-" if value is None else f"{value:.0f} ms"
