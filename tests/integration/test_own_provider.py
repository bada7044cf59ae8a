"""A provider from outside: installed as anybody would, found by its entry point, heard over a call; and its page."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.conversation import hear_greeting
from natter_bench.errors import RefusedError
from natter_bench.recording import VOICE_HZ
from natter_common.providers import installed
from natter_gateway.bots.model import AUTO_PROVIDERS
from natter_llm.openai import client as chat
from natter_local.system import GATEWAY, LocalOptions, LocalSystem
from natter_proto import stage_name
from natter_stt import gladia
from natter_stt import openai as transcriptions
from natter_stt.deepgram import FLUX_ENGLISH, NOVA
from natter_stt.provider import SttProvider
from natter_tts import deepgram as aura
from natter_tts import elevenlabs_wire
from natter_tts import openai as speech_api

on_the_call_loop = pytest.mark.asyncio(loop_scope="module")

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "own_provider"
MODULE: Final = EXAMPLE / "src" / "natter_beep" / "__init__.py"
PAGE: Final = ROOT / "docs" / "providers.md"
MOST_LINES: Final = 40

GREETING: Final = "Hello there, I can only beep."
LETTERS: Final = [5, 5, 1, 3, 4, 4]
HIGH_HZ: Final = 880
LETTER_MS: Final = 50
WINDOW_MS: Final = 5
LEAST_GAP_MS: Final = 30
BOTS: Final = {
    "beeper": f"default: true\ngreeting: {GREETING}\ntts: {{provider: [beep, local], voice: high}}\n",
    "squeaker": "tts: {provider: beep, voice: squeak}\n",
}
# What stands beside the example must not depend on who runs this.
NO_KEYS: Final = dict.fromkeys(("DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"), "")


def install(folder: Path) -> None:
    """Install the example into a folder of its own, with its dependencies left to what is there, as its page says."""
    uv = shutil.which("uv", path=str(ROOT / ".venv-tools" / "bin")) or shutil.which("uv")
    assert uv, "neither .venv-tools nor the PATH has uv: make setup brings it"
    command = (uv, "pip", "install", "--quiet", "--offline", "--python", sys.executable, "--no-deps")
    done = subprocess.run((*command, "--target", str(folder), str(EXAMPLE)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalSystem]:
    folder: Path = tmp_path_factory.mktemp("own-provider")
    install(folder / "providers")
    bots = folder / "bots"
    bots.mkdir()
    for name, text in BOTS.items():
        (bots / f"{name}.yaml").write_text(f"name: {name}\nprompt: You beep.\n{text}")
    stages = [str(Path(sys.executable).parent / "natter-emulated-stage"), "vad", "stt", "llm"]
    options = LocalOptions(
        services={GATEWAY: 1, "stages": 1, "tts": 1},
        commands={"stages": stages},
        env={
            "NATTER_BOTS_DIR": str(bots),
            "NATTER_WEB_DIR": str(folder / "no-page"),
            "NATTER_HTTP_HOST": "127.0.0.1",
            "NATTER_DRAIN_S": "0",
        },
        env_of={"tts": {"PYTHONPATH": str(folder / "providers"), **NO_KEYS}},
        keep_up=False,
        ready_timeout_s=60.0,
    )
    async with LocalSystem(folder, options) as running:
        yield running


async def get(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()


@on_the_call_loop
async def test_the_worker_offers_it_and_the_list_of_bots_shows_it(system: LocalSystem) -> None:
    health = await get(f"{system.of('tts')[0].url}/health")
    assert health["providers"]["beep"] == "beeps, one for each word"
    assert "beep" not in health["problems"]

    bots = {bot["id"]: bot for bot in (await get(f"{system.url}/api/bots"))["bots"]}
    assert bots["beeper"]["stages"]["tts"] == {"provider": "beep", "detail": "beeps, one for each word"}


@on_the_call_loop
async def test_its_voice_is_heard_word_by_word(system: LocalSystem) -> None:
    async with Caller.connect(system.url, bot="beeper") as caller:
        assert await hear_greeting(caller, within_s=10)
    shown = " ".join(message.data["text"] for message in caller.recording.of_type("bot-tts-text"))
    assert shown.split() == GREETING.split()

    frames = caller.recording.frames()
    # A gateway that stood still for a moment skips on: no fault of the voice.
    voice = np.concatenate([frame.pcm for frame in frames if frame.source != "skipped"])
    lengths_ms = tones_ms(voice)
    sources = Counter(frame.source for frame in frames)
    assert [round(length_ms / LETTER_MS) for length_ms in lengths_ms] == LETTERS, f"{lengths_ms} {sources}"
    assert abs(pitch_hz(voice) - HIGH_HZ) < 20


@on_the_call_loop
async def test_a_voice_that_it_does_not_have_is_said_to_the_caller(system: LocalSystem) -> None:
    with pytest.raises(RefusedError, match="low or high, not 'squeak'") as refused:
        async with Caller.connect(system.url, bot="squeaker"):
            pass
    assert refused.value.status == 400


def tones_ms(voice: np.ndarray) -> list[int]:
    """How long each sound lasts, to a window of 5 ms; a dip much shorter than the gap between words is none."""
    size = VOICE_HZ * WINDOW_MS // 1000
    windows = voice[: len(voice) // size * size].reshape(-1, size).astype(np.float64)
    loud = np.sqrt((windows**2).mean(axis=1)) > 1_000
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(int)))
    inner = edges[1:-1].reshape(-1, 2)
    gaps = inner[inner[:, 1] - inner[:, 0] >= LEAST_GAP_MS // WINDOW_MS]
    spans = np.concatenate((edges[:1], gaps.ravel(), edges[-1:])).reshape(-1, 2)
    return [int(end - begin) * WINDOW_MS for begin, end in spans]


def pitch_hz(voice: np.ndarray) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(voice.astype(np.float64)))
    return float(np.argmax(spectrum)) * VOICE_HZ / len(voice)


def table(stage: str) -> dict[tuple[str, str], str]:
    """The cells of a stage's table by row and provider."""
    found = re.search(rf"^## .*`{stage}`\n(?:.*\n)*?((?:\|.*\|\n)+)", PAGE.read_text(), re.MULTILINE)
    assert found, stage
    heading, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines())
    return {(row[0], provider): cell for row in rows for provider, cell in zip(heading[1:], row[1:], strict=True)}


class TestPage:
    """docs/providers.md says what the code says."""

    def test_it_shows_the_example_as_it_is(self) -> None:
        page, module = PAGE.read_text(), MODULE.read_text()
        assert len(module.splitlines()) <= MOST_LINES
        assert f"```python\n{module}```\n" in page
        assert f"```toml\n{(EXAMPLE / 'pyproject.toml').read_text()}```\n" in page

    @pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
    def test_each_provider_has_its_column(self, stage: str) -> None:
        package = tomllib.loads((ROOT / "services" / stage / "pyproject.toml").read_text())
        registered = set(package["project"]["entry-points"][f"natter.{stage}"])
        assert {provider for _, provider in table(stage)} == registered

    @pytest.mark.parametrize(
        ("stage", "row", "provider", "default"),
        [
            ("stt", "`model`", "deepgram", NOVA),
            ("stt", "`model`", "deepgram-flux", FLUX_ENGLISH),
            ("stt", "`model`", "gladia", gladia.MODEL),
            ("stt", "`model`", "openai", transcriptions.MODEL),
            ("llm", "`model`", "openai", chat.DEFAULT_MODEL),
            ("tts", "`voice`", "deepgram", aura.DEFAULT_VOICES["en"]),
            ("tts", "`model`", "elevenlabs", elevenlabs_wire.DEFAULT_MODEL),
            ("tts", "`model`", "openai", speech_api.DEFAULT_MODEL),
            ("tts", "`voice`", "openai", speech_api.DEFAULT_VOICE),
        ],
    )
    def test_it_names_the_defaults(self, stage: str, row: str, provider: str, default: str) -> None:
        assert f"`{default}`" in table(stage)[row, provider]

    def test_it_says_when_a_final_comes(self) -> None:
        for provider in installed("natter.stt", SttProvider):
            within_ms = provider.final_within_ms
            words = f"{within_ms} ms" if within_ms < 1_000 else f"{within_ms / 1_000:g} s"
            assert table("stt")["a final comes within", provider.name] == words

    def test_it_has_the_order_of_auto(self) -> None:
        page = PAGE.read_text()
        for stage, names in AUTO_PROVIDERS.items():
            if len(names) > 1:
                assert f"| `{stage_name(stage)}` | {', '.join(names)} |" in page
