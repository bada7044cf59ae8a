"""Where the chaos suite takes place: emulated vendors or built-in models, and a system with a spare worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from natter_bench.chaos.script import CONVERSATION, reply_to
from natter_bench.errors import CallError
from natter_bench.latency_script import Utterance
from natter_bench.signalling import http_client
from natter_bench.speech import EncodedSpeech, encode
from natter_bench.speech import say as read_aloud
from natter_local.broker import BrokerError
from natter_local.system import GATEWAY, LocalSystem, StartError

try:
    # Come with the tests' packages, which are not there where only a client is installed.
    from natter_emulators.emulators import Emulators
    from natter_emulators.marks import caller_speech
    from natter_emulators.script import Delays, Messages, Reply, Script
    from natter_testing.provider_calls import Case, provider_system
except ImportError as missing:
    raise CallError("emulators are not installed here: run this in the project's own environment") from missing

BOT: Final = "chaos"
SPARED: Final = 2
"""Workers of the stage that is struck: the one that serves, and the spare."""
DELAYS: Final = Delays(
    interim_ms=100, final_ms=100, first_token_ms=200, tokens_per_s=20.0, first_audio_ms=120, audio_speed=1.5
)
"""Model and voice are slow on purpose: they are at work during most of the reply, so that a kill finds them there."""
_WORDS_PER_S: Final = 4.0
_DRAIN_S: Final = 25.0
_EMULATED: Final = {
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {"provider": "elevenlabs"},
}
_BUILT_IN: Final = {
    "stt": {"provider": "local"},
    "llm": {"provider": "local", "max_tokens": 60, "max_sentences": 2, "temperature": 0},
    "tts": {"provider": "local"},
}


@dataclass(slots=True)
class World:
    """A system that is up, and what its emulated model was asked."""

    system: LocalSystem
    http: httpx.AsyncClient
    built_in: bool
    conversation: Sequence[Utterance]
    asked: list[Messages] = field(default_factory=list[Messages])
    """Requests since this was last cleared; nothing on built-in models."""


@asynccontextmanager
async def open_world(
    folder: Path,
    workers: Mapping[str, int],
    *,
    built_in: bool = False,
    nats_nodes: int = 1,
    conversation: Sequence[Utterance] = CONVERSATION,
) -> AsyncGenerator[World]:
    """Start emulators and services; `workers` says of which stages there are more than one. Raises CallError.

    The emulated model answers with the replies of `conversation`.
    """
    services = {GATEWAY: 1, "vad": 1, "stt": 1, "llm": 1, "tts": 1, **workers}
    stages: Mapping[str, Mapping[str, Any]] = _BUILT_IN if built_in else _EMULATED
    case = Case(BOT, stages)
    asked: list[Messages] = []

    def answer(messages: Messages) -> Reply:
        asked.append(messages)
        return Reply(reply_to(messages, conversation))

    try:
        async with Emulators(delays=DELAYS) as emulators, http_client() as http:
            emulators.openai.script_default(Script(replies=answer))
            emulators.elevenlabs.script_default(Script(words_per_s=_WORDS_PER_S))
            # As the real service writes them: interims end without a full stop, finals with one.
            emulators.deepgram.sentences = True
            env = {"NATTER_DRAIN_S": str(_DRAIN_S)}
            async with provider_system(folder, emulators, [case], env, services, nats_nodes) as system:
                yield World(system, http, built_in, conversation, asked)
    except (StartError, BrokerError) as error:
        raise CallError(f"the services do not come up: {error}") from error


def spoken(text: str, *, built_in: bool) -> EncodedSpeech:
    """What the caller says, as it is sent: marked for the emulators, and a plain voice for models."""
    speech = read_aloud(text) if built_in else caller_speech(text)
    return encode(speech.pcm, speech.rate_hz)
