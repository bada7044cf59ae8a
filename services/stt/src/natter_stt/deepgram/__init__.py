"""Deepgram's recognizers through its SDK: `deepgram` (told when to finalize) and `deepgram-flux` (decides itself)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_stt.provider import SAMPLE_RATE_HZ, BadSettingsError, SpeechEnds, StreamSettings
from natter_stt.recognition import Recognition
from natter_stt.socket_provider import SocketProvider, key_of
from natter_stt.socket_stream import Link

if TYPE_CHECKING:
    from deepgram import AsyncDeepgramClient

__all__ = ["DeepgramFluxProvider", "DeepgramProvider"]

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


class _Deepgram(SocketProvider["AsyncDeepgramClient"]):
    """What both have in common."""

    vendor = "Deepgram"

    async def _make_client(self) -> AsyncDeepgramClient:
        settings = DeepgramSettings()
        key = key_of(settings.deepgram_api_key.get_secret_value(), "DEEPGRAM_API_KEY")
        return await asyncio.to_thread(_client, key, settings.deepgram_base_url.rstrip("/"))


class DeepgramProvider(_Deepgram):
    """An `SttProvider`: `/v1/listen`."""

    name = "deepgram"
    speech_ends = SpeechEnds.FINALIZE
    final_within_ms = 800
    early_final = True
    stable_interims = True
    final_grace_ms = 300

    def describe(self) -> str:
        return f"Deepgram {NOVA}"

    def _recognition(self, settings: StreamSettings) -> Recognition:
        from natter_stt.deepgram.listen import ListenRecognition

        if settings.model is not None and settings.model.startswith("flux"):
            raise BadSettingsError(f"{settings.model!r} is a model of the provider deepgram-flux")
        _check_keyterms(settings)
        return ListenRecognition(settings)

    def _connect(self, client: AsyncDeepgramClient, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.deepgram.link import open_link

        model = settings.model or NOVA
        terms = list(settings.keyterms)
        # Before nova-3 they are called keywords.
        named: dict[str, Any] = {"keyterm" if model.startswith("nova-3") else "keywords": terms} if terms else {}
        return open_link(
            client.listen.v1.connect(
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
    early_final = False  # a forced end would be the end of its turn
    stable_interims = False  # its eager ends say when an answer may be prepared
    final_grace_ms = 2_000  # it is told to end after 1.6 s

    def describe(self) -> str:
        return "Deepgram Flux"

    def _recognition(self, settings: StreamSettings) -> Recognition:
        from natter_stt.deepgram.flux import FluxRecognition

        if settings.model is not None and settings.model.startswith("nova"):
            raise BadSettingsError(f"{settings.model!r} is a model of the provider deepgram")
        if settings.model == FLUX_ENGLISH and _language(settings) != "en":
            raise BadSettingsError(f"{FLUX_ENGLISH} knows English only, not {settings.language!r}")
        _check_keyterms(settings)
        return FluxRecognition(settings)

    def _connect(self, client: AsyncDeepgramClient, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        from natter_stt.deepgram.link import open_link

        model = settings.model or (FLUX_ENGLISH if _language(settings) == "en" else FLUX_MULTILINGUAL)
        more: dict[str, Any] = {}
        if settings.keyterms:
            more["keyterm"] = list(settings.keyterms)
        if model == FLUX_MULTILINGUAL:
            more["language_hint"] = [_language(settings)]
        return open_link(
            client.listen.v2.connect(
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


def _client(key: str, base: str) -> AsyncDeepgramClient:
    """Import the SDK, which takes half a second, with all that it would import at the first call."""
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    from natter_stt.deepgram.link import open_link

    sockets = base.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=base, production=sockets, agent=sockets, agent_rest=base)
    client = AsyncDeepgramClient(api_key=key, environment=environment)
    _ = open_link, client.listen.v1, client.listen.v2
    return client
