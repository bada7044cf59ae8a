"""Reads a folder of bots and says of everything that is wrong where it stands: file, line, field."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from natter_gateway.bots.document import MAX_BYTES, Document, DocumentError
from natter_gateway.bots.model import Bot

_SUFFIXES: Final = (".yaml", ".yml")
_SHOWN_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class BotProblem:
    """One thing that is wrong. `line` counts from 1, 0 means the whole file; `field` is like `llm.temperature`."""

    file: Path
    line: int
    field: str
    words: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.field}: {self.words}" if self.field else f"{place}: {self.words}"


class BotError(ValueError):
    """Bots that can't be used; the text names every problem, one a line."""

    def __init__(self, problems: Sequence[BotProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: Final = tuple(problems)


class UnknownBotError(LookupError):
    """Nobody has that name here."""

    def __init__(self, bot_id: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no bot {bot_id[:80]!r}; there are: {', '.join(known)}")


class Bots:
    """The bots of one gateway, in the order of their names. `default` is the one marked so, else the first."""

    def __init__(self, bots: Sequence[Bot]) -> None:
        """`bots`: at least one, each id once, at most one marked default (`load_bots` sees to it)."""
        self._by_id: Final = MappingProxyType({bot.id: bot for bot in sorted(bots, key=lambda bot: bot.id)})
        self.default: Final = next((bot for bot in self if bot.default), next(iter(self)))

    def get(self, bot_id: str) -> Bot:
        """The bot of that id. Raises `UnknownBotError`, which names those there are."""
        bot = self._by_id.get(bot_id)
        if bot is None:
            raise UnknownBotError(bot_id, list(self._by_id))
        return bot

    def __iter__(self) -> Iterator[Bot]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, bot_id: object) -> bool:
        return bot_id in self._by_id


def load_bots(folder: Path) -> Bots:
    """Every `*.yaml` and `*.yml` of `folder`. Raises `BotError` with all problems of all files at once."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith("."))
    except OSError as error:
        raise BotError([BotProblem(folder, 0, "", f"no folder of bots can be read here: {error.strerror}")]) from error
    if not files:
        raise BotError([BotProblem(folder, 0, "", "there is no bot here: a bot is a file like friend.yaml")])
    problems: list[BotProblem] = []
    bots: dict[str, tuple[Path, Bot]] = {}
    for file in files:
        try:
            bot = load_bot(file)
        except BotError as error:
            problems += error.problems
            continue
        if bot.id in bots:
            problems.append(BotProblem(file, 0, "", f"is the same bot as {bots[bot.id][0].name}"))
        bots[bot.id] = (file, bot)
    marked = [file for file, bot in bots.values() if bot.default]
    problems += [
        BotProblem(file, 0, "default", f"{marked[0].name} is the default bot already; there can be one")
        for file in marked[1:]
    ]
    if problems:
        raise BotError(problems)
    return Bots([bot for _, bot in bots.values()])


def load_bot(file: Path) -> Bot:
    """The bot of one file. Raises `BotError` with all its problems."""
    try:
        document = Document(_read(file))
    except DocumentError as error:
        where = f" (column {error.column})" if error.column else ""
        raise BotError([BotProblem(file, error.line, "", f"{error}{where}")]) from error
    problems = [
        BotProblem(file, repeated.line, _dotted(repeated.path), f"stands twice, first on line {repeated.first_line}")
        for repeated in document.repeated
    ]
    values = {str(key): value for key, value in document.values.items()}
    if "id" in values:
        del values["id"]
        line = document.locate(("id",))[1]
        problems.append(BotProblem(file, line, "id", f"is the name of the file ({file.stem}); leave it out"))
    try:
        bot = Bot.model_validate({**values, "id": file.stem})
    except ValidationError as error:
        problems += [_problem(file, document, item) for item in error.errors(include_url=False)]
    else:
        if not problems:
            return bot
    raise BotError(sorted(problems, key=lambda problem: problem.line))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(f"is larger than {MAX_BYTES // 1024} KiB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError("is not written in UTF-8", line) from error
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror}") from error


def _problem(file: Path, document: Document, item: ErrorDetails) -> BotProblem:
    path = item["loc"]
    if "at" in item.get("ctx", {}):
        at = str(item["ctx"]["at"]).split(".")  # pyright: ignore[reportTypedDictNotRequiredAccess]
        path = (*path, *(int(step) if step.isdecimal() else step for step in at))
    if path == ("id",):
        return BotProblem(file, 0, "", "its name is the bot's id: 1 to 64 of A-Z a-z 0-9 _ - before .yaml")
    found, line = document.locate(path)
    # A single name is checked as a list of one: the text has no such list.
    field = found if len(path) == len(found) + 1 and isinstance(path[-1], int) else path
    return BotProblem(file, line, _dotted(field), _words(item, field))


def _words(item: ErrorDetails, path: Sequence[str | int]) -> str:
    match item["type"]:
        case "extra_forbidden":
            return _unknown_field(path)
        case "missing":
            return "is missing"
        case "model_type":
            return "holds fields of its own: write them below it, indented"
        case "tuple_type":
            return "should be a list"
        case "string_pattern_mismatch" if path[-1] == "language":
            return f"is no language such as en or pt-BR{_instead(item['input'])}"
        case "string_pattern_mismatch":
            return f"is no name: 1 to 64 of A-Z a-z 0-9 _ - are{_instead(item['input'])}"
        case "string_type" if isinstance(item["input"], (bool, int, float)):
            return f"should be text{_instead(item['input'])}: put it in quotes"
        case _:
            return f"{item['msg'].removeprefix('Input ')}{_instead(item['input'])}"


def _unknown_field(path: Sequence[str | int]) -> str:
    name = str(path[-1])
    fields = _fields(path[:-1])
    close = difflib.get_close_matches(name, fields, n=1)
    if close:
        return f"is no field of a bot; did you mean {close[0]}?"
    homes = [f"{section}.{name}" for section in _fields(()) if section != "tools" and name in _fields((section,))]
    if name in _fields(()):
        homes.insert(0, f"{name} at the top level")
    if homes:
        return f"is no field of a bot; did you mean {' or '.join(homes)}?"
    return f"is no field of a bot; there are: {', '.join(fields)}"


def _fields(path: Sequence[str | int]) -> list[str]:
    """Names that a bot's file may use at `path`."""
    model: type[BaseModel] = Bot
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        kinds = [field.annotation, *get_args(field.annotation)] if field is not None else []
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return [name for name in model.model_fields if name != "id"]


def _instead(value: Any) -> str:
    """`, not …` for what is short enough to show."""
    if value is None:
        return ", but it is empty"
    if isinstance(value, (str, bool, int, float)):
        shown = repr(cast("object", value))
        return f", not {shown}" if len(shown) <= _SHOWN_CHARACTERS else ""
    return ""


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
