"""The whole of Natter, started as `make up` starts it, and what the browser tests need around it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from natter_local import launch
from natter_local.ports import free_port
from natter_testing.browser.direct_page import direct_page

_ROOT: Final = Path(__file__).parents[2]
_WEB: Final = _ROOT / "web"
_READY_WITHIN_S: Final = 90
_STOPPED_WITHIN_S: Final = 40


@dataclass(frozen=True)
class RunningNatter:
    """A system that is up."""

    url: str
    services: dict[str, Any]
    """Address and pid of each service, and of nats."""


@pytest.fixture(scope="session")
def natter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNatter]:
    """The broker and the five services with their built-in models, one for all tests that do them no harm.

    A process of its own, because its logs have to be read also while no test's event loop runs.
    """
    folder = tmp_path_factory.mktemp("natter")
    # The bots that come with it, and some that make tests short. The runner looks for bots and .env where it starts,
    # so that nobody's keys and settings play a part.
    shutil.copytree(_ROOT / "bots", folder / "bots")
    shutil.copytree(Path(__file__).parent / "bots", folder / "bots", dirs_exist_ok=True)
    services = folder / "services.json"
    environment = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    environment |= {
        "FAST_API_PORT": str(free_port()),
        "NATTER_WEB_DIR": str(_WEB / "dist"),
        "NATTER_SERVICES_FILE": str(services),
        "NATTER_DRAIN_S": "0",
        # Browsers that are closed say no goodbye, and their calls would fill all lines.
        "NATTER_RECONNECT_GRACE_S": "15",
    }
    log = folder / "natter.log"
    with log.open("wb") as output:
        # Through the runner's own launcher, so that it ends with this process, however that ends.
        program = Path(sys.executable).with_name("natter-local")
        command = [sys.executable, launch.__file__, str(os.getpid()), "0", program]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(process, services, log)
        described = json.loads(services.read_text())
        yield RunningNatter(described["gateway"]["url"], described)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@pytest.fixture(scope="session")
def page_url(natter: RunningNatter) -> str:
    """Our page, which records its client's events in `window.natter`."""
    if not (_WEB / "dist" / "index.html").is_file():
        pytest.fail("the page is not built: run `make web`, or `npm ci && npm run build` in web/")
    return f"{natter.url}/?e2e=1"


@pytest.fixture(scope="session")
def direct_page_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of another origin that uses the official client without /start, without the gateway that it is to call."""
    with direct_page(_WEB, tmp_path_factory.mktemp("direct-page")) as url:
        yield url


def _is_setting(name: str) -> bool:
    """Whether a variable would change what is tested."""
    return name.startswith(("NATTER_", "NATS_", "OTEL_")) or name.endswith(("_API_KEY", "_BASE_URL"))


def _wait_until_up(process: "subprocess.Popen[bytes]", services: Path, log: Path) -> None:
    up = threading.Event()
    for _ in range(_READY_WITHIN_S * 10):
        if services.exists():
            return
        if process.poll() is not None:
            break
        up.wait(0.1)
    pytest.fail(f"Natter did not come up:\n{log.read_text()[-4000:]}")
