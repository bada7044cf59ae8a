"""Transcriptions through the `openai` SDK: one WAV file a request, deadlines, errors in Natter's terms.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI

from natter_common.providers import Trouble, refused
from natter_stt.provider import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, SttError

KEY_VARIABLE: Final = "OPENAI_API_KEY"
_OFFICIAL: Final = "https://api.openai.com/v1"
_CONNECT_S: Final = 2.0
_WRITE_S: Final = 1.0
# 8 s of speech take a small model on a GPU 0.2 s; whoever needs longer than this can't hold a conversation.
TRANSCRIBE_S: Final = 2.2
_PROBE_S: Final = 4.5
# Idle connections are given up before the usual limits of proxies and load balancers (60 s and more).
_KEEP_S: Final = 58.0
_MOST_CONNECTIONS: Final = 64
_FAILURES: Final = (openai.OpenAIError, httpx2.HTTPError, ValueError)


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its times in seconds of the file."""

    text: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What a server made of a file. `words` is empty where it gives no times."""

    text: str
    words: tuple[TimedWord, ...] = ()


class TranscriptionClient:
    """Connections to one server, for all sessions of a worker."""

    def __init__(self, key: str, base_url: str) -> None:
        """Nothing is connected yet.

        Args:
            key: may be empty for a server of one's own.
            base_url: with its path (`…/v1`); empty for OpenAI's own API.

        Raises:
            SttError: the address can't be used.
        """
        address = base_url or _OFFICIAL
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            words = "OPENAI_BASE_URL is no address: it looks like http://host:8000/v1."
            raise SttError(Trouble.BAD_SETTINGS, words, retryable=False)
        self.vendor: Final = "OpenAI" if not base_url else f"The server at {parts.netloc.rpartition('@')[2]}"
        timeout = httpx2.Timeout(TRANSCRIBE_S, connect=_CONNECT_S, write=_WRITE_S, pool=_WRITE_S)
        limits = httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS, keepalive_expiry=_KEEP_S
        )
        http = openai.DefaultAsyncHttpxClient(timeout=timeout, limits=limits)
        self._sdk = AsyncOpenAI(
            api_key=key or "none", base_url=address, timeout=timeout, max_retries=0, http_client=http
        )
        self._untimed: set[str] = set()  # models that give no word times; as many as bots name

    async def transcribe(self, pcm: bytes, *, model: str, language: str, keyterms: Sequence[str] = ()) -> Transcribed:
        """What is said in s16le audio at 16 kHz.

        Raises:
            SttError: it can't be had in time.
        """
        file = ("speech.wav", wav(pcm), "audio/wav")
        form: dict[str, Any] = {"file": file, "model": model, "language": language}
        if keyterms:
            form["prompt"] = ", ".join(keyterms)
        timed = model not in self._untimed and "4o" not in model  # of OpenAI's own, only Whisper gives times
        try:
            async with asyncio.timeout(TRANSCRIBE_S):
                if timed:
                    try:
                        return await self._ask(form, "verbose_json")
                    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                        if "response_format" not in str(error.body) and "timestamp" not in str(error.body):
                            raise
                        self._untimed.add(model)
                return await self._ask(form, "json")
        except TimeoutError:
            raise SttError(Trouble.STALLED, f"{self.vendor} does not transcribe in time.") from None
        except _FAILURES as error:
            raise self._fault(error) from error

    async def _ask(self, form: dict[str, Any], response_format: Literal["json", "verbose_json"]) -> Transcribed:
        more: dict[str, Any] = {"timestamp_granularities": ["word"]} if response_format == "verbose_json" else {}
        create: Any = self._sdk.audio.transcriptions.create  # its overloads want each combination spelled out
        return understand(await create(**form, **more, response_format=response_format))

    async def probe(self) -> None:
        """Whether the server is there and takes the key; raises `SttError`."""
        try:
            async with asyncio.timeout(_PROBE_S):
                await self._sdk.get("/models", cast_to=httpx2.Response)
        except TimeoutError:
            raise SttError(Trouble.STALLED, f"{self.vendor} does not answer in time.") from None
        except (openai.NotFoundError, openai.PermissionDeniedError):
            return  # some servers, and restricted keys, have transcriptions and no list of models
        except _FAILURES as error:
            raise self._fault(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()

    def _fault(self, error: Exception) -> SttError:
        if isinstance(error, openai.APIStatusError):
            # Money that is gone comes with status 429, and does not pass by waiting.
            status = 402 if error.code == "insufficient_quota" else error.status_code
            body: Any = error.body
            detail = str(body.get("message", "")) if hasattr(body, "get") and status not in {401, 403} else ""
            refusal = refused(self.vendor, status, KEY_VARIABLE, detail)
            return SttError(refusal.code, refusal.words, retryable=refusal.retryable)
        if isinstance(error, openai.APIResponseValidationError) or not isinstance(
            error, openai.APIConnectionError | httpx2.HTTPError
        ):
            return SttError(Trouble.MALFORMED, f"{self.vendor} sent an answer that can't be read.")
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
        if isinstance(cause, httpx2.ConnectTimeout | httpx2.ConnectError | httpx2.PoolTimeout):
            return SttError(Trouble.UNAVAILABLE, f"{self.vendor} can't be reached.")
        if isinstance(cause, httpx2.TimeoutException):
            return SttError(Trouble.STALLED, f"{self.vendor} does not transcribe in time.")
        return SttError(Trouble.CUT_OFF, f"{self.vendor} ended the connection before it had answered.")


def understand(answer: Any) -> Transcribed:
    """An answer of the SDK's in our words; raises `ValueError` for what is none."""
    text = getattr(answer, "text", None)
    if not isinstance(text, str):
        raise ValueError("an answer without a text")  # noqa: TRY004 - it is the server's mistake
    try:
        words = tuple(
            TimedWord(str(word.word).strip(), float(word.start), float(word.end))
            for word in getattr(answer, "words", None) or ()
        )
    except (AttributeError, TypeError) as error:
        raise ValueError("a word without times") from error
    return Transcribed(text.strip(), words)


def wav(pcm: bytes) -> bytes:
    """s16le audio at 16 kHz as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm)
    return buffer.getvalue()
