"""Where everything is, for programs: `{"gateway": {"url": "http://127.0.0.1:7860", "pid": 123}, "nats": {…}, …}`."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from natter_local.broker import NATS
from natter_local.supervised import Supervised


class ServicesFile:
    """Written when all is ready and again whenever something came back; several of a service are a list."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: nothing is written."""
        self._path = path
        self._written = ""

    def write(self, nats_url: str, brokers: Sequence[Supervised], processes: Iterable[Supervised]) -> None:
        """Replace the file in one step. `brokers`: empty where another's broker is used. Raises OSError."""
        if self._path is None:
            return
        entries: dict[str, list[dict[str, Any]]] = {}
        for process in (*processes, *brokers):
            entries.setdefault(process.service, []).append({"url": process.url, "pid": process.pid})
        content: dict[str, Any] = {name: found[0] if len(found) == 1 else found for name, found in entries.items()}
        if not brokers:
            content[NATS] = {"url": nats_url}
        self._written = json.dumps(content, indent=2) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.write_text(self._written)
        draft.replace(self._path)

    def remove(self) -> None:
        """Remove the file, unless another system has put its own there."""
        if self._path is not None and self._written:
            try:
                if self._path.read_text() == self._written:
                    self._path.unlink()
            except OSError:
                return
            self._written = ""
