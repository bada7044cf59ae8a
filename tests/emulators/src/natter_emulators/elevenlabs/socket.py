"""`/v1/text-to-speech/{voice}/multi-stream-input` on the wire: contexts that speak side by side on one WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from natter_emulators.alignment import alignment, timed_chars
from natter_emulators.elevenlabs.context import ContextSettings, SettingsChangedError, TextBuffer
from natter_emulators.elevenlabs.refusals import (
    INVALID_KEY,
    INVALID_MESSAGE,
    SETTINGS_CHANGED,
    TOO_MANY_CONTEXTS,
    SocketError,
    end_with,
    nothing_came,
    scripted,
)
from natter_emulators.emulator import Context
from natter_emulators.script import Part
from natter_emulators.server import Connection, ConnectionOverError
from natter_emulators.voice import Voice

_GARBAGE: Final = '{"audio": "AAAA", "contextId": "'
_MOST_CONTEXTS: Final = 5
_MOST_TEXTS: Final = 1_000
_DEFAULT_CONTEXT: Final = "default"
_DEFAULT_TIMEOUT_S: Final = 20
_LONGEST_TIMEOUT_S: Final = 180


class BadQueryError(ValueError):
    """A query that this emulator cannot serve."""


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """The part of the query that changes what comes back."""

    rate_hz: int
    auto_mode: bool = False
    inactivity_timeout_s: float = _DEFAULT_TIMEOUT_S

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> SocketOptions:
        """Raises:
        BadQueryError: what the real service refuses, or what this one cannot make.
        """
        codec, _, rate = query.get("output_format", "mp3_44100_128").partition("_")
        if codec != "pcm" or rate not in {"16000", "24000", "48000"}:
            raise BadQueryError("The emulator speaks pcm_16000, pcm_24000 and pcm_48000 only.")
        timeout = query.get("inactivity_timeout", str(_DEFAULT_TIMEOUT_S))
        if not timeout.isdecimal() or not 0 < int(timeout) <= _LONGEST_TIMEOUT_S:
            raise BadQueryError(f"inactivity_timeout has to be between 1 and {_LONGEST_TIMEOUT_S}.")
        return cls(int(rate), query.get("auto_mode", "false").lower() == "true", int(timeout))


class _EndedError(Exception):
    """The connection is to end with an error."""

    def __init__(self, error: SocketError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass
class _SpeechContext:
    settings: ContextSettings
    buffer: TextBuffer
    texts: asyncio.Queue[tuple[str, float] | None]
    """Texts to speak, empty ones just to keep it alive, each with the loop's time at which it came; None at the end."""


class MultiContextConnection:
    """One WebSocket and its contexts: at most five alive, and a closing one is alive until its final message."""

    def __init__(
        self, connection: Connection, options: SocketOptions, part: Part, context: Context, *, key_known: bool
    ) -> None:
        """`key_known`: the key came with the handshake; else the first message of each context has to bring it."""
        self._connection, self._options, self._part = connection, options, part
        self._key, self._key_known = context.key, key_known
        self._voice = Voice(connection, context, part, options.rate_hz, _GARBAGE)
        self._open: dict[str, _SpeechContext] = {}
        self._alive = 0

    async def serve(self) -> None:
        """Until either side closes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                speakers: list[asyncio.Task[None]] = []
                try:
                    await self._receive(tasks, speakers)
                finally:
                    for speaker in speakers:
                        speaker.cancel()
        except* ConnectionOverError:
            pass
        except* asyncio.QueueFull:
            self._connection.abort()
        except* _EndedError as errors:
            with suppress(ConnectionOverError):
                await _end_with_first(self._connection, errors)
        except* ValueError as errors:
            # A word without a mark: the test has to be told, loudly.
            with suppress(ConnectionOverError):
                await self._connection.close(1011, str(errors.exceptions[0])[:120])

    async def _receive(self, tasks: asyncio.TaskGroup, speakers: list[asyncio.Task[None]]) -> None:
        while (message := await self._next()) is not None:
            if message.get("close_socket"):
                for context_id in list(self._open):
                    self._close_context(context_id)
                await asyncio.gather(*speakers)
                await self._close()
                return
            context_id = str(message.get("context_id") or message.get("contextId") or _DEFAULT_CONTEXT)
            if message.get("close_context"):
                self._close_context(context_id)
                continue
            context = self._open.get(context_id)
            if context is None:
                if not message.get("text"):
                    continue
                context = self._begin(context_id, message)
                speaker = tasks.create_task(self._speak(context_id, context), name=f"elevenlabs {context_id}")
                speakers[:] = [one for one in speakers if not one.done()] + [speaker]
            self._take(context, message)
        raise _EndedError(nothing_came(self._options.inactivity_timeout_s))

    async def _next(self) -> dict[str, Any] | None:
        """The next message; None when none came in time."""
        try:
            async with asyncio.timeout(self._options.inactivity_timeout_s):
                data = await self._connection.receive()
        except TimeoutError:
            return None
        try:
            message: Any = json.loads(data)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise _EndedError(INVALID_MESSAGE)
        return cast("dict[str, Any]", message)

    def _begin(self, context_id: str, message: dict[str, Any]) -> _SpeechContext:
        if not self._key_known and self._key not in {message.get("xi_api_key"), message.get("xi-api-key")}:
            raise _EndedError(INVALID_KEY)
        voice = self._connection.request.params.get("voice", "")
        if (error := scripted(self._part, voice)) is not None:
            raise _EndedError(error)
        if self._alive >= _MOST_CONTEXTS:
            raise _EndedError(TOO_MANY_CONTEXTS)
        settings = ContextSettings()
        settings.take(message)
        buffer = TextBuffer(self._options.auto_mode, settings.schedule)
        context = _SpeechContext(settings, buffer, asyncio.Queue(_MOST_TEXTS))
        self._open[context_id] = context
        self._alive += 1
        return context

    def _take(self, context: _SpeechContext, message: dict[str, Any]) -> None:
        try:
            context.settings.take(message)
        except SettingsChangedError:
            raise _EndedError(SETTINGS_CHANGED) from None
        text = context.buffer.add(str(message.get("text") or ""), flush=bool(message.get("flush")))
        # Nothing to speak still keeps the context alive.
        if text or context.texts.empty():
            context.texts.put_nowait((text, asyncio.get_running_loop().time()))

    def _close_context(self, context_id: str) -> None:
        """What was flushed is still spoken, what waits for a flush is not. The name is free for another context."""
        context = self._open.pop(context_id, None)
        if context is not None:
            context.texts.put_nowait(None)

    async def _speak(self, context_id: str, context: _SpeechContext) -> None:
        timeout_s = self._options.inactivity_timeout_s
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    asked = await context.texts.get()
            except TimeoutError:
                asked = None
            if asked is None or self._voice.stalled:
                break
            text, asked_s = asked
            if text:
                await self._say(context_id, context, text, asked_s)
        if self._voice.stalled:
            return
        await self._connection.send_json({"isFinal": True, "contextId": context_id})
        self._alive -= 1
        if self._open.get(context_id) is context:
            del self._open[context_id]

    async def _say(self, context_id: str, context: _SpeechContext, text: str, asked_s: float) -> None:
        speech = self._voice.speech(text, speed=context.settings.speed)
        chars = timed_chars(text, speech)
        async with aclosing(self._voice.pieces(speech, asked_s)) as pieces:
            async for piece in pieces:
                times = alignment(chars, piece.from_sample, piece.to_sample, speech.rate_hz)
                await self._connection.send_json(
                    {
                        "audio": base64.b64encode(piece.pcm).decode(),
                        "alignment": times,
                        "normalizedAlignment": times,
                        "contextId": context_id,
                    }
                )

    async def _close(self) -> None:
        if self._voice.stalled:
            await self._connection.swallow()
        else:
            await self._connection.close()


async def _end_with_first(connection: Connection, errors: BaseExceptionGroup[_EndedError]) -> None:
    first = next(error for error in errors.exceptions if isinstance(error, _EndedError))
    await end_with(connection, first.error)
