"""What to say when everything is up: the address, and for each stage what does the work and how far it goes."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

STAGES: Final = ("vad", "stt", "llm", "tts")
_LIMITS: Final = {
    ("stt", "local"): "good at clear sentences, less so at names and in noise",
    ("llm", "local"): "it chats, knows little and makes things up",
    ("tts", "local"): "one voice",
}
"""What is worth knowing of a provider beyond its own words."""
ALL_LOCAL: Final = (
    "All of it runs on this machine, without a key. Providers of larger models come with a later version."
)
"""What would be better than the built-in models."""


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage: its provider, in words what it uses, and its limits (may be empty)."""

    stage: str
    provider: str
    uses: str
    limits: str


def default_bot(answer: bytes) -> tuple[str, list[StageLine]]:
    """Name and stages of the default bot in an answer of `/api/bots`. Raises ValueError when there is none in it."""
    content = _fields(json.loads(answer))
    bots = [_fields(bot) for bot in cast("list[Any]", content.get("bots") or [])]
    bot = next((bot for bot in bots if bot.get("default") is True), next(iter(bots), None))
    if bot is None:
        raise ValueError("no bot in the answer")
    stages = _fields(bot.get("stages"))
    return str(bot.get("name") or bot.get("id")), [_stage_line(name, _fields(stages.get(name))) for name in STAGES]


def _stage_line(stage: str, fields: dict[str, Any]) -> StageLine:
    provider = fields.get("provider")
    if not provider:
        return StageLine(stage, "", str(fields.get("detail") or "nobody serves this now"), "")
    name = str(provider)
    return StageLine(stage, name, str(fields.get("detail") or name), _LIMITS.get((stage, name), ""))


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
