"""What is said to ElevenLabs and what it says: addresses, messages, errors. Pure.

The multi-context WebSocket, as of https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
and its guide, with the message types of the vendor's SDK (which itself speaks only the single-context one, not
asynchronously and not to other hosts).

A flush has no answer of its own there: only a context has a final message, when it is closed. The voice of a segment
is whole when its characters are (see `natter_tts.aligned`); the alignment of each message counts from the beginning of
that message's audio, and covers it, for which ``sync_alignment`` asks.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from elevenlabs.types import (
    CloseContext,
    CloseSocket,
    FinalOutputMulti,
    InitializeConnectionMulti,
    RealtimeVoiceSettings,
    SendTextMulti,
    WebsocketTtsServerMessageMulti,
)
from pydantic import ValidationError

from natter_common.providers import Trouble, refused
from natter_tts.aligned import TimedCharacter
from natter_tts.provider import TtsError

VENDOR: Final = "ElevenLabs"
KEY_VARIABLE: Final = "ELEVENLABS_API_KEY"
# "Sarah", of the voices that every account has.
DEFAULT_VOICE: Final = "EXAVITQu4vr4xnSDxMaL"
# The vendor's fastest; 32 languages.
DEFAULT_MODEL: Final = "eleven_flash_v2_5"
# The vendor's most; a socket (and a context) on which nothing was said for so long is closed by it.
INACTIVITY_S: Final = 180
SLOWEST, FASTEST = 0.7, 1.2
# Models that take `language_code`; others find the language out, and refuse to be told.
_TOLD_LANGUAGE_SUFFIX: Final = "_v2_5"

_BY_NAME: Final = {
    "invalid_api_key": 401,
    "authentication_required": 401,
    "needs_authorization": 401,
    "missing_permissions": 401,
    "unauthorized": 401,
    "invalid_authorization_header": 401,
    "quota_exceeded": 402,
    "payment_required": 402,
    "insufficient_credits": 402,
    "too_many_concurrent_requests": 429,
    "concurrent_limit_exceeded": 429,
    "rate_limit_exceeded": 429,
    "max_active_conversations": 429,
    "system_busy": 503,
    "internal_server_error": 503,
    "voice_id_does_not_exist": 404,
    "voice_not_found": 404,
    "invalid_voice_id": 404,
    "model_not_found": 404,
    "invalid_model_id": 404,
    "unsupported_model": 404,
    "invalid_input": 422,
    "invalid_parameters": 422,
}
# Close codes with which the vendor says that the request, not the service, is wrong.
_POLICY: Final = 1008


@dataclass(frozen=True, slots=True)
class VoiceLine:
    """What the address of a socket fixes: sessions that agree in it share sockets."""

    voice: str
    model: str
    language: str


@dataclass(frozen=True, slots=True)
class VoicePiece:
    """A message with audio."""

    context: str
    pcm: bytes
    characters: tuple[TimedCharacter, ...]


@dataclass(frozen=True, slots=True)
class ContextEnded:
    """A context's last message."""

    context: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The vendor says what is wrong; the socket closes after it."""

    name: str
    words: str


def socket_url(base_url: str, line: VoiceLine) -> str:
    """The address of a socket for ``line``; the WebSocket scheme follows that of ``base_url``."""
    parts = urlsplit(base_url.rstrip("/"))
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    query = {
        "model_id": line.model,
        "output_format": "pcm_24000",
        "inactivity_timeout": str(INACTIVITY_S),
        "sync_alignment": "true",
        # Segments are clauses or sentences and flushed one by one: the vendor shall not wait for more.
        "auto_mode": "true",
    }
    if line.language and line.model.endswith(_TOLD_LANGUAGE_SUFFIX):
        query["language_code"] = line.language.split("-")[0].lower()
    path = f"{parts.path}/v1/text-to-speech/{quote(line.voice, safe='')}/multi-stream-input"
    return urlunsplit((scheme, parts.netloc, path, urlencode(query), ""))


def open_message(context: str, speed: float) -> str:
    """Opens a context; ``speed`` is brought to what the vendor takes."""
    if speed == 1.0:
        return _json(InitializeConnectionMulti(context_id=context))
    settings = RealtimeVoiceSettings(speed=min(max(speed, SLOWEST), FASTEST))
    return _json(InitializeConnectionMulti(context_id=context, voice_settings=settings))


def say_message(context: str, spoken: str) -> str:
    """A segment, to be spoken now. Text has to end with a space."""
    return _json(SendTextMulti(text=f"{spoken.strip()} ", context_id=context, flush=True))


def close_context_message(context: str) -> str:
    """Ends a context; what was flushed is still made, and a last message follows."""
    return _json(CloseContext(context_id=context, close_context=True))


def close_socket_message() -> str:
    """Ends the socket."""
    return _json(CloseSocket(close_socket=True))


def parse(message: str | bytes) -> VoicePiece | ContextEnded | Complaint | None:
    """A message of the vendor's; None for one that is of no interest. Raises TtsError for what cannot be understood."""
    try:
        content: Any = json.loads(message)
        if isinstance(content, dict) and ("error" in content or ("message" in content and "audio" not in content)):
            fields = cast("dict[str, Any]", content)
            return Complaint(str(fields.get("error") or ""), str(fields.get("message") or ""))
        # The SDK's type of all messages spells it otherwise than its type of the last one, and the service.
        if isinstance(content, dict) and (content.get("isFinal") or content.get("is_final")):
            return ContextEnded(FinalOutputMulti.model_validate(content).context_id or "")
        parsed = WebsocketTtsServerMessageMulti.model_validate(content)
        pcm = base64.b64decode(parsed.audio or "", validate=True)
    except (ValueError, TypeError, binascii.Error, ValidationError) as error:
        raise TtsError(Trouble.MALFORMED, f"{VENDOR} sent a message that is none ({type(error).__name__}).") from error
    if parsed.audio is None and parsed.alignment is None and parsed.normalized_alignment is None:
        return None
    return VoicePiece(parsed.context_id or "", pcm[: len(pcm) & ~1], _characters(parsed))


def refusal(status: int, line: VoiceLine, detail: str = "") -> TtsError:
    """A refused handshake, or an error that amounts to one."""
    what = refused(VENDOR, status, KEY_VARIABLE, detail)
    words = what.words
    if what.code == Trouble.BAD_SETTINGS:
        words = f"{words} Asked for: voice {line.voice!r}, model {line.model!r}, language {line.language!r}."
    return TtsError(what.code, words, retryable=what.retryable)


def detail(body: bytes | bytearray) -> str:
    """The vendor's own words in the body of an error, as far as it has any."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        return ""
    for _ in range(2):
        if isinstance(content, dict):
            fields = cast("dict[str, Any]", content)
            content = fields.get("detail") or fields.get("message") or ""
    return content if isinstance(content, str) else ""


def complaint_error(complaint: Complaint, line: VoiceLine) -> TtsError:
    """What a complaint means."""
    said = f"{complaint.name} {complaint.words}".strip()
    status = _BY_NAME.get(complaint.name) or _status_by_words(said)
    if status is None:
        return TtsError(Trouble.UNAVAILABLE, f"{VENDOR} can't go on. {VENDOR} says: {' '.join(said.split())[:200]}")
    return refusal(status, line, complaint.words)


def closed_error(code: int, reason: str, line: VoiceLine) -> TtsError:
    """What the end of a socket means that nobody asked for."""
    if code == _POLICY and reason and (status := _status_by_words(reason)) is not None:
        return refusal(status, line, reason)
    return TtsError(Trouble.CUT_OFF, f"{VENDOR} ended the connection in the middle ({code}).")


def _status_by_words(words: str) -> int | None:
    lower = words.lower()
    for name, status in _BY_NAME.items():
        if name in lower:
            return status
    if "quota" in lower or "credits" in lower:
        return 402
    if "api key" in lower:
        return 401
    if "voice" in lower and "not" in lower:
        return 404
    return None


def _characters(message: WebsocketTtsServerMessageMulti) -> tuple[TimedCharacter, ...]:
    # The text as it was sent, if it is told; the normalized one is the vendor's own reading ("five dollars").
    aligned = message.alignment or message.normalized_alignment
    if aligned is None:
        return ()
    starts, durations = aligned.char_start_times_ms or [], aligned.char_durations_ms or []
    return tuple(
        TimedCharacter(character, start, start + duration)
        for character, start, duration in zip(aligned.chars or [], starts, durations, strict=False)
    )


def _json(message: InitializeConnectionMulti | SendTextMulti | CloseContext | CloseSocket) -> str:
    return message.model_dump_json(exclude_none=True)
