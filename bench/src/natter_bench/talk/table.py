"""The cases and their sums as text, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from natter_bench.talk.judge import Judgement
from natter_bench.talk.sums import Figure

_TITLES = {
    "A": "A  said whole",
    "B": "B  with a pause inside",
    "C": "C  small sounds while the bot speaks",
    "D": "D  interruptions",
    "E": "E  the bot's own voice in the microphone",
}


def case_line(one: Judgement) -> str:
    """One line of a case."""
    verdict = "skip" if one.ok is None else "ok" if one.ok else "BAD"
    parts = [f"{one.case.name:<18} {verdict:<4}"]
    if one.case.kind in "AB" and one.ok is not None:
        parts.append(
            f"{_ms(one.voice_to_voice_ms)} (gateway {_ms(one.gateway_ms)})  turns {one.turns}  {one.understood!r}"
        )
    elif one.case.kind in "CDE" and one.ok is not None:
        parts.append(f"holds {one.holds} ({_ms(one.held_after_sound_ms)} after the sound)")
        if one.case.interrupts:
            parts.append(f"silence {_ms(one.time_to_silence_ms)}")
            parts.append(f"heard {_n(one.heard_words)} told {_n(one.told_words)} kept {_n(one.kept_words)}")
            parts.append(f"{one.understood!r}")
        else:
            parts.append(f"lost {_n(one.words_lost)}")
    if one.why:
        parts.append(f"<- {one.why}")
    if one.sent_late:
        parts.append("(machine busy)")
    return "  ".join(parts)


def talk_text(judged: Sequence[Judgement], rows: Sequence[Figure], skipped: Sequence[str]) -> str:
    """The whole table."""
    lines: list[str] = []
    for kind, title in _TITLES.items():
        of_kind = [one for one in judged if one.case.kind == kind]
        if of_kind:
            lines += [title, *(f"  {case_line(one)}" for one in of_kind), ""]
    lines += skipped
    if rows:
        name_width, value_width = max(len(row.name) for row in rows), max(len(row.value) for row in rows)
        lines += [
            f"{row.name:<{name_width}}  {row.value:<{value_width}}  {row.target:<26} {_met(row)}".rstrip()
            for row in rows
        ]
    return "\n".join(lines) + "\n"


def talk_json(judged: Sequence[Judgement], rows: Sequence[Figure], skipped: Sequence[str]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "cases": [_case_json(one) for one in judged],
        "sums": [{"name": row.name, "value": row.value, "target": row.target, "met": row.met} for row in rows],
        "skipped": list(skipped),
    }


def _case_json(one: Judgement) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: getattr(one, name)
        for name in one.__dataclass_fields__
        if name != "case" and getattr(one, name) is not None
    }
    return {"name": one.case.name, "kind": one.case.kind, "said": one.case.text or one.case.sound, **fields}


def _met(row: Figure) -> str:
    if not row.target:
        return ""
    return "-" if row.met is None else "met" if row.met else "MISSED"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _n(value: int | None) -> str:
    return "-" if value is None else str(value)
