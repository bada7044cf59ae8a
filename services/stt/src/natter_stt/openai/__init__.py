"""OpenAI's transcriptions, for servers of one's own that speak its API (speaches, vLLM, LocalAI) by `OPENAI_BASE_URL`.

It takes whole files, so the speech that vad found is cut as for the built-in recognizer: interims while somebody
speaks, and an early transcription at each dip, which serves as the final when the dip turns out to be the pause.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble
from natter_stt.local.engine import Job
from natter_stt.local.segmenter import Segmenter
from natter_stt.local.stream import LocalStream
from natter_stt.openai.placing import Placing
from natter_stt.provider import Emit, SpeechEnds, StreamSettings, SttError, SttStream

if TYPE_CHECKING:
    from natter_stt.openai.client import TranscriptionClient

__all__ = ["OpenAiProvider"]

MODEL: Final = "whisper-1"
DIP_MS: Final = 100  # each dip is a request, which may be paid for
# Trouble of a connection that was idle, found at its next use: a new one may be all that is needed.
_AGAIN: Final = frozenset({Trouble.CUT_OFF, Trouble.UNAVAILABLE})


class OpenAiSettings(BaseSettings):
    """The environment (or `.env`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = ""
    """With its path, `…/v1`; empty for OpenAI's own API."""


class OpenAiProvider:
    """An `SttProvider`. Only bots that name it get it."""

    name = "openai"
    speech_ends = SpeechEnds.FINALIZE
    final_within_ms = 2_500
    early_final = False  # what is cut in the middle of a sentence is recognized worse
    stable_interims = False  # each is a transcription of its own
    final_grace_ms = 1_500

    def __init__(self) -> None:
        self._client: TranscriptionClient | None = None
        self._pieces: Counter | None = None

    def describe(self) -> str:
        vendor = "OpenAI" if self._client is None else self._client.vendor
        return f"{vendor}, transcriptions by {MODEL} unless the bot names another model"

    async def load(self, registry: CollectorRegistry) -> None:
        """Read the settings and import the SDK; raises `SttError` without any. Needs no network."""
        settings = OpenAiSettings()
        key, base_url = settings.openai_api_key.get_secret_value().strip(), settings.openai_base_url.strip()
        if not key and not base_url:
            words = "Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own."
            raise SttError(Trouble.NOT_CONFIGURED, words, retryable=False)
        self._client = await asyncio.to_thread(_client, key, base_url)
        self._pieces = Counter(
            "natter_stt_openai_pieces",
            "Pieces of audio sent (interim, dip, final), and those reused, skipped, mistrusted",
            ("what",),
            registry=registry,
        )

    async def probe(self) -> None:
        """Ask for the list of models; raises `SttError`."""
        await self._started.probe()

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session."""
        placing = Placing()
        language = settings.language.split("-")[0].lower()
        segmenter = Segmenter(
            settings.from_sample, settings.interim_interval_ms, self._count, placing.place, language, DIP_MS
        )
        return LocalStream(_Transcriber(self._started, settings, language, placing), segmenter, emit)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    @property
    def _started(self) -> TranscriptionClient:
        if self._client is None:
            raise SttError(Trouble.NOT_CONFIGURED, "OpenAI was not loaded.", retryable=False)
        return self._client

    def _count(self, what: str) -> None:
        if self._pieces is not None:
            self._pieces.labels(what).inc()


class _Transcriber:
    """One session's way to the server. A job may be called back at any time: its request is cancelled."""

    def __init__(self, client: TranscriptionClient, settings: StreamSettings, language: str, placing: Placing) -> None:
        self._client = client
        self._settings = settings
        self._language = language
        self._placing = placing

    async def transcribe(self, job: Job) -> str:
        try:
            return await self._once(job)
        except SttError as error:
            if error.code not in _AGAIN:
                raise
            return await self._once(job)

    async def _once(self, job: Job) -> str:
        answer = await self._client.transcribe(
            job.pcm,
            model=self._settings.model or MODEL,
            language=self._language,
            keyterms=self._settings.keyterms,
        )
        self._placing.note(answer.text, [(word.text, word.from_s, word.to_s) for word in answer.words])
        return answer.text


def _client(key: str, base_url: str) -> TranscriptionClient:
    """Import the SDK, which takes a second, with all that it would import at the first call."""
    import openai.resources.audio
    from openai.types.audio import TranscriptionVerbose

    from natter_stt.openai.client import TranscriptionClient

    _ = openai.resources.audio, TranscriptionVerbose
    return TranscriptionClient(key, base_url)
