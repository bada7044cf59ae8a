"""What processes write, one file a process."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final


class LogFiles:
    """A `Watcher` for tests and benches: `stt.log` holds what stt wrote, `events.log` what became of all."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        folder.mkdir(parents=True, exist_ok=True)

    def on_line(self, name: str, line: str) -> None:
        self._append(name, line)

    def on_event(self, name: str, words: str) -> None:
        self._append("events", f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {name}: {words}")

    def _append(self, name: str, line: str) -> None:
        # Lines are few, and an open file for each process would have to be closed by somebody.
        with (self.folder / f"{name}.log").open("a") as file:
            file.write(f"{line}\n")
