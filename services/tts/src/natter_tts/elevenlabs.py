"""ElevenLabs' voices: spoken as they come, word by word.

An attempt is one context of the vendor's multi-context WebSocket, its segments are flushed into it; an interruption
closes the context. Sockets are warm and shared (`natter_tts.elevenlabs_pool`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble
from natter_tts.aligned import AlignedSegment
from natter_tts.arrival import ArrivalSpeed
from natter_tts.provider import TtsError, TtsSettings, VoiceChunk

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


class ElevenLabsStream:
    """One session's voice."""

    def __init__(self, pool: SocketPool, settings: TtsSettings) -> None:
        from natter_tts.elevenlabs_wire import DEFAULT_MODEL, DEFAULT_VOICE, VoiceLine

        self._pool = pool
        self._line = VoiceLine(settings.voice or DEFAULT_VOICE, settings.model or DEFAULT_MODEL, settings.language)
        self._speed = settings.speed
        self._attempt = ""
        self._context: VoiceContext | None = None
        self._closed = False
        self._speed_seen = ArrivalSpeed()
        pool.hold(self._line)

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        loop = asyncio.get_running_loop()
        segment = AlignedSegment(text, spoken, self._speed_seen.least)
        if segment.has_letters:
            context = await self._context_of(attempt)
            done = False
            try:
                context.say(spoken)
                while not segment.sounded_out and (piece := await _next(context, segment)) is not None:
                    self._speed_seen.note(segment.received_samples, len(piece.pcm) // 2, loop.time())
                    for chunk in segment.feed(piece.pcm, piece.characters):
                        yield chunk
                done = True
            except TtsError:
                for chunk in segment.cut():
                    yield chunk
                raise
            finally:
                if done and not last:
                    context.rest()
                else:
                    self._leave()
        for chunk in segment.finish():
            yield chunk

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

    async def _context_of(self, attempt: str) -> VoiceContext:
        if self._context is not None and (attempt != self._attempt or not self._context.usable):
            self._leave()
        if self._context is None:
            self._context = await self._pool.open_context(self._line, self._speed)
        self._attempt = attempt
        return self._context

    def _leave(self) -> None:
        context, self._context = self._context, None
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
