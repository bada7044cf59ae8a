"""ElevenLabs' voices: spoken as they come, word by word.

An attempt is one context of the vendor's multi-context WebSocket, its segments are flushed into it, each as soon as the
voice of the one before has begun; which voice is whose the letters that come with it tell. An interruption closes the
context. Sockets are warm and shared (`natter_tts.elevenlabs_pool`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble
from natter_tts.aligned import AlignedSegment
from natter_tts.border import has_letter, is_plain, split_part
from natter_tts.provider import TtsError, TtsSettings, VoiceChunk
from natter_tts.whole import has_letters

if TYPE_CHECKING:
    from natter_tts.elevenlabs_pool import SocketPool
    from natter_tts.elevenlabs_socket import VoiceContext
    from natter_tts.elevenlabs_wire import VoicePiece

VENDOR: Final = "ElevenLabs"
# From a segment's text to its first voice; the vendor's own figure is 75 ms and the way there and back.
FIRST_AUDIO_S: Final = 1.0
# Between pieces of voice, while the segment is not whole.
NEXT_AUDIO_S: Final = 0.7
# Where letters do not tell the end: so much silence asks for it, by closing the context.
QUIET_S: Final = 0.3
# For what follows the last letter.
TAIL_S: Final = 0.15
# In a probe: a wrong key is told within some 100 ms of the first message.
_PROBE_ANSWER_S: Final = 1.5


class ElevenLabsSettings(BaseSettings):
    """Environment."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="ELEVENLABS_", extra="ignore")

    api_key: str = ""
    base_url: str = ""


class ElevenLabsProvider:
    """The vendor, for all sessions of a worker."""

    name = "elevenlabs"

    def __init__(self, settings: ElevenLabsSettings | None = None) -> None:
        self._settings = settings
        self._pool: SocketPool | None = None
        self._task: asyncio.Task[None] | None = None

    def describe(self) -> str:
        return "ElevenLabs, eleven_flash_v2_5 by default"

    async def load(self, registry: CollectorRegistry) -> None:
        settings = self._settings or ElevenLabsSettings()
        if not settings.api_key:
            raise TtsError(Trouble.NOT_CONFIGURED, "ELEVENLABS_API_KEY is not set", retryable=False)
        # The vendor's SDK takes a third of a second to import.
        await asyncio.to_thread(import_module, "natter_tts.elevenlabs_pool")
        from natter_tts.elevenlabs_pool import SocketPool

        self._pool = SocketPool(settings.base_url or "https://api.elevenlabs.io", settings.api_key)
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._pool.run(ready), name="elevenlabs-sockets")
        await ready.wait()

    def open(self, settings: TtsSettings) -> ElevenLabsStream:
        if self._pool is None:
            raise TtsError("not_loaded", f"{VENDOR} is not loaded.")
        return ElevenLabsStream(self._pool, settings)

    async def probe(self) -> None:
        """Open a socket and a context in it, say nothing, close both: free of charge."""
        stream = self.open(TtsSettings())
        try:
            await stream.greet(_PROBE_ANSWER_S)
        finally:
            await stream.close()

    async def close(self) -> None:
        task, self._task, self._pool = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})


@dataclass(slots=True)
class _Next:
    """The segment behind the one that is being made."""

    attempt: str
    spoken: str
    sent: bool = False
    swallowed: bool = False
    """Its voice has come as part of the one before: nobody could tell where it begins."""


class ElevenLabsStream:
    """One session's voice."""

    def __init__(self, pool: SocketPool, settings: TtsSettings) -> None:
        from natter_tts.elevenlabs_wire import DEFAULT_MODEL, DEFAULT_VOICE, VoiceLine

        self._pool = pool
        self._line = VoiceLine(settings.voice or DEFAULT_VOICE, settings.model or DEFAULT_MODEL, settings.language)
        self._speed = settings.speed
        self._attempt = ""
        self._context: VoiceContext | None = None
        self._current: AlignedSegment | None = None
        self._current_plain = False
        self._next: _Next | None = None
        self._closed = False
        self._arrival = pool.hold(self._line)

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        ahead, self._next = self._next, None
        if ahead is not None and (ahead.attempt, ahead.spoken) != (attempt, spoken):
            if ahead.sent:
                self._leave()
            ahead = None
        segment = AlignedSegment(text, spoken, self._arrival.least)
        if segment.has_letters and not (ahead is not None and ahead.swallowed):
            sent = ahead is not None and ahead.sent
            context = await self._context_of(attempt, sent=sent)
            self._current, self._current_plain = segment, is_plain(spoken)
            done = False
            try:
                if sent:
                    context.begin_ahead()
                else:
                    context.say(spoken)
                async with aclosing(self._pieces(context, segment, sent=sent)) as pieces:
                    async for piece in pieces:
                        for chunk in segment.feed(piece.pcm, piece.characters):
                            yield chunk
                        self._send_ahead(context)
                done = True
            except TtsError:
                for chunk in segment.cut():
                    yield chunk
                raise
            finally:
                self._current = None
                if done and not last:
                    context.rest()
                else:
                    self._leave()
        for chunk in segment.finish():
            yield chunk

    def expect(self, text: str, spoken: str, *, attempt: str) -> None:
        if self._next is None and self._current is not None and attempt == self._attempt and has_letters(spoken):
            self._next = _Next(attempt, spoken)
            if self._context is not None:
                self._send_ahead(self._context)

    def _send_ahead(self, context: VoiceContext) -> None:
        """Ask for the next segment, as soon as it is sure that letters come which tell where it begins."""
        current, following = self._current, self._next
        if following is None or following.sent or current is None or not context.usable:
            return
        if current.begun and self._current_plain:
            following.sent = True
            context.say_ahead(following.spoken)

    async def _pieces(
        self, context: VoiceContext, segment: AlignedSegment, *, sent: bool
    ) -> AsyncGenerator[VoicePiece, None]:
        """What comes of a segment; `sent`: it was asked for ahead."""
        loop = asyncio.get_running_loop()
        arrival = self._arrival.measure()
        while not segment.sounded_out:
            piece = await _next(context, segment)
            if piece is None:
                if self._next is not None and self._next.sent and not segment.matched:
                    self._next.swallowed = True
                return
            if context.has_tail and not segment.received_samples and not has_letter(piece.characters):
                continue
            rest = None
            if self._next is not None and self._next.sent and segment.matched:
                (pcm, characters), rest = split_part(piece.pcm, piece.characters, segment.missing)
                if rest is not None:
                    context.put_back(replace(piece, pcm=rest[0], characters=rest[1]))
                    piece = replace(piece, pcm=pcm, characters=characters)
            if not sent:
                # What was asked for ahead has lain here, nobody knows how long.
                arrival.note(segment.received_samples, len(piece.pcm) // 2, loop.time())
            if piece.pcm or piece.characters:
                yield piece
            if rest is not None:
                return

    async def greet(self, within_s: float) -> None:
        """Open and close a context. Raises TtsError when the vendor refuses."""
        context = await self._context_of("probe")
        context.close()
        try:
            while await context.next(within_s) is not None:
                pass
        except TimeoutError:
            # It may say nothing about a context without text; but it has to be there.
            await context.check(within_s)

    async def close(self) -> None:
        self._leave()
        if not self._closed:
            self._closed = True
            self._pool.release(self._line)

    async def _context_of(self, attempt: str, *, sent: bool = False) -> VoiceContext:
        """The attempt's context, one that is ending too if what is to be said was `sent` into it."""
        if self._context is not None and (attempt != self._attempt or not (sent or self._context.usable)):
            self._leave()
        if self._context is None:
            self._context = await self._pool.open_context(self._line, self._speed)
        self._attempt = attempt
        return self._context

    def _leave(self) -> None:
        context, self._context = self._context, None
        self._next = None
        if context is not None:
            context.abandon()


async def _next(context: VoiceContext, segment: AlignedSegment) -> VoicePiece | None:
    """The next piece of the segment; None when the context's end says that it is whole. Raises TtsError."""
    while True:
        sure = segment.matched or context.closing
        within_s = FIRST_AUDIO_S if not segment.received_samples else NEXT_AUDIO_S if sure else QUIET_S
        try:
            piece = await context.next(TAIL_S if segment.whole else within_s)
        except TimeoutError as error:
            if segment.whole:
                return None
            if not sure:
                context.close()
                continue
            context.doubt()
            raise TtsError(Trouble.STALLED, f"{VENDOR} makes no voice for {within_s:g} s.") from error
        if piece is None and segment.matched and not segment.whole:
            raise TtsError(Trouble.CUT_OFF, f"{VENDOR} ended the voice in the middle.")
        return piece
