"""YAML of a bot as plain values, with the line of every field. Anchors, aliases and repeated keys are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 16

Path = Sequence[str | int]


class DocumentError(ValueError):
    """A text that is no mapping in YAML. `line` and `column` count from 1; 0 where none is known."""

    def __init__(self, words: str, line: int = 0, column: int = 0) -> None:
        super().__init__(words)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Repeated:
    """A key that stands in one mapping more than once."""

    path: tuple[str | int, ...]
    line: int
    first_line: int


class Document:
    """The mapping that a YAML text holds."""

    def __init__(self, text: str) -> None:
        """Parse `text`. Raises `DocumentError`."""
        try:
            loader = _Loader(text)
            self._root = _mapping(loader)
            self.repeated: Final = tuple(_repeated(self._root))
            self.values: Final = cast("dict[Any, Any]", loader.construct_document(self._root))
        except yaml.MarkedYAMLError as error:
            raise _marked(error) from error
        except (yaml.YAMLError, ValueError) as error:
            # ValueError: values that look like a date or a number and are none, and `DocumentError` itself.
            if isinstance(error, DocumentError):
                raise
            raise DocumentError(" ".join(str(error).split())) from error

    def locate(self, path: Path) -> tuple[tuple[str | int, ...], int]:
        """As much of `path` as the text has, and the line (from 1) of the key or list item at its end."""
        node: Node = self._root
        line = _line(node)
        found: list[str | int] = []
        for step in path:
            if isinstance(node, MappingNode):
                pair = next(((key, value) for key, value in _pairs(node) if _key_text(key) == str(step)), None)
                if pair is None:
                    break
                line, node = _line(pair[0]), pair[1]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(_items(node)):
                node = _items(node)[step]
                line = _line(node)
            else:
                break
            found.append(step)
        return tuple(found), line


class _Loader(yaml.SafeLoader):
    """SafeLoader that takes no aliases (a short text could stand for a huge one) and no endless nesting."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = cast("yaml.Event", self.peek_event())
        mark = cast("yaml.Mark", event.start_mark)
        line, column = mark.line + 1, mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError("aliases (*name) are not taken: write the text out", line, column)
        if self.depth >= _MAX_DEPTH:
            raise DocumentError("is nested too deeply", line, column)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _mapping(loader: _Loader) -> MappingNode:
    node = loader.get_single_node()
    if node is None:
        raise DocumentError("is empty")
    if not isinstance(node, MappingNode):
        raise DocumentError("holds no fields: each line is `field: value`", _line(node))
    return node


def _repeated(node: Node, path: tuple[str | int, ...] = ()) -> list[Repeated]:
    """Keys that YAML would take twice, the later one silently winning."""
    found: list[Repeated] = []
    if isinstance(node, SequenceNode):
        for index, item in enumerate(_items(node)):
            found += _repeated(item, (*path, index))
    elif isinstance(node, MappingNode):
        first: dict[str, int] = {}
        for key, value in _pairs(node):
            name = _key_text(key)
            if name in first:
                found.append(Repeated((*path, name), _line(key), first[name]))
            first.setdefault(name, _line(key))
            found += _repeated(value, (*path, name))
    return found


def _marked(error: yaml.MarkedYAMLError) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    words = "; ".join(part for part in (error.context, error.problem) if part)
    if error.problem is not None and "'\\t'" in error.problem:
        words = "a tab stands where YAML wants spaces"
    return DocumentError(words, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0)


def _line(node: Node) -> int:
    return node.start_mark.line + 1


def _pairs(node: MappingNode) -> list[tuple[Node, Node]]:
    return cast("list[tuple[Node, Node]]", node.value)


def _items(node: SequenceNode) -> list[Node]:
    return cast("list[Node]", node.value)


def _key_text(key: Node) -> str:
    return str(cast("object", key.value)) if isinstance(key, ScalarNode) else ""
