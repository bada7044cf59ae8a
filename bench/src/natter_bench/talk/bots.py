"""The bots of the cases, written as files: all on the built-in models, turn-taking as by default."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from natter_bench.talk.cases import GREETINGS, Case

_MODELS: Final = "stt: {provider: local}\ntts: {provider: local}\n"
_ANSWERER: Final = f"""name: Answerer
default: true
prompt: You answer in one short sentence.
prompt_small: You answer in one short plain sentence.
{_MODELS}llm: {{provider: local, max_sentences: 1}}
"""
_TELLER: Final = f"""name: Teller
prompt: You tell long stories in plain English.
prompt_small: You tell long stories in plain English.
{_MODELS}llm: {{provider: local, max_tokens: 120, max_sentences: 6}}
"""
_TALKER: Final = f"""name: Talker
greeting: "{GREETINGS[0]}"
prompt: You answer in three plain sentences.
prompt_small: You answer in three plain sentences.
{_MODELS}llm: {{provider: local, max_tokens: 80, max_sentences: 3}}
"""


def bot_of(case: Case) -> str:
    """Which of the bots a case calls."""
    if case.kind in ("A", "B"):
        return "answerer"
    if case.kind == "E":
        return "talker"
    return "teller" if case.question is not None else f"greeter{case.greeting % len(GREETINGS)}"


def write_bots(folder: Path) -> None:
    """One file a bot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answerer.yaml").write_text(_ANSWERER)
    (folder / "teller.yaml").write_text(_TELLER)
    (folder / "talker.yaml").write_text(_TALKER)
    for number, greeting in enumerate(GREETINGS):
        text = _ANSWERER.replace("default: true\n", f'greeting: "{greeting}"\n').replace(
            "Answerer", f"Greeter {number}"
        )
        (folder / f"greeter{number}.yaml").write_text(text)
