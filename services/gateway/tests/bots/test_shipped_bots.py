"""The bots that come with Natter, and the page that explains their fields."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from natter_gateway.bots import Bot, Bots, load_bots
from natter_gateway.bots.call import CALL_TEXTS
from natter_gateway.bots.model import AUTO_PROVIDERS
from natter_proto import Stage, stage_name

FOLDER = Path(__file__).parents[4] / "bots"
# A prompt of this many characters leaves the small model room to read it in a third of a second.
SMALL_PROMPT_CHARACTERS = 160


@pytest.fixture(scope="module")
def bots() -> Bots:
    return load_bots(FOLDER)


def test_there_are_three_and_one_is_the_default(bots: Bots) -> None:
    assert len(bots) >= 3
    assert bots.default.id == "friend"


def test_each_can_be_chosen_and_greets_and_works_without_keys(bots: Bots) -> None:
    for bot in bots:
        assert bot.description
        assert bot.greeting
        assert bot.prompt_small is not None
        assert len(bot.prompt_small) <= SMALL_PROMPT_CHARACTERS
        for stage in AUTO_PROVIDERS:
            assert bot.providers(stage)[-1] == "local"


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field is, may be, or is a list of."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a file by its dotted name; sections that are always there have no line of their own."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield from fields(section, f"{prefix}{name}.")
        if section is not field.annotation and name != "id":
            yield f"{prefix}{name}", field


def documented() -> dict[str, str]:
    """Field to default, from the tables of README.md."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \| .*\|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    return {name: default for name, default in rows if name not in ("stt", "llm", "tts")}


NO_DEFAULT = {
    "stt.language": "the bot's",
    "tts.language": "the bot's",
    "tools.nats.tool": "the tool's name",
    "tools.mcp.tool": "the tool's name",
    "tools.parameters": "no arguments",
    **{f"{stage}.model": "the provider's" for stage in ("stt", "llm", "tts")},
    "tts.voice": "the provider's",
    "llm.max_tokens": "the provider's",
    "llm.max_sentences": "the provider's",
    **{f"call.{name}": "English words" for name in CALL_TEXTS},
}


def default_text(name: str, field: FieldInfo) -> str:
    """How the page writes a default."""
    if field.is_required():
        return "required"
    value: object = field.default
    if name in NO_DEFAULT:
        return NO_DEFAULT[name]
    if value is None or value == ():
        return "none"
    if value == "":
        return "empty"
    if value == ("auto",):
        return "`auto`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_field_is_documented_with_its_default() -> None:
    assert documented() == {name: default_text(name, field) for name, field in fields(Bot)}


def test_what_auto_means_is_documented() -> None:
    page = (FOLDER / "README.md").read_text()
    for stage, names in AUTO_PROVIDERS.items():
        if stage != Stage.STAGE_VAD:
            assert f"| `{stage_name(stage)}` | {', '.join(names)} |" in page


def test_the_examples_of_the_page_are_bots() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        written = yaml.safe_load(example)
        made = Bot.model_validate({"id": "b", "name": "B", "prompt": "Be B.", **written})
        assert {field for field in written if not getattr(made, field)} == set()
