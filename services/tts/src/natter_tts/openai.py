"""A voice of a server that speaks OpenAI's API (audio.speech): one request a segment, given out when it is whole.

Meant for servers of one's own (``OPENAI_BASE_URL``); the vendor's are used only when a bot names this provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble, refused
from natter_tts.provider import TtsError, TtsSettings, VoiceChunk
from natter_tts.whole import has_letters, silent_segment, whole_segment

if TYPE_CHECKING:
    from openai import AsyncOpenAI

VENDOR: Final = "OpenAI"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
DEFAULT_MODEL: Final = "gpt-4o-mini-tts"
DEFAULT_VOICE: Final = "alloy"
CONNECT_S: Final = 2.0
# Many servers of one's own make a segment whole before they send anything. The session's own deadline is shorter when
# it has somebody else to ask.
FIRST_AUDIO_S: Final = 3.0
NEXT_AUDIO_S: Final = 0.7
PROBE_S: Final = 4.0
SLOWEST, FASTEST = 0.25, 4.0
# Ten minutes of voice: no segment is as long.
_MOST_BYTES: Final = 30_000_000
# Types that are no raw samples.
_NO_VOICE: Final = ("text/", "application/json", "audio/mpeg", "audio/wav", "audio/ogg")


class OpenAiVoiceSettings(BaseSettings):
    """Environment."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="OPENAI_", extra="ignore")

    api_key: str = ""
    base_url: str = ""


class OpenAiProvider:
    """The server, for all sessions of a worker."""

    name = "openai"

    def __init__(self, settings: OpenAiVoiceSettings | None = None) -> None:
        self._settings = settings
        self._client: AsyncOpenAI | None = None

    def describe(self) -> str:
        return "OpenAI speech API"

    async def load(self, registry: CollectorRegistry) -> None:
        settings = self._settings or OpenAiVoiceSettings()
        if not settings.api_key and not settings.base_url:
            raise TtsError(Trouble.NOT_CONFIGURED, "neither OPENAI_API_KEY nor OPENAI_BASE_URL is set", retryable=False)
        # The SDK takes a second to import.
        await asyncio.to_thread(import_module, "openai.resources.audio.speech")
        from openai import AsyncOpenAI, Timeout

        self._client = AsyncOpenAI(
            api_key=settings.api_key or "none",
            base_url=settings.base_url or None,
            # Whoever asked decides what is next, and has someone else to ask.
            max_retries=0,
            timeout=Timeout(FIRST_AUDIO_S, connect=CONNECT_S),
        )

    def open(self, settings: TtsSettings) -> OpenAiStream:
        if self._client is None:
            raise TtsError("not_loaded", f"{VENDOR} is not loaded.")
        return OpenAiStream(self._client, settings)

    async def probe(self) -> None:
        """List the models: free of charge. A server that has no such list (404) is there."""
        if self._client is None:
            raise TtsError("not_loaded", f"{VENDOR} is not loaded.")
        import httpx2
        import openai

        try:
            async with asyncio.timeout(PROBE_S):
                # The SDK's own list of models breaks on what is no list.
                answer = await self._client.get("/models", cast_to=httpx2.Response)
                answer.json()
        except openai.NotFoundError:
            return
        except openai.APIError as error:
            raise _error_of(error, "") from error
        except ValueError as error:
            words = f"{VENDOR} serves no list of models: OPENAI_BASE_URL has to end with its path, …/v1."
            raise TtsError(Trouble.MALFORMED, words) from error
        except TimeoutError as error:
            raise TtsError(Trouble.UNAVAILABLE, f"{VENDOR} does not answer within {PROBE_S:g} s.") from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class OpenAiStream:
    """One session's voice."""

    def __init__(self, client: AsyncOpenAI, settings: TtsSettings) -> None:
        self._client = client
        self._model = settings.model or DEFAULT_MODEL
        self._voice = settings.voice or DEFAULT_VOICE
        self._speed = min(max(settings.speed, SLOWEST), FASTEST)

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        if not has_letters(spoken):
            yield silent_segment(text)
            return
        for chunk in whole_segment(text, spoken, await self._fetch(spoken)):
            yield chunk

    async def close(self) -> None:
        """Nothing is held between segments; the client keeps its connections."""

    async def _fetch(self, spoken: str) -> bytes:
        import httpx2
        import openai

        speed: dict[str, Any] = {} if self._speed == 1.0 else {"speed": self._speed}
        voice = bytearray()
        started = False
        try:
            async with asyncio.timeout(FIRST_AUDIO_S) as deadline:
                loop = asyncio.get_running_loop()
                async with self._client.audio.speech.with_streaming_response.create(
                    model=self._model, voice=self._voice, input=spoken, response_format="pcm", **speed
                ) as response:
                    _check_type(response.headers.get("content-type", ""))
                    async for piece in response.iter_bytes():
                        started = True
                        deadline.reschedule(loop.time() + NEXT_AUDIO_S)
                        voice += piece
                        if len(voice) > _MOST_BYTES:
                            raise TtsError(Trouble.MALFORMED, f"{VENDOR} sends voice without end.")
        except openai.APIError as error:
            asked = f" Asked for: voice {self._voice!r}, model {self._model!r}."
            raise _error_of(error, asked) from error
        except httpx2.TimeoutException as error:
            raise TtsError(Trouble.STALLED, f"{VENDOR} makes no voice.") from error
        except httpx2.TransportError as error:
            raise TtsError(Trouble.CUT_OFF, f"{VENDOR} ended the connection in the middle.") from error
        except TimeoutError as error:
            within_s = NEXT_AUDIO_S if started else FIRST_AUDIO_S
            raise TtsError(Trouble.STALLED, f"{VENDOR} makes no voice for {within_s:g} s.") from error
        if len(voice) % 2:
            raise TtsError(Trouble.MALFORMED, f"{VENDOR} sent half a sample.")
        return bytes(voice)


def _check_type(content_type: str) -> None:
    if content_type.lower().startswith(_NO_VOICE):
        raise TtsError(Trouble.MALFORMED, f"{VENDOR} sent {content_type!r} where raw samples were asked for.")


def _error_of(error: Any, asked: str) -> TtsError:
    """What an error of the SDK's means; it has a status unless the server was not reached."""
    import openai

    if isinstance(error, openai.APIStatusError):
        detail = str(cast("dict[str, Any]", error.body).get("message") or "") if isinstance(error.body, dict) else ""
        # An empty account is told with the status of too many requests.
        status = 402 if error.code == "insufficient_quota" else error.status_code
        what = refused(VENDOR, status, KEY_VARIABLE, detail)
        return TtsError(
            what.code, what.words + (asked if what.code == Trouble.BAD_SETTINGS else ""), retryable=what.retryable
        )
    if isinstance(error, openai.APITimeoutError):
        return TtsError(Trouble.UNAVAILABLE, f"{VENDOR} does not answer in time.")
    return TtsError(Trouble.UNAVAILABLE, f"{VENDOR} can't be reached ({type(error).__name__}).")
