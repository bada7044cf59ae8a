"""No spare worker: the caller is told soon, and the call goes on when one is back."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting
from natter_bench.speech import EncodedSpeech
from natter_local.system import GATEWAY, LocalSystem
from natter_testing.emulated_system import BRIEF, emulated_system

STAGES = ("vad", "stt", "llm", "tts")
NAMES = {"vad": "Speech detection", "stt": "Speech recognition", "llm": "The language model", "tts": "The voice"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalSystem]:
    folder: Path = tmp_path_factory.mktemp("no-spare")
    services = {GATEWAY: 1, **dict.fromkeys(STAGES, 1)}
    async with emulated_system(folder, services=services, options=BRIEF) as running:
        yield running


@pytest.mark.parametrize("stage", STAGES)
async def test_the_caller_is_told_and_the_call_goes_on(system: LocalSystem, speech: EncodedSpeech, stage: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, Caller.connect(system.url, http=http) as caller:
        await hear_greeting(caller)
        await exchange(caller, speech)
        killed_s = time.monotonic()
        await system.kill(stage, signal.SIGKILL, len(system.of(stage)))
        told = await caller.wait_for("error", after_s=killed_s, within_s=5.0)
        assert told is not None
        assert told.data == {
            "error": f"{NAMES[stage]} is out of order right now. It goes on as soon as that is back.",
            "fatal": False,
        }
        await system.add(stage)
        asked_s = time.monotonic()
        await exchange(caller, speech)
        assert caller.last_audible_s > asked_s
        assert caller.recording.of_type("user-transcription", after_s=asked_s)
