"""What to say when everything is up: the address, and for each stage what does the work and how far it goes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

STAGES: Final = ("vad", "stt", "llm", "tts")
_LIMITS: Final = {
    ("stt", "local"): "good at clear sentences, less so at names and in noise",
    ("llm", "local"): "it chats, knows little and makes things up",
    ("tts", "local"): "one voice",
}
"""What is worth knowing of a provider beyond its own words."""
_WITH_KEYS: Final = (
    "All of it runs on this machine, without a key. For larger models set OPENAI_API_KEY (or OPENAI_BASE_URL),",
    "DEEPGRAM_API_KEY and ELEVENLABS_API_KEY in .env, any of them, and start again: .env.example names all there are.",
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


def problems(answers: Iterable[tuple[str, bytes]]) -> list[str]:
    """What is wrong with providers, one a line, from the stages' answers of `/health`. Each problem is told once."""
    stages_of: dict[str, list[str]] = {}
    for stage, answer in answers:
        for words in _fields(_content(answer).get("problems")).values():
            stages = stages_of.setdefault(" ".join(str(words).split()), [])
            if stage not in stages:
                stages.append(stage)
    return [f"{', '.join(stages)}: {words}" for words, stages in stages_of.items()]


def uses_keys(answers: Iterable[tuple[str, bytes]]) -> bool:
    """Whether a worker has a provider beside the built-in one."""
    return any(set(_fields(_content(answer).get("providers"))) - {"local"} for _, answer in answers)


def advice(stages: Iterable[StageLine], problems_found: Sequence[str]) -> Sequence[str]:
    """Lines on how to get more than the built-in models: for whoever uses nothing else, and does not try to."""
    return _WITH_KEYS if not problems_found and all(stage.provider == "local" for stage in stages) else ()


def _stage_line(stage: str, fields: dict[str, Any]) -> StageLine:
    provider = fields.get("provider")
    if not provider:
        return StageLine(stage, "", str(fields.get("detail") or "nobody serves this now"), "")
    name = str(provider)
    return StageLine(stage, name, str(fields.get("detail") or name), _LIMITS.get((stage, name), ""))


def _content(answer: bytes) -> dict[str, Any]:
    try:
        return _fields(json.loads(answer))
    except ValueError:
        return {}


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
