"""What an MCP server's process writes to its standard error: to the log at debug level, the last lines kept."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TextIO

from natter_common.logs import Log

_KEPT_LINES: Final = 3
_LINE_CHARACTERS: Final = 200


class LastLines:
    """The newest lines, shortened; it is where programs say why they stop."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def add(self, line: str) -> None:
        if line.strip():
            self._lines.append(line.strip()[:_LINE_CHARACTERS])

    def words(self) -> str:
        return " | ".join(self._lines)


class _Reader(asyncio.Protocol):
    """Cuts what comes into lines; one that never ends is cut off, so that nothing grows."""

    def __init__(self, lines: LastLines, log: Log) -> None:
        self._lines = lines
        self._log = log
        self._open = b""

    def data_received(self, data: bytes) -> None:
        *whole, rest = (self._open + data).split(b"\n")
        self._open = rest[-_LINE_CHARACTERS * 4 :]
        for line in whole:
            text = line.decode(errors="replace")
            self._lines.add(text)
            self._log.debug("mcp server says", line=text[:_LINE_CHARACTERS])


@asynccontextmanager
async def watched_stderr(lines: LastLines, log: Log) -> AsyncGenerator[TextIO]:
    """A file to hand to a process as its standard error, read for as long as the block lasts."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as writer, os.fdopen(read_end, "rb", buffering=0) as reader:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Reader(lines, log), reader)
        try:
            yield writer
        finally:
            transport.close()
