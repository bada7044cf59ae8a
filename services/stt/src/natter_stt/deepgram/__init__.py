"""Deepgram's recognizers through its SDK: `deepgram` (told when to finalize) and `deepgram-flux` (decides itself)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble
from natter_stt.provider import (
    SAMPLE_RATE_HZ,
    BadSettingsError,
    Emit,
    SpeechEnds,
    StreamSettings,
    SttError,
    SttStream,
)
from natter_stt.socket_stream import Connections, Link, SocketStream

if TYPE_CHECKING:
    from deepgram import AsyncDeepgramClient

__all__ = ["DeepgramFluxProvider", "DeepgramProvider"]

PROBE_S: Final = 5.0
NOVA: Final = "nova-3"
FLUX_ENGLISH: Final = "flux-general-en"
FLUX_MULTILINGUAL: Final = "flux-general-multi"
# The vendor's own end of an utterance: closes words before vad has seen the pause, so that they are there when asked.
ENDPOINTING_MS: Final = 100
UTTERANCE_END_MS: Final = 1_000  # the least that is taken
# Without it there are no eager ends. Lower is earlier, and wrong more often.
EAGER_THRESHOLD: Final = 0.5
MOST_KEYTERMS: Final = 100


class DeepgramSettings(BaseSettings):
    """The environment (or `.env`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    deepgram_api_key: SecretStr = SecretStr("")
    deepgram_base_url: str = "https://api.deepgram.com"
    """`http(s)://host:port`; the WebSocket scheme follows."""


class _Deepgram:
    """What both have in common."""

    name = "deepgram"

    def __init__(self) -> None:
        self._client: AsyncDeepgramClient | None = None
        self._connections: Connections | None = None

    async def load(self, registry: CollectorRegistry) -> None:
        """Read the key and import the SDK; raises `SttError` without a key. Needs no network."""
        settings = DeepgramSettings()
        if not settings.deepgram_api_key.get_secret_value().strip():
            raise SttError(Trouble.NOT_CONFIGURED, "DEEPGRAM_API_KEY is not set.", retryable=False)
        self._client = await asyncio.to_thread(_client, settings)
        self._connections = Connections(self.name, registry)

    async def probe(self) -> None:
        """Open a connection and close it, which costs nothing; raises `SttError`."""
        context = self._connect(StreamSettings())
        await self._started[1].enter(context, PROBE_S, "Deepgram")
        await context.__aexit__(None, None, None)

    async def close(self) -> None:
        """Wait for what is still being connected."""
        if self._connections is not None:
            await self._connections.close()

    @property
    def _started(self) -> tuple[AsyncDeepgramClient, Connections]:
        if self._client is None or self._connections is None:
            raise SttError(Trouble.NOT_CONFIGURED, "Deepgram was not loaded.", retryable=False)
        return self._client, self._connections

    def _connect(self, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        raise NotImplementedError


class DeepgramProvider(_Deepgram):
    """An `SttProvider`: `/v1/listen`."""

    name = "deepgram"
    speech_ends = SpeechEnds.FINALIZE
    final_within_ms = 800

    def describe(self) -> str:
        return f"Deepgram {NOVA}"

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`."""
        from natter_stt.deepgram.listen import ListenRecognition

        if settings.model is not None and settings.model.startswith("flux"):
            raise BadSettingsError(f"{settings.model!r} is a model of the provider deepgram-flux")
        _check_keyterms(settings)
        connections = self._started[1]
        return SocketStream(ListenRecognition(settings), lambda: self._connect(settings), emit, connections)

    def _connect(self, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.deepgram.link import open_link

        model = settings.model or NOVA
        terms = list(settings.keyterms)
        # Before nova-3 they are called keywords.
        named: dict[str, Any] = {"keyterm" if model.startswith("nova-3") else "keywords": terms} if terms else {}
        return open_link(
            self._started[0].listen.v1.connect(
                model=model,
                language=settings.language,
                encoding="linear16",
                sample_rate=str(SAMPLE_RATE_HZ),
                channels="1",
                interim_results="true",
                punctuate="true",
                endpointing=str(ENDPOINTING_MS),
                utterance_end_ms=str(UTTERANCE_END_MS),
                **named,
            )
        )


class DeepgramFluxProvider(_Deepgram):
    """An `SttProvider`: `/v2/listen`."""

    name = "deepgram-flux"
    speech_ends = SpeechEnds.TURNS
    final_within_ms = 2_500

    def describe(self) -> str:
        return "Deepgram Flux"

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`."""
        from natter_stt.deepgram.flux import FluxRecognition

        if settings.model is not None and settings.model.startswith("nova"):
            raise BadSettingsError(f"{settings.model!r} is a model of the provider deepgram")
        if settings.model == FLUX_ENGLISH and _language(settings) != "en":
            raise BadSettingsError(f"{FLUX_ENGLISH} knows English only, not {settings.language!r}")
        _check_keyterms(settings)
        connections = self._started[1]
        return SocketStream(FluxRecognition(settings), lambda: self._connect(settings), emit, connections)

    def _connect(self, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.deepgram.link import open_link

        model = settings.model or (FLUX_ENGLISH if _language(settings) == "en" else FLUX_MULTILINGUAL)
        more: dict[str, Any] = {}
        if settings.keyterms:
            more["keyterm"] = list(settings.keyterms)
        if model == FLUX_MULTILINGUAL:
            more["language_hint"] = [_language(settings)]
        return open_link(
            self._started[0].listen.v2.connect(
                model=model,
                encoding="linear16",
                sample_rate=str(SAMPLE_RATE_HZ),
                eager_eot_threshold=str(EAGER_THRESHOLD),
                **more,
            )
        )


def _language(settings: StreamSettings) -> str:
    return settings.language.split("-")[0].lower()


def _check_keyterms(settings: StreamSettings) -> None:
    if len(settings.keyterms) > MOST_KEYTERMS:
        raise BadSettingsError(f"Deepgram takes {MOST_KEYTERMS} keyterms at most, not {len(settings.keyterms)}")


def _client(settings: DeepgramSettings) -> AsyncDeepgramClient:
    """Import the SDK, which takes half a second, with all that it would import at the first call."""
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    from natter_stt.deepgram.link import open_link

    base = settings.deepgram_base_url.rstrip("/")
    sockets = base.replace("http", "ws", 1)
    client = AsyncDeepgramClient(
        api_key=settings.deepgram_api_key.get_secret_value().strip(),
        environment=DeepgramClientEnvironment(base=base, production=sockets, agent=sockets, agent_rest=base),
    )
    _ = open_link, client.listen.v1, client.listen.v2
    return client
