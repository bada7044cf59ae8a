"""Gladia's live recognition (v2) through its SDK: it hears the silence and decides when an utterance is over."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, cast

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
    from gladiaio_sdk.v2.live.async_client import LiveV2AsyncClient
    from gladiaio_sdk.v2.live.generated_types import LiveV2InitRequest, LiveV2TranscriptionLanguageCode

__all__ = ["GladiaProvider"]

PROBE_S: Final = 5.0
MODEL: Final = "solaria-1"
ENDPOINTING_S: Final = 0.2  # of silence closes an utterance; the vendor's default is 0.05
LONGEST_UTTERANCE_S: Final = 8.0  # then it is closed without silence
# Two requests and two handshakes, instead of one.
RECONNECT_S: Final = 0.8


class GladiaSettings(BaseSettings):
    """The environment (or `.env`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    gladia_api_key: SecretStr = SecretStr("")
    gladia_base_url: str = "https://api.gladia.io"
    """`http(s)://host:port`; the WebSocket's address comes from there."""


class GladiaProvider:
    """An `SttProvider`."""

    name = "gladia"
    speech_ends = SpeechEnds.ENDPOINT
    final_within_ms = 1_500

    def __init__(self) -> None:
        self._client: LiveV2AsyncClient | None = None
        self._connections: Connections | None = None

    def describe(self) -> str:
        return f"Gladia {MODEL}"

    async def load(self, registry: CollectorRegistry) -> None:
        """Read the key and import the SDK; raises `SttError` without a key. Needs no network."""
        settings = GladiaSettings()
        if not settings.gladia_api_key.get_secret_value().strip():
            raise SttError(Trouble.NOT_CONFIGURED, "GLADIA_API_KEY is not set.", retryable=False)
        self._client = await asyncio.to_thread(_client, settings)
        self._connections = Connections(self.name, registry)

    async def probe(self) -> None:
        """Make a session and stop it, which costs nothing; raises `SttError`."""
        context = self._connect(StreamSettings())
        await self._started[1].enter(context, PROBE_S, "Gladia")
        await context.__aexit__(None, None, None)

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`."""
        from natter_stt.gladia.recognition import GladiaRecognition

        if not 2 <= len(_language(settings)) <= 3:
            raise BadSettingsError(f"{settings.language!r} is no language code")
        connections = self._started[1]
        return SocketStream(
            GladiaRecognition(settings),
            lambda: self._connect(settings),
            emit,
            connections,
            reconnect_s=RECONNECT_S,
        )

    async def close(self) -> None:
        """Close the HTTP connections, and wait for what is still being connected."""
        if self._connections is not None:
            await self._connections.close()
        if self._client is not None:
            await self._client._http_client.close()  # pyright: ignore[reportPrivateUsage] - the SDK never closes it

    @property
    def _started(self) -> tuple[LiveV2AsyncClient, Connections]:
        if self._client is None or self._connections is None:
            raise SttError(Trouble.NOT_CONFIGURED, "Gladia was not loaded.", retryable=False)
        return self._client, self._connections

    def _connect(self, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.gladia.link import open_link

        return open_link(self._started[0], request(settings))


def request(settings: StreamSettings) -> LiveV2InitRequest:
    """What a session is asked for with."""
    from gladiaio_sdk.v2.live.generated_types import (
        LiveV2CustomVocabularyConfig,
        LiveV2InitRequest,
        LiveV2LanguageConfig,
        LiveV2MessagesConfig,
        LiveV2RealtimeProcessingConfig,
    )

    vocabulary = LiveV2CustomVocabularyConfig(vocabulary=list(settings.keyterms)) if settings.keyterms else None
    return LiveV2InitRequest(
        encoding="wav/pcm",
        bit_depth=16,
        sample_rate=SAMPLE_RATE_HZ,
        channels=1,
        model=settings.model or MODEL,
        endpointing=ENDPOINTING_S,
        maximum_duration_without_endpointing=LONGEST_UTTERANCE_S,
        language_config=LiveV2LanguageConfig(
            languages=[cast("LiveV2TranscriptionLanguageCode", _language(settings))], code_switching=False
        ),
        realtime_processing=LiveV2RealtimeProcessingConfig(custom_vocabulary=True, custom_vocabulary_config=vocabulary)
        if vocabulary
        else None,
        messages_config=LiveV2MessagesConfig(
            receive_partial_transcripts=True,
            receive_final_transcripts=True,
            receive_speech_events=True,
            receive_acknowledgments=True,
            receive_errors=True,
            receive_lifecycle_events=False,
            receive_pre_processing_events=False,
            receive_realtime_processing_events=False,
            receive_post_processing_events=False,
        ),
    )


def _language(settings: StreamSettings) -> str:
    return settings.language.split("-")[0].lower()


def _client(settings: GladiaSettings) -> LiveV2AsyncClient:
    """Import the SDK, and have it try everything once only: trying again is the stream's business."""
    from gladiaio_sdk import GladiaClient
    from gladiaio_sdk.client_options import HttpRetryOptions, WebSocketRetryOptions

    from natter_stt.gladia.link import open_link

    _ = open_link
    return GladiaClient(
        api_key=settings.gladia_api_key.get_secret_value().strip(),
        api_url=settings.gladia_base_url.rstrip("/"),
        http_retry=HttpRetryOptions(max_attempts=1),
        http_timeout=PROBE_S,
        ws_retry=WebSocketRetryOptions(max_attempts_per_connection=1, max_connections=1),
        ws_timeout=PROBE_S,
    ).live_v2_async()
