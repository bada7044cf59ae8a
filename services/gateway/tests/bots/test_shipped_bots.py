"""The bots that come with Natter, and the page that explains their fields."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from natter_gateway.bots import Bot, Bots, load_bots
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


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a file by its dotted name."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        elif name != "id":
            yield f"{prefix}{name}", field


def documented() -> dict[str, str]:
    """Field to default, from the tables of README.md."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \| .*\|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    return {name: default for name, default in rows if name not in ("stt", "llm", "tts")}


def default_text(name: str, field: FieldInfo) -> str:
    """How the page writes a default."""
    if field.is_required():
        return "required"
    value: object = field.default
    if value is None:
        return {"prompt_small": "none", "stt.language": "the bot's", "tts.language": "the bot's"}.get(
            name, "the provider's"
        )
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
