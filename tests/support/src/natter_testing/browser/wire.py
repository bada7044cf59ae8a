"""What RTVI asks of the messages of a conversation, whoever received them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from natter_testing.browser.tab import Message

_TURN: Final = re.compile(
    "user-started-speaking( user-transcription:interim)*( user-transcription:final)+ user-stopped-speaking "
    "user-llm-text bot-llm-started bot-tts-started bot-started-speaking "
    "bot-output:new( bot-output:(new|in-progress|completed))* bot-output:completed "
    "bot-tts-stopped bot-llm-stopped bot-stopped-speaking"
)
_BETWEEN: Final = {
    "bot-llm-text": ("bot-llm-started", "bot-llm-stopped"),
    "bot-tts-text": ("bot-started-speaking", "bot-tts-stopped"),
}


def label(message: Message) -> str:
    """The type, and what tells messages of one type apart: `user-transcription:final`, `bot-output:new`."""
    if message.type == "user-transcription":
        return f"{message.type}:{'final' if message.data['final'] else 'interim'}"
    return f"{message.type}:{message.data['spoken_status']}" if message.type == "bot-output" else message.type


def user_text(messages: Iterable[Message]) -> str:
    """What the caller was understood to say, in all."""
    return " ".join(each.data["text"].strip() for each in messages if label(each) == "user-transcription:final")


def segments(messages: Iterable[Message]) -> Mapping[int, str]:
    """The text of each of the bot's segments that began, by id, in their order."""
    return {each.data["segment_id"]: each.data["text"] for each in messages if label(each) == "bot-output:new"}


def heard(messages: Iterable[Message]) -> Mapping[int, str]:
    """What was heard of each segment, by id."""
    found: dict[int, str] = {}
    for each in messages:
        if each.type == "bot-output":
            progress = each.data.get("spoken_progress")
            found[each.data["segment_id"]] = progress["accumulated_text"] if progress else ""
    return found


def spoken_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """From the first word of the caller to the end of the answer. Raises ValueError when there is none."""
    types = [each.type for each in messages]
    start = types.index("user-started-speaking")
    answer = types.index("bot-started-speaking", start)
    return messages[start : types.index("bot-stopped-speaking", answer) + 1]


def check_order(turn: Sequence[Message]) -> None:
    """A turn without an interruption has each event in its place. Raises AssertionError."""
    labels = [label(each) for each in turn]
    # Many come word by word, and metrics at any time.
    places = " ".join(name for name, _ in groupby(each for each in labels if each not in {*_BETWEEN, "metrics"}))
    assert _TURN.fullmatch(places), places
    for name, (after, before) in _BETWEEN.items():
        where = [index for index, each in enumerate(labels) if each == name]
        assert where, f"no {name}"
        assert labels.index(after) < where[0], f"{name} before {after}"
        assert where[-1] < labels.index(before), f"{name} after {before}"


def check_progress(messages: Iterable[Message]) -> None:
    """Every segment is announced, grows word by word as it is heard, and is completed. Raises AssertionError."""
    outputs = [each.data for each in messages if each.type == "bot-output"]
    ids = [each["segment_id"] for each in outputs if each["spoken_status"] == "new"]
    assert ids == sorted(set(ids)), f"not numbered in their order: {ids}"
    for number in ids:
        of_segment = [each for each in outputs if each["segment_id"] == number]
        text = of_segment[0]["text"]
        statuses = [each["spoken_status"] for each in of_segment]
        assert statuses == ["new", *["in-progress"] * (len(statuses) - 2), "completed"], f"{text!r}: {statuses}"
        assert len(text.split()) == 1 or "in-progress" in statuses, f"no word by word: {text!r}"
        before = ""
        for each in of_segment[1:]:
            accumulated, remaining = (each["spoken_progress"][name] for name in ("accumulated_text", "remaining_text"))
            assert each["text"] == text
            assert accumulated.startswith(before)
            assert len(accumulated) > len(before), f"said twice: {accumulated!r}"
            assert accumulated + remaining == text
            before = accumulated
        assert before == text
    assert all(each["will_be_spoken"] for each in outputs)
    assert {each["segment_id"] for each in outputs} == set(ids), "progress of a segment that never began"
