"""Deepgram's voices (Aura): a socket per session, a segment given out when it is whole.

The vendor tells no word times, so they are spread over the segment by letters (`natter_tts.whole` says why nothing
leaves earlier).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.backoff import Backoff
from natter_common.providers import Trouble
from natter_tts.faults import copy_of
from natter_tts.provider import TtsError, TtsSettings, VoiceChunk
from natter_tts.whole import has_letters, silent_segment, whole_segment

if TYPE_CHECKING:
    from deepgram import AsyncDeepgramClient

    from natter_tts.deepgram_link import SpeakLink

VENDOR: Final = "Deepgram"
# From a segment's text to its first voice, and between pieces of it.
FIRST_AUDIO_S: Final = 1.0
NEXT_AUDIO_S: Final = 0.7
# The answer to Clear; a socket without is left.
CLEARED_S: Final = 1.0
# A good-bye; then the socket is let go.
CLOSE_S: Final = 1.0
# Connecting, when it is not done before it is needed.
READY_S: Final = 2.5
# A voice is also a model and a language; these speak when the bot names none.
DEFAULT_VOICES: Final = MappingProxyType(
    {
        "en": "aura-2-thalia-en",
        "es": "aura-2-celeste-es",
        "de": "aura-2-viktoria-de",
        "fr": "aura-2-agathe-fr",
        "it": "aura-2-livia-it",
        "nl": "aura-2-rhea-nl",
        "ja": "aura-2-izanami-ja",
    }
)
SLOWEST, FASTEST = 0.7, 1.5


class DeepgramVoiceSettings(BaseSettings):
    """Environment."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="DEEPGRAM_", extra="ignore")

    api_key: str = ""
    base_url: str = ""


class DeepgramProvider:
    """The vendor, for all sessions of a worker."""

    name = "deepgram"

    def __init__(self, settings: DeepgramVoiceSettings | None = None) -> None:
        self._settings = settings
        self._client: AsyncDeepgramClient | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    def describe(self) -> str:
        return "Deepgram Aura 2"

    async def load(self, registry: CollectorRegistry) -> None:
        settings = self._settings or DeepgramVoiceSettings()
        if not settings.api_key:
            raise TtsError(Trouble.NOT_CONFIGURED, "DEEPGRAM_API_KEY is not set", retryable=False)
        # The SDK takes half a second to import, and more at the first connection.
        await asyncio.to_thread(_warm)
        from natter_tts.deepgram_link import client

        self._client = client(settings.api_key, settings.base_url)
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(ready), name="deepgram-voices")
        await ready.wait()

    def open(self, settings: TtsSettings) -> DeepgramStream:
        if self._client is None or self._tasks is None:
            raise TtsError("not_loaded", f"{VENDOR} is not loaded.")
        voice = settings.voice or settings.model or DEFAULT_VOICES.get(settings.language.split("-")[0].lower(), "")
        if not voice:
            raise TtsError(
                Trouble.BAD_SETTINGS,
                f"{VENDOR} has no voice for language {settings.language!r}; it speaks {', '.join(DEFAULT_VOICES)}.",
                retryable=False,
            )
        return DeepgramStream(self._client, self._tasks, voice, min(max(settings.speed, SLOWEST), FASTEST))

    async def probe(self) -> None:
        """Open the socket and close it: free of charge."""
        stream = self.open(TtsSettings())
        try:
            await stream.ready()
        finally:
            await stream.close()

    async def close(self) -> None:
        task, self._task, self._client = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, ready: asyncio.Event) -> None:
        """Own the sessions' sockets until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                ready.set()
                await asyncio.Event().wait()
        finally:
            self._tasks = None


class DeepgramStream:
    """One session's voice, on a socket that is opened now and replaced when it ends or is worn."""

    def __init__(self, vendor: AsyncDeepgramClient, tasks: asyncio.TaskGroup, voice: str, speed: float) -> None:
        from natter_tts.deepgram_link import SpeakLink

        self._new_link = lambda: SpeakLink(vendor, voice, speed)
        self._link: SpeakLink = self._new_link()
        self._closing = False
        self._wanted = asyncio.Event()
        self._renewed = asyncio.Event()
        self._keeper = tasks.create_task(self._keep(), name="deepgram-speak")

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        if not has_letters(spoken):
            yield silent_segment(text)
            return
        link = await self.ready()
        voice = bytearray()
        done = False
        try:
            link.speak(spoken)
            while (piece := await self._next(link, voice)) is not None:
                voice += piece
            done = True
        finally:
            if not done:
                link.clear()
            elif last and link.worn:
                link.end()
        for chunk in whole_segment(text, spoken, bytes(voice)):
            yield chunk

    async def ready(self) -> SpeakLink:
        """A socket that can be spoken to. Raises TtsError."""
        for _ in range(2):
            link = await self._opened()
            if link.error is not None and not link.served:
                raise copy_of(link.error)
            if link.ended:
                continue
            if link.worn or (link.clearing and not await link.cleared(CLEARED_S)):
                link.end()
                continue
            return link
        raise TtsError(Trouble.UNAVAILABLE, f"{VENDOR} ends connections as soon as they are there.")

    async def close(self) -> None:
        self._closing = True
        self._wanted.set()
        self._link.end()
        _, going = await asyncio.wait({self._keeper}, timeout=CLOSE_S)
        if going:
            self._keeper.cancel()
            await asyncio.wait(going)

    async def _opened(self) -> SpeakLink:
        """The newest socket, as soon as it is open or was refused."""
        try:
            async with asyncio.timeout(READY_S):
                if self._link.ended:
                    self._wanted.set()
                    self._renewed.clear()
                    await self._renewed.wait()
                await self._link.settled.wait()
        except TimeoutError as error:
            raise TtsError(Trouble.UNAVAILABLE, f"{VENDOR} can't be reached within {READY_S:g} s.") from error
        return self._link

    async def _next(self, link: SpeakLink, voice: bytearray) -> bytes | None:
        while True:
            within_s = NEXT_AUDIO_S if voice else FIRST_AUDIO_S
            try:
                piece = await link.next(within_s)
            except TimeoutError as error:
                stalled = TtsError(Trouble.STALLED, f"{VENDOR} makes no voice for {within_s:g} s.")
                link.drop(stalled)
                raise copy_of(stalled) from error
            # An end before any voice is that of a segment that was cleared.
            if piece is not None or voice:
                return piece

    async def _keep(self) -> None:
        """Have a socket open; when one ends, open the next, at once when it is needed."""
        backoff = Backoff()
        async with asyncio.TaskGroup() as tasks:
            while not self._closing:
                link = self._link
                tasks.create_task(link.run(), name="deepgram-speak-socket")
                await link.over.wait()
                if link.served:
                    backoff.reset()
                if link.error is not None and not self._closing:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(backoff.next_s()):
                            await self._wanted.wait()
                self._wanted.clear()
                self._link = self._new_link()
                self._renewed.set()


def _warm() -> None:
    import_module("natter_tts.deepgram_link")
    import_module("deepgram.speak.v1.client")
    import_module("deepgram.speak.v1.socket_client")
