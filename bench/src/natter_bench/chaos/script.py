"""What is said in the chaos suite, by both sides. All words are in the lexicon of `natter_emulators.marks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from natter_bench.latency_script import NOT_UNDERSTOOD, Utterance
from natter_bench.words import normalise, word_error_rate

CONVERSATION: Final = (
    Utterance("Do you know a good story?", "I know a few."),
    Utterance(
        "Can you tell me something about the moon?",
        "Sure, the moon goes around the earth once a month. It has no air, so the sky there is always black.",
    ),
    Utterance("No, I don't think so.", "All right, no problem."),
)
"""The caller's turns with their replies."""
STRUCK_TURN: Final = 1
"""Place of the turn in which something is killed. The one before warms up, the one behind shows what is left."""

_MOST_WRONG: Final = 0.7
_LEAST_KNOWN: Final = 0.5
"""Of a message's words, for it to be the caller's and not an instruction."""


def reply_to(messages: Sequence[Mapping[str, Any]], conversation: Sequence[Utterance] = CONVERSATION) -> str:
    """The reply that goes with a chat request: that of the utterance with which the caller's last message ends.

    The message behind it may be the instruction to go on with a reply that broke off: the reply is given whole then.
    """
    said = normalise(" ".join(user_messages(messages, conversation)[-1:]))

    def wrong(utterance: Utterance) -> float:
        # What was said before may stand in the same message.
        tail = said[-len(normalise(utterance.text)) :]
        return word_error_rate(utterance.text, " ".join(tail))

    nearest = min(conversation, key=wrong)
    return nearest.reply if wrong(nearest) <= _MOST_WRONG else NOT_UNDERSTOOD


def user_messages(messages: Sequence[Mapping[str, Any]], conversation: Sequence[Utterance] = CONVERSATION) -> list[str]:
    """The caller's messages of a request, in order; instructions that a provider sends as the user are left out."""
    known = {word for utterance in conversation for word in normalise(utterance.text)}

    def is_said(text: str) -> bool:
        words = normalise(text)
        return sum(word in known for word in words) >= _LEAST_KNOWN * len(words)

    texts = [_text(one.get("content")) for one in messages if one.get("role") == "user"]
    return [text for text in texts if is_said(text)]


def _text(content: Any) -> str:
    """Of a message: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts)
