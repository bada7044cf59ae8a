"""A journal as it was recorded: its entries in order, from frames or from a file, and into a file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import orjson

from natter_gateway.journal.codec import BadEntryError, Content, decode, encode, has_texts, kind_of, unsealed
from natter_gateway.journal.notes import Opened
from natter_gateway.journal.seal import Seal, SealError
from natter_proto import LogBatch

_FORMAT: Final = 1
_MAX_LINE_BYTES: Final = 512 * 1024


class BadRecordingError(ValueError):
    """A file that holds no journal; the text says in which line and why."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An entry that can't be read: not by this version, or not without its texts."""

    kind: str
    problem: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `number` counts in a term from 1."""

    number: int
    at_us: int
    """By the conductor's own clock, which means nothing to any other."""
    mic_sample: int
    """The next sample of the caller's microphone."""
    content: Content | Unknown


@dataclass(frozen=True, slots=True)
class Recording:
    """A session's journal, all terms of it."""

    session: str
    entries: tuple[Entry, ...]

    @property
    def terms(self) -> list[tuple[Opened | None, list[Entry]]]:
        """The entries of each term, with how it began; None where that is not there any more."""
        terms: list[tuple[Opened | None, list[Entry]]] = []
        for entry in self.entries:
            if isinstance(entry.content, Opened):
                terms.append((entry.content, []))
            elif not terms:
                terms.append((None, []))
            terms[-1][1].append(entry)
        return terms


def of_batches(session: str, batches: Iterable[LogBatch]) -> Recording:
    """The journal that these frames hold. What a gateway wrote after another one took over is left out."""
    entries: list[Entry] = []
    term = 0
    for batch in batches:
        if batch.header.term < term:
            continue
        term = batch.header.term
        entries += [
            Entry(one.number, one.monotonic_us, one.mic_sample, _content(one.kind, one.content))
            for one in batch.entries
        ]
    return Recording(session, tuple(entries))


def _content(kind: str, data: bytes) -> Content | Unknown:
    try:
        return decode(kind, data)
    except BadEntryError as error:
        return Unknown(kind, str(error))


def with_texts(recording: Recording, seal: Seal) -> Recording:
    """The same, with what was sealed; entries whose texts are gone are `Unknown`."""
    entries = (replace(entry, content=_with_texts(entry.content, seal)) for entry in recording.entries)
    return Recording(recording.session, tuple(entries))


def _with_texts(content: Content | Unknown, seal: Seal) -> Content | Unknown:
    if isinstance(content, Unknown):
        return content
    try:
        found = unsealed(content, seal)
    except SealError as error:
        return Unknown(kind_of(content), str(error))
    return found if has_texts(found) else Unknown(kind_of(content), "its text was not recorded")


def save(recording: Recording, path: Path) -> None:
    """Write it as a file of lines of JSON; raises `OSError`."""
    path.write_bytes(b"".join(_lines(recording)))


def _lines(recording: Recording) -> Iterator[bytes]:
    yield orjson.dumps({"natter_journal": _FORMAT, "session": recording.session}) + b"\n"
    for entry in recording.entries:
        if isinstance(entry.content, Unknown):
            raise BadRecordingError(f"entry {entry.number} can't be saved: {entry.content.problem}")
        head = {"number": entry.number, "at_us": entry.at_us, "mic_sample": entry.mic_sample}
        line = {**head, "kind": kind_of(entry.content), "content": orjson.Fragment(encode(entry.content))}
        yield orjson.dumps(line) + b"\n"


def load(path: Path) -> Recording:
    """Read such a file. Raises `BadRecordingError`, `OSError`."""
    with path.open("rb") as lines:
        head = _object(lines.readline(_MAX_LINE_BYTES), path, 1)
        if head.get("natter_journal") != _FORMAT or not isinstance(head.get("session"), str):
            raise BadRecordingError(f"{path} is no journal")
        entries: list[Entry] = []
        for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE_BYTES), b""), start=2):
            entries.append(_entry(_object(line, path, number), path, number))
    return Recording(head["session"], tuple(entries))


def _entry(line: dict[str, Any], path: Path, number: int) -> Entry:
    counts = [line.get(name) for name in ("number", "at_us", "mic_sample")]
    if any(type(one) is not int or one < 0 for one in counts) or not isinstance(line.get("kind"), str):
        raise BadRecordingError(f"{path}:{number} is no entry of a journal")
    entry_number, at_us, mic_sample = cast("list[int]", counts)
    try:
        content = decode(line["kind"], orjson.dumps(line.get("content")))
    except BadEntryError as error:
        raise BadRecordingError(f"{path}:{number}: {error}") from error
    return Entry(entry_number, at_us, mic_sample, content)


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadRecordingError(f"{path}:{number} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRecordingError(f"{path}:{number} is no JSON object")
    return cast("dict[str, Any]", value)


def missing(entries: Sequence[Entry]) -> tuple[int, int] | None:
    """The first hole in the numbers of a term's entries; None: there is none."""
    due = 1
    for entry in entries:
        if entry.number != due:
            return due, entry.number - 1
        due += 1
    return None
