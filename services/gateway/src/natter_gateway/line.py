"""A session's way to its caller: the peer connection, the one that is to replace it, what could not be sent."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.missed import MAX_MISSED, Missed
from natter_gateway.peer import Peer
from natter_gateway.rtvi import outgoing

_SILENT_S: Final = 2.5
"""Clients say that they are there each second, whatever their microphones do."""

OnState = Callable[[Peer, str], None]
OnChannel = Callable[[Peer], None]
NewPeer = Callable[[OnState, OnChannel], Peer]


@dataclass(frozen=True, slots=True)
class _Coming:
    peer: Peer
    new_client: bool


class Line:
    """Of one session. The connection in use goes on until the one that replaces it is connected."""

    def __init__(
        self,
        new_peer: NewPeer,
        *,
        on_changed: Callable[[], None],
        spawn: Callable[[Coroutine[None, None, None], str], None],
        metrics: Metrics,
        log: Log,
        resumed: bool = False,
    ) -> None:
        """`on_changed` is told that another connection is in use from now on.

        `resumed`: the conversation began at another gateway, so that its first client here may be a new one.
        """
        self.lost_at: float | None = None
        """Since when there is no connection to the caller (loop time)."""
        self._new_peer = new_peer
        self._on_changed = on_changed
        self._spawn = spawn
        self._metrics = metrics
        self._log = log
        self._resumed = resumed
        self._peer: Peer | None = None
        self._coming: _Coming | None = None
        self._unready = False
        self._packets = 0
        self._heard_at = 0.0
        self._unsent = Missed(self._dropped)
        self._orders = Missed(self._dropped)
        """For a new client that is not ready: tools that no page was told to run yet. Of the rest it is told anew."""
        self._sent: deque[str] = deque()
        """Over the connection in use: what it did not deliver goes over the next one, to the same client."""

    @property
    def began(self) -> bool:
        """Whether there ever was a connection."""
        return self._peer is not None

    def is_heard(self, now_s: float) -> bool:
        """Whether anything has come from the caller of late; to be asked twice a second. Times are the loop's."""
        packets = 0 if self._peer is None else self._peer.packets_received
        if packets != self._packets or self.lost_at is not None:
            # Whether a new connection is heard shows when it is there.
            self._packets, self._heard_at = packets, now_s
        return self.lost_at is None and now_s - self._heard_at < _SILENT_S

    @property
    def round_trip_ms(self) -> float | None:
        return None if self._peer is None else self._peer.round_trip_ms

    async def connect(self, answer: Callable[[Peer], Awaitable[str]], *, new_client: bool) -> str:
        """Have `answer` answer an offer with a new connection, and return its answer; raises what it raises.

        `new_client`: whoever offers knows nothing of the conversation. It is told nothing before it is `ready`.
        """
        peer = self._new_peer(self._state_changed, self._channel_opened)
        try:
            sdp = await answer(peer)
        except BaseException:
            await peer.close(say=False)
            raise
        if self._peer is None:
            self._peer = peer
            self._unready = self._resumed and new_client
            self._on_changed()
        else:
            self._give_up_coming()
            self._coming = _Coming(peer, new_client)
        if self.lost_at is None and self._peer.state != "connected":
            self.lost_at = asyncio.get_running_loop().time()
        return sdp

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_mline_index: int | None) -> None:
        peer = self._peer if self._coming is None else self._coming.peer
        if peer is not None:
            await peer.add_candidate(candidate, sdp_mid, sdp_mline_index)

    def send(self, text: str) -> None:
        """Send now, or over the connection that comes back, see `Missed`."""
        if self._peer is not None and self._peer.send(text):
            self._note_sent(self._peer, text)
        else:
            self._unsent.add(text)

    def tell(self, text: str) -> None:
        """Send what happens in the conversation; a client that is not ready will hear of it when it is."""
        if not self._unready:
            self.send(text)
        elif outgoing.is_order(text):
            self._orders.add(text)

    def ready(self) -> None:
        """The client wants to be told of the conversation."""
        self._unready = False
        for order in self._orders.take_all():
            self.send(order)

    async def close(self, *, say: bool = True) -> None:
        """Close; `say`: with a goodbye, for nobody is to come back."""
        self._give_up_coming()
        if self._peer is not None:
            await self._peer.close(say=say)

    def _state_changed(self, peer: Peer, state: str) -> None:
        if self._coming is not None and peer is self._coming.peer:
            if state in ("failed", "closed"):
                self._give_up_coming()
            elif state == "connected":
                self._change(self._coming)
        if peer is not self._peer:
            return
        self._log.info("connection", state=state)
        if state == "connected":
            self.lost_at = None
        elif state in ("failed", "closed", "disconnected") and self.lost_at is None:
            self.lost_at = asyncio.get_running_loop().time()

    def _change(self, coming: _Coming) -> None:
        before, self._peer, self._coming = self._peer, coming.peer, None
        if before is not None:
            self._forget_delivered(before)
            self._unsent.put_before(self._sent)
        self._sent.clear()
        if coming.new_client:
            self._unready = True
            for text in filter(outgoing.is_order, self._unsent.take_all()):
                self._orders.add(text)
        if before is not None:
            self._spawn(before.close(say=False), "close-peer")
        self._on_changed()

    def _give_up_coming(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            self._spawn(coming.peer.close(say=False), "close-peer")

    def _channel_opened(self, peer: Peer) -> None:
        while peer is self._peer and len(self._unsent) and peer.send(self._unsent.first):
            self._note_sent(peer, self._unsent.pop())

    def _note_sent(self, peer: Peer, text: str) -> None:
        self._sent.append(text)
        if len(self._sent) > 2 * MAX_MISSED:
            self._forget_delivered(peer)
            while len(self._sent) > MAX_MISSED:
                self._sent.popleft()
                self._dropped()

    def _forget_delivered(self, peer: Peer) -> None:
        for _ in range(len(self._sent) - peer.undelivered):
            self._sent.popleft()

    def _dropped(self) -> None:
        self._metrics.drop("rtvi", "client_away")
