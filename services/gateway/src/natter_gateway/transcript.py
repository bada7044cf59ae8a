"""A conversation as it is read back: turn by turn, what was said, what tools found, what was heard."""

from collections.abc import Sequence
from typing import Any

from natter_gateway.context import Entry, Speaker, ToolRound, Utterance


def turns_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The turns of a context's entries in order, ready for JSON.

    Each has `turn`, `user` and `bot` (text, or None where nobody said or heard anything) and `tools`: the calls in
    their order, with `name`, `arguments` (JSON as the model wrote it), `outcome` and `result`.
    """
    by_turn: dict[int, list[Entry]] = {}
    for entry in entries:
        by_turn.setdefault(entry.turn, []).append(entry)
    return [_turn(number, by_turn[number]) for number in sorted(by_turn)]


def _turn(number: int, entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "turn": number,
        "user": _said(entries, Speaker.USER),
        "tools": [
            {"name": call.name, "arguments": call.arguments, "outcome": call.outcome, "result": call.result}
            for entry in entries
            if isinstance(entry, ToolRound)
            for call in entry.calls
        ],
        "bot": _said(entries, Speaker.ASSISTANT),
    }


def _said(entries: Sequence[Entry], speaker: Speaker) -> str | None:
    texts = [entry.text for entry in entries if isinstance(entry, Utterance) and entry.speaker is speaker]
    return " ".join(texts) or None
