"""Somebody else's page: the official client as it comes, of another origin than the gateway (web/tests/direct-page)."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def direct_page(web: Path, folder: Path) -> Generator[str]:
    """Build the page of the packages in `web` into `folder` and serve it; `?gateway=URL` says whom it calls."""
    vite = web / "node_modules" / ".bin" / "vite"
    if not vite.exists():
        pytest.fail("the page's packages are not installed: run `make web`, or `npm ci` in web/")
    command = [vite, "build", "tests/direct-page", "--outDir", folder, "--emptyOutDir", "--logLevel", "warn"]
    built = subprocess.run(command, cwd=web, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    handler = partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="direct-page")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has in the base class
        pass
