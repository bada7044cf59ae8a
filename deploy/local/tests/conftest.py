"""Fake services: small scripts with `/ready`, told by their environment how to misbehave."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from natter_local.system import SERVICES

FAKE_SERVICE = r"""
import http.server, json, os, signal, subprocess, sys, threading

mode = os.environ.get("FAKE_MODE", "")
print("hello from", os.path.basename(sys.argv[-1]), flush=True)
if mode == "die":
    print("no model here", file=sys.stderr, flush=True)
    sys.exit(3)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", flush=True), os._exit(0)))
if mode == "parent":
    left = subprocess.Popen(["/bin/sleep", "600"])
    print("child", left.pid, flush=True)

asked = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        status, answer = 200, {"ready": True}
        if self.path == "/ready":
            asked += 1
            if mode == "never" or (mode == "slow" and asked < 4):
                status, answer = 503, {"ready": False, "detail": "loading models"}
        elif self.path == "/env":
            answer = dict(os.environ)
        elif self.path == "/health":
            answer = {"status": "ok", "problems": {"cloud": "Cloud refused the key."} if mode == "refused" else {}}
        elif self.path == "/api/bots":
            names = ("vad", "stt", "llm", "tts")
            stages = {name: {"provider": "local", "detail": "built-in " + name} for name in names}
            answer = {"bots": [{"id": "ann", "name": "Ann", "default": True, "stages": stages}]}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["NATTER_HTTP_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def fakes() -> Callable[..., dict[str, Sequence[str]]]:
    """Commands of fake services, for `LocalOptions.commands`."""

    def commands(*names: str) -> dict[str, Sequence[str]]:
        return {name: [sys.executable, "-I", "-S", "-c", FAKE_SERVICE, name] for name in names}

    return commands


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """A Python whose neighbours are five fake services instead of the real ones, and a folder of bots beside it."""
    real = Path(sys.executable).parent.parent
    root = tmp_path / "venv"
    (root / "bin").mkdir(parents=True)
    shutil.copy(real / "pyvenv.cfg", root)
    (root / "lib").symlink_to(real / "lib")
    (root / "bin" / "python").symlink_to(sys.executable)
    (root / "bin" / "nats-server").symlink_to(real / "bin" / "nats-server")
    for name in SERVICES:
        script = root / "bin" / f"natter-{name}"
        script.write_text(f"#!{sys.executable} -IS\n{FAKE_SERVICE}")
        script.chmod(0o755)
    return root / "bin" / "python"
