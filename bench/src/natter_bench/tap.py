"""The audio that tts made for a session, taken from NATS: what `measure.holes` compares with what the caller heard."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import nats
import nats.errors
import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg

from natter_bench.errors import CallError
from natter_bench.opus import Pcm
from natter_proto import BadFrameError, BadTokenError, RealmSubjects, decode_voice

DEFAULT_REALM: Final = "main"
_CONNECT_WITHIN_S: Final = 5.0
_BYTES_PER_SAMPLE: Final = 2


class MadeSegment:
    """One segment's audio, 24 kHz mono; it grows while frames come."""

    def __init__(self, turn: int, attempt: int, segment: int, began_s: float) -> None:
        self.turn: Final = turn
        self.attempt: Final = attempt
        self.segment: Final = segment
        self.began_s: Final = began_s
        """Arrival of its first frame, on the clock of the caller's recording."""
        self._audio = bytearray()

    @property
    def pcm(self) -> Pcm:
        """All that was made of it."""
        return np.frombuffer(bytes(self._audio), dtype="<i2").astype(np.int16)

    def put(self, first_sample: int, data: bytes) -> None:
        """Frames say where they belong: what a second worker makes again replaces what the first one made."""
        at = first_sample * _BYTES_PER_SAMPLE
        if len(self._audio) < at:
            self._audio.extend(bytes(at - len(self._audio)))
        self._audio[at : at + len(data)] = data


class VoiceTap:
    """Listens to the voice of one session. Keeps all of it: about 3 MB for a minute of speech."""

    def __init__(self, client: Client, realm: str) -> None:
        self._client = client
        self._subjects = RealmSubjects(realm)
        self._segments: dict[tuple[int, int, int], MadeSegment] = {}
        self.bad_frames = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, nats_url: str, realm: str = DEFAULT_REALM) -> AsyncGenerator[VoiceTap]:
        """Connect for the time of the block. Raises CallError when NATS is not there."""
        try:
            client = await nats.connect(
                nats_url.split(","),
                name="natter-bench",
                connect_timeout=_CONNECT_WITHIN_S,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                error_cb=_said_by_the_error,
            )
            tap = cls(client, realm)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise CallError(f"NATS does not answer at {nats_url}: {error or type(error).__name__}") from error
        except BadTokenError as error:
            raise CallError(f"not a realm: {error}") from error
        try:
            yield tap
        finally:
            await client.close()

    async def listen(self, session: str) -> None:
        """Take the session's voice from now on: give it to `Caller.connect` as `on_session`."""
        try:
            await self._client.subscribe(self._subjects.session(session).voice, cb=self._on_voice)
            await self._client.flush()
        except BadTokenError as error:
            raise CallError(f"the session has no name that NATS could carry: {error}") from error
        except (TimeoutError, nats.errors.Error) as error:
            raise CallError(f"NATS is gone: {error or type(error).__name__}") from error

    def segments(self, *, after_s: float = float("-inf"), before_s: float = float("inf")) -> list[MadeSegment]:
        """What began to be made in a window, in the order of playing."""
        found = [item for item in self._segments.items() if after_s <= item[1].began_s < before_s]
        return [made for _, made in sorted(found, key=lambda item: item[0])]

    async def _on_voice(self, message: Msg) -> None:
        try:
            frame = decode_voice(message.data)
        except BadFrameError:
            self.bad_frames += 1
            return
        key = (frame.header.turn, frame.header.attempt, frame.header.segment)
        made = self._segments.get(key)
        if made is None:
            made = self._segments[key] = MadeSegment(*key, time.monotonic())
        made.put(frame.audio.first_sample, frame.audio.data)


async def _said_by_the_error(_error: Exception) -> None:
    """What nats-py would print, for every attempt, is in the error that it raises at the end."""
