"""All that this gateway publishes, in the order in which it was decided, sent by one task.

Decisions are made in plain functions; they leave frames here and never wait. Text goes before audio. Of audio, over the
bound, the oldest goes (whoever missed it asks for it again); text over the bound is refused: `OutboxFullError`.
"""

import asyncio
from collections import deque
from typing import Final

from google.protobuf.message import Message

from natter_common.link import NatsLink
from natter_common.metrics import Metrics
from natter_proto import encode

_MAX_TEXT: Final = 10_000
_MAX_AUDIO: Final = 20_000


class OutboxFullError(RuntimeError):
    """Text can't be kept for sending any more."""


class Outbox:
    """Queue and sender of one gateway."""

    def __init__(self, link: NatsLink, metrics: Metrics) -> None:
        self._link = link
        self._metrics = metrics
        self._text: deque[tuple[str, bytes]] = deque()
        self._audio: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()

    def put(self, subject: str, frame: Message) -> None:
        """Send a text frame."""
        if len(self._text) >= _MAX_TEXT:
            raise OutboxFullError(f"over {_MAX_TEXT} text frames are waiting for NATS")
        self._text.append((subject, encode(frame)))
        self._wake.set()

    def put_audio(self, subject: str, payload: bytes) -> None:
        """Send an encoded frame of audio, unless the link is away."""
        if not self._link.up:
            self._metrics.drop("mic", "link_down")
            return
        if len(self._audio) >= _MAX_AUDIO:
            self._audio.popleft()
            self._metrics.drop("mic", "outbox_full")
        self._audio.append((subject, payload))
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._text or self._audio:
                subject, payload = self._text.popleft() if self._text else self._audio.popleft()
                await self._link.publish_raw(subject, payload)
