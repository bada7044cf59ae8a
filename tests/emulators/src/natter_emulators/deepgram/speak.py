"""Deepgram's streaming voice (`/v1/speak`): Speak, Flush, Clear and Close in, audio and their confirmations out.

After https://developers.deepgram.com/docs/streaming-text-to-speech and the types of `deepgram-sdk` 7.17. Text is spoken
at the end of a sentence, or at a Flush.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from natter_emulators.deepgram.listen import BadQueryError, number, within
from natter_emulators.emulator import Context
from natter_emulators.script import Part
from natter_emulators.server import Connection, ConnectionOverError
from natter_emulators.voice import Voice

_GARBAGE: Final = '{"type": "Flushed", "sequence_'
_SENTENCES: Final = re.compile(r".*[.!?](?=\s|$)", re.DOTALL)
_RATES_HZ: Final = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
_MOST_JOBS: Final = 1_000
_LONGEST_TEXT: Final = 2_000
_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """The part of the query that changes what comes back."""

    model: str = "aura-2-thalia-en"
    rate_hz: int = 24_000
    speed: float = 1.0

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> SpeakOptions:
        """Raises:
        BadQueryError: what the real service refuses, or what this one cannot make.
        """
        if query.get("encoding", "linear16") != "linear16":
            raise BadQueryError("Bad Request: the emulator speaks encoding=linear16 only.")
        rate_hz = number(query.get("sample_rate", "24000"), "sample_rate")
        if rate_hz not in _RATES_HZ:
            raise BadQueryError("Bad Request: unsupported sample_rate for linear16.")
        if rate_hz % 1000 or rate_hz < 16_000:
            raise BadQueryError("Bad Request: the emulator cannot mark words at this sample_rate.")
        speed = within(query.get("speed", "1"), 0.7, 1.5, "speed")
        return cls(query.get("model", "aura-asteria-en"), rate_hz, speed)


@dataclass(frozen=True, slots=True)
class _Job:
    """Text to speak, or a message to send after what was asked for before."""

    generation: int
    text: str = ""
    message: str | None = None
    asked_s: float = field(default_factory=time.monotonic)
    """By the clock of asyncio's loops."""


class SpeakConnection:
    """One WebSocket of `/v1/speak`."""

    def __init__(
        self,
        connection: Connection,
        options: SpeakOptions,
        request_id: str,
        part: Part,
        context: Context,
        flushes_per_minute: int | None,
    ) -> None:
        """`flushes_per_minute` is the service's limit; what is above it is not flushed, and a warning says so."""
        self._connection, self._options, self._request_id = connection, options, request_id
        self._voice = Voice(connection, context, part, options.rate_hz, _GARBAGE)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(_MOST_JOBS)
        self._generation = 0
        self._sequence = {"Flushed": 0, "Cleared": 0}
        self._text = ""
        self._flushes_per_minute = flushes_per_minute
        self._flushed_at: deque[float] = deque()

    async def serve(self) -> None:
        """Until either side closes."""
        await self._connection.send_json(
            {
                "type": "Metadata",
                "request_id": self._request_id,
                "model_name": self._options.model,
                "model_version": "2026-01-01.0",
                "model_uuid": "ecb76e9d-f2db-4127-8060-79b05590d22f",
                "additional_model_uuids": [],
            }
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                speaker = tasks.create_task(self._speak(), name="deepgram speak")
                try:
                    while self._take(await self._connection.receive()):
                        pass
                    if self._voice.stalled:
                        await self._connection.swallow()
                finally:
                    speaker.cancel()
        except* ConnectionOverError:
            pass
        except* asyncio.QueueFull:
            self._connection.abort()
        except* ValueError as errors:
            # A word without a mark: the test has to be told, loudly.
            with suppress(ConnectionOverError):
                await self._connection.close(1011, str(errors.exceptions[0])[:120])

    def _take(self, data: str | bytes) -> bool:
        """One message of the client; false when it was the last."""
        try:
            message: Any = json.loads(data)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            self._warn("UNPARSABLE_CLIENT_MESSAGE", "The message could not be parsed.")
            return True
        match kind:
            case "Speak":
                self._add(str(message.get("text", "")))
            case "Flush":
                self._flush()
            case "Clear":
                self._generation += 1
                self._text = ""
                self._confirm("Cleared")
            case "Close":
                return False
            case _:
                self._warn("UNKNOWN_MESSAGE_TYPE", f"There is no message of type {kind!r}.")
        return True

    def _add(self, text: str) -> None:
        if len(text) > _LONGEST_TEXT:
            self._warn("INPUT_TOO_LONG", f"The text has {len(text)} characters, over the limit of {_LONGEST_TEXT}.")
            return
        self._text += text
        if sentences := _SENTENCES.match(self._text):
            self._text = self._text[sentences.end() :]
            self._put(_Job(self._generation, sentences.group()))

    def _flush(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._flushed_at and now - self._flushed_at[0] > _WINDOW_S:
            self._flushed_at.popleft()
        if self._flushes_per_minute is not None and len(self._flushed_at) >= self._flushes_per_minute:
            self._warn("EXCESSIVE_FLUSH", "Too many Flush messages: no more are processed until the minute is over.")
            return
        self._flushed_at.append(now)
        if self._text.strip():
            self._put(_Job(self._generation, self._text))
        self._text = ""
        self._confirm("Flushed")

    def _confirm(self, kind: str) -> None:
        message = {"type": kind, "sequence_id": self._sequence[kind]}
        self._sequence[kind] += 1
        self._put(_Job(self._generation, message=json.dumps(message)))

    def _warn(self, code: str, description: str) -> None:
        message = {"type": "Warning", "code": code, "description": description}
        self._put(_Job(self._generation, message=json.dumps(message)))

    def _put(self, job: _Job) -> None:
        """A full queue ends the connection: nobody reads any more."""
        self._jobs.put_nowait(job)

    async def _speak(self) -> None:
        while not self._voice.stalled:
            job = await self._jobs.get()
            if job.generation != self._generation:
                continue
            if job.message is not None:
                await self._connection.send(job.message)
                continue
            speech = self._voice.speech(job.text, speed=self._options.speed)
            async with aclosing(self._voice.pieces(speech, job.asked_s)) as pieces:
                async for piece in pieces:
                    if job.generation != self._generation:
                        break
                    await self._connection.send(piece.pcm)
