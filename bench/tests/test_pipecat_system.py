import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from natter_bench import pipecat_system
from natter_bench.caller import Caller
from natter_bench.conversation import exchange, interrupt
from natter_bench.errors import CallError
from natter_bench.measure import interruption, turn
from natter_bench.pipecat_system import (
    address_in,
    bot_environment,
    install_pipecat,
    pipecat_python,
    run_rival,
)
from natter_bench.speech import INTERRUPTION, encode
from natter_emulators.emulators import Emulators
from natter_emulators.marks import caller_speech
from natter_emulators.script import Messages, Reply, Script

OBEDIENT = "import signal, sys; print('ready http://127.0.0.1:4711', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + OBEDIENT
SPEAKS_FIRST = "print('loading'); print('warming', flush=True); " + OBEDIENT
DIES = "import sys; print('no such service'); sys.exit('key missing')"
WAITS = "import signal; print('loading', flush=True); signal.pause()"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("ready http://127.0.0.1:4711", "http://127.0.0.1:4711"),
        ("ready http://127.0.0.1:4711\r", "http://127.0.0.1:4711"),
        ("ready", None),
        ("ready https://example.org:1", None),
        ("not ready http://127.0.0.1:4711", None),
        ("ready http://127.0.0.1:4711 and so on", None),
        ("", None),
    ],
)
def test_the_line_that_says_ready(line, address):
    assert address_in(line) == address


def test_the_bots_environment_has_the_services_and_no_proxy():
    ours = {"PATH": "/bin", "http_proxy": "http://proxy:1", "ALL_PROXY": "socks5://proxy:1", "OPENAI_API_KEY": "real"}
    found = bot_environment(ours, {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert found == {
        "PATH": "/bin",
        "OPENAI_API_KEY": "key",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


@pytest.fixture
def children():
    """The processes that were started during the test: others may have left theirs running, as a broker for all."""
    before = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in before]


async def test_a_bot_that_is_ready_is_stopped_by_sigterm(tmp_path, children):
    log = tmp_path / "pipecat.log"
    async with run_rival(python(SPEAKS_FIRST), {}, log, ready_within_s=30) as url:
        assert url == "http://127.0.0.1:4711"
        assert len(children()) == 1
    assert children() == []
    assert log.read_text().splitlines() == ["loading", "warming", "ready http://127.0.0.1:4711"]


async def test_a_bot_that_does_not_stop_is_killed(tmp_path, children):
    async with run_rival(python(STUBBORN), {}, tmp_path / "log", ready_within_s=30, stop_within_s=0.1):
        pass
    assert children() == []


async def test_a_bot_whose_measuring_fails_is_stopped(tmp_path, children):
    with pytest.raises(ZeroDivisionError):
        async with run_rival(python(OBEDIENT), {}, tmp_path / "log", ready_within_s=30):
            raise ZeroDivisionError
    assert children() == []


async def test_a_bot_that_died_meanwhile_is_no_trouble_at_the_end(tmp_path, children):
    async with run_rival(python(OBEDIENT), {}, tmp_path / "log", ready_within_s=30):
        [child] = children()
        child.send_signal(signal.SIGKILL)
    assert children() == []


async def test_a_bot_that_dies_early_says_why(tmp_path):
    with pytest.raises(CallError, match="ended with exit code 1 before it was ready") as failed:
        async with run_rival(python(DIES), {}, tmp_path / "log", ready_within_s=30):
            pass
    assert "no such service" in str(failed.value)
    assert "key missing" in str(failed.value)


async def test_a_bot_that_is_never_ready_is_given_up(tmp_path, children):
    with pytest.raises(CallError, match=r"not ready within 0\.5 s"):
        async with run_rival(python(WAITS), {}, tmp_path / "log", ready_within_s=0.5):
            pass
    assert children() == []


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A project's folder without Pipecat."""
    (tmp_path / "bots").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_pipecat_that_is_not_installed_is_told_in_words(elsewhere):
    assert pipecat_python() is None
    with pytest.raises(CallError, match="--install-pipecat"):
        async with pipecat_system.pipecat_system(elsewhere, {}, lambda _: None):
            pass


def test_an_installation_of_other_versions_does_not_count(elsewhere):
    venv = elsewhere / "var" / "pipecat-venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    (venv / ".natter-ready").write_text("pipecat-ai==0.1\n")
    assert pipecat_python() is None
    (venv / ".natter-ready").write_text(
        (Path(pipecat_system.__file__).parents[2] / "pipecat/requirements.txt").read_text()
    )
    assert pipecat_python() == venv / "bin" / "python"
    assert install_pipecat(lambda _: None) == venv / "bin" / "python"


def test_an_installer_that_fails_is_quoted(elsewhere, monkeypatch):
    tools = elsewhere / "tools"
    tools.mkdir()
    uv = tools / "uv"
    uv.write_text('#!/bin/sh\n[ "$1" = venv ] && exit 0\necho "no index at $PWD" >&2\nexit 2\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    said: list[str] = []
    with pytest.raises(CallError, match="Pipecat cannot be installed:\n    no index at") as failed:
        install_pipecat(said.append)
    # In the project's folder uv would take our word that Pipecat needs no other package.
    assert str(elsewhere) not in str(failed.value)
    assert said == [f"installing Pipecat into {elsewhere}/var/pipecat-venv (0.8 GB, once)\n"]
    assert pipecat_python() is None


def test_the_commands_with_and_without_uv():
    venv, requirements = Path("/v"), Path("/r.txt")
    first, second = pipecat_system._install_commands("/bin/uv", venv, requirements)
    assert first[:2] == ("/bin/uv", "venv")
    assert second == ("/bin/uv", "pip", "install", "--python", "/v/bin/python", "-r", "/r.txt")
    first, second = pipecat_system._install_commands(None, venv, requirements)
    assert first == (sys.executable, "-m", "venv", "--clear", "/v")
    assert second[:4] == ("/v/bin/python", "-m", "pip", "install")


@pytest.mark.skipif(pipecat_python() is None, reason="Pipecat is not installed: natter-bench latency --install-pipecat")
async def test_pipecat_answers_and_can_be_interrupted(tmp_path, children):
    def marked(text: str):
        return encode(caller_speech(text).pcm, 16_000)

    question, other = [await asyncio.to_thread(marked, t) for t in ("What is the capital of France?", INTERRUPTION)]
    async with (
        Emulators() as emulators,
        pipecat_system.pipecat_system(tmp_path, emulators.environment(), lambda _: None) as url,
        Caller.connect(url, via_start=False) as caller,
    ):
        long = "There are seven days in a week, and each of them is a good one."

        def reply(messages: Messages) -> Reply:
            """Only the third is long enough to be interrupted."""
            asked = sum(message["role"] == "user" for message in messages)
            return Reply(long if asked == 3 else "It is Paris.")

        emulators.openai.script_default(Script(replies=reply))
        windows = [await exchange(caller, question) for _ in range(2)]
        cut = await interrupt(caller, question, other)
    frames = caller.recording.frames()
    for window in windows:
        answered = turn(caller.recording.sent, frames, after_s=window.began_s, before_s=window.ended_s)
        assert answered is not None
        assert answered.voice_to_voice_ms is not None
    assert cut is not None
    cut_short = interruption(caller.recording.sent, frames, after_s=cut.began_s, before_s=cut.ended_s)
    assert cut_short is not None
    assert cut_short.silenced
    assert children() == []
