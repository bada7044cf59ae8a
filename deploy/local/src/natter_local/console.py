"""Everybody's lines on one terminal: each behind its service's name."""

import os
import re
from collections.abc import Sequence
from typing import Final, TextIO

from natter_local.broker import NATS

OWN_NAME: Final = "natter"
_COLOURS: Final = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_BOLD: Final = 1
_DIM: Final = 2
_RED: Final = 31
# nats-server says a page about itself at each start; only what is wrong matters here.
_NATS_WORTH: Final = re.compile(r"\[(WRN|ERR|FTL)\]")
# Fields that a service's console lines carry for programs: the prefix says the service, and `-` says nothing.
_NOISE: Final = re.compile(r"\s+(?:service=\S+|process=[0-9a-f]{16}|(?:session|turn|trace_id)=-)(?=\s|$)")
_TIMESTAMP: Final = re.compile(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d\.\d{3})\d*Z ")


class Console:
    """A `Watcher` for people. Colours only on a terminal, and not with NO_COLOR set."""

    def __init__(self, out: TextIO, names: Sequence[str]) -> None:
        """`names`: of what runs, for the width of the prefix; further processes of a service look like the first."""
        self._out = out
        self._width = max(map(len, (OWN_NAME, *names)))
        self._coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self._colour_of = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
        self._gone = False

    def on_line(self, name: str, line: str) -> None:
        if _service(name) == NATS and not _NATS_WORTH.search(line):
            return
        plain = _TIMESTAMP.sub(r"\1 ", line)
        self._write(f"{self._prefix(name)}{_NOISE.sub('', plain) if plain != line else line}")

    def on_event(self, name: str, words: str) -> None:
        """What the runner has to say about a process."""
        self.say(f"{name}: {words}")

    def say(self, words: str) -> None:
        """A line of the runner's own."""
        for line in words.splitlines():
            self._write(f"{self._prefix(OWN_NAME)}{self.bold(line)}")

    def complain(self, words: str) -> None:
        """Why it can't go on."""
        for line in words.splitlines():
            self._write(f"{self._prefix(OWN_NAME)}{self._paint(line, _RED)}")

    def show(self, words: str) -> None:
        """Lines of their own, without a prefix."""
        self._write(words)

    def bold(self, text: str) -> str:
        return self._paint(text, _BOLD)

    def dim(self, text: str) -> str:
        return self._paint(text, _DIM)

    def red(self, text: str) -> str:
        """For what is wrong."""
        return self._paint(text, _RED)

    def _prefix(self, name: str) -> str:
        return self._paint(f"{name:<{self._width}} | ", self._colour_of.get(_service(name), _BOLD))

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured and text else text

    def _write(self, line: str) -> None:
        if self._gone:
            return
        try:
            self._out.write(f"{line}\n")
            self._out.flush()
        except OSError:
            # Nobody reads any more (a closed terminal or pipe): go on without words until told to stop.
            self._gone = True


def _service(name: str) -> str:
    """Of a process: `stt-2` is of `stt`."""
    return name.partition("-")[0]
