"""Gladia's live recognition (v2) through its SDK: it hears the silence and decides when an utterance is over."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, cast

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_stt.provider import SAMPLE_RATE_HZ, BadSettingsError, SpeechEnds, StreamSettings
from natter_stt.recognition import Recognition
from natter_stt.socket_provider import PROBE_S, SocketProvider, key_of
from natter_stt.socket_stream import Link

if TYPE_CHECKING:
    from gladiaio_sdk.v2.live.async_client import LiveV2AsyncClient
    from gladiaio_sdk.v2.live.generated_types import LiveV2InitRequest, LiveV2TranscriptionLanguageCode

__all__ = ["GladiaProvider"]

MODEL: Final = "solaria-1"
ENDPOINTING_S: Final = 0.2  # of silence closes an utterance; the vendor's default is 0.05
LONGEST_UTTERANCE_S: Final = 8.0  # then it is closed without silence


class GladiaSettings(BaseSettings):
    """The environment (or `.env`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    gladia_api_key: SecretStr = SecretStr("")
    gladia_base_url: str = "https://api.gladia.io"
    """`http(s)://host:port`; the WebSocket's address comes from there."""


class GladiaProvider(SocketProvider["LiveV2AsyncClient"]):
    """An `SttProvider`."""

    name = "gladia"
    vendor = "Gladia"
    reconnect_s = 0.8  # two requests and two handshakes, instead of one
    speech_ends = SpeechEnds.ENDPOINT
    final_within_ms = 1_500
    early_final = False  # it closes by what it hears
    stable_interims = False  # by its documentation partials are drafts that the final may replace
    final_grace_ms = 1_000

    def describe(self) -> str:
        return f"Gladia {MODEL}"

    async def close(self) -> None:
        """Close the HTTP connections, and wait for what is still being connected."""
        await super().close()
        if self._client is not None:
            await self._client._http_client.close()  # pyright: ignore[reportPrivateUsage] - the SDK never closes it

    async def _make_client(self) -> LiveV2AsyncClient:
        settings = GladiaSettings()
        key = key_of(settings.gladia_api_key.get_secret_value(), "GLADIA_API_KEY")
        return await asyncio.to_thread(_client, key, settings.gladia_base_url.rstrip("/"))

    def _recognition(self, settings: StreamSettings) -> Recognition:
        from natter_stt.gladia.recognition import GladiaRecognition

        if not 2 <= len(_language(settings)) <= 3:
            raise BadSettingsError(f"{settings.language!r} is no language code")
        return GladiaRecognition(settings)

    def _connect(self, client: LiveV2AsyncClient, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.gladia.link import open_link

        return open_link(client, request(settings))


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


def _client(key: str, base_url: str) -> LiveV2AsyncClient:
    """Import the SDK, and have it try everything once only: trying again is the stream's business."""
    from gladiaio_sdk import GladiaClient
    from gladiaio_sdk.client_options import HttpRetryOptions, WebSocketRetryOptions

    from natter_stt.gladia.link import open_link

    _ = open_link
    return GladiaClient(
        api_key=key,
        api_url=base_url,
        http_retry=HttpRetryOptions(max_attempts=1),
        http_timeout=PROBE_S,
        ws_retry=WebSocketRetryOptions(max_attempts_per_connection=1, max_connections=1),
        ws_timeout=PROBE_S,
    ).live_v2_async()
