"""The link to NATS: one connection per process, and the one place that reports slow consumers and drops.

nats-py drops the *new* message over a subscription's pending limit and calls `error_cb`; that is counted here. While
the link is away, frames of audio are dropped and counted (they would be late), text is buffered by nats-py (2 MiB) and
sent when it is back.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import nats
import nats.errors
from google.protobuf.message import Message
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_proto import MAX_FRAME_BYTES, BadFrameError, decode, encode, frame_kind

FrameT = TypeVar("FrameT", bound=Message)
Handler = Callable[[Msg], Awaitable[None]]

_RECONNECT_WAIT_S: Final = 0.05
_CONNECT_WITHIN_S: Final = 0.4
"""A frozen node takes connections and says nothing: whoever comes from it may try it again before another one."""
_PING_INTERVAL_S: Final = 5
_PENDING_MESSAGES: Final = 4_096
_PENDING_BYTES: Final = 16 * 1024 * 1024
_WATCH_INTERVAL_S: Final = 0.2
_ECHO_LATE_S: Final = 0.35
_WATCH_SILENCE_S: Final = 0.6
_WATCH_SILENCE_ALONE_S: Final = 2.5
"""Where there is no other server to go to: one that is only busy is not left, for that costs what is under way."""
_SETTLE_S: Final = 1.0
_STALL_S: Final = 0.5
_COMPLAINT_INTERVAL_S: Final = 10.0

__all__ = ["LinkDownError", "NatsLink", "NoAnswerError", "Subscription", "open_link"]


class LinkDownError(ConnectionError):
    """NATS is not connected."""


class NoAnswerError(ConnectionError):
    """Nobody listens on a request's subject, or nobody answered in time."""

    def __init__(self, subject: str, *, nobody: bool) -> None:
        super().__init__(f"{subject}: {'nobody listens' if nobody else 'no answer in time'}")
        self.nobody: Final = nobody
        """True: the server said that there is no subscriber at all ("no responders")."""


class NatsLink:
    """Publish, subscribe and request on a connection that comes back by itself."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._client = Client()
        self._metrics = metrics
        self._log = log
        self._settled_at = 0.0
        self._last_echo = 0.0
        self._good_until = 0.0
        self._losses = 0
        self._came_back = asyncio.Event()
        self._left = ""
        """The server that was tried last: the one that it stands on, while it is up."""
        self._tries = 0
        self._watching = False
        self._complained_at = float("-inf")
        self._closing = False

    @property
    def up(self) -> bool:
        return self._client.is_connected

    @property
    def settled(self) -> bool:
        """Up, and for long enough (and the loop not having stood still) that silence of others means something.

        Not while one's own messages don't come back: then the server is silent, and not those behind it.
        """
        now = asyncio.get_running_loop().time()
        return self.up and now >= self._settled_at and (not self._watching or now - self._last_echo < _ECHO_LATE_S)

    @property
    def losses(self) -> int:
        """How often the link was lost: frames that were under way then are missing."""
        return self._losses

    @property
    def good_until(self) -> float:
        """Up to when (loop time) nothing was missing, as far as is known: of the last loss."""
        return self._good_until

    @property
    def inboxes(self) -> int:
        """Subscriptions that this connection holds (private to nats-py; read for leak tests and the health page)."""
        return len(self._client._subs)  # pyright: ignore[reportPrivateUsage]

    async def back_within(self, seconds: float) -> bool:
        """Wait until the link has been lost and is back, `seconds` at most; whether that happened."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._came_back.wait()
        return False

    def jetstream(self, timeout_s: float) -> JetStreamContext:
        """Streams on this connection; `timeout_s` is for each request."""
        return self._client.jetstream(timeout=timeout_s)

    async def publish(self, subject: str, frame: Message) -> bytes | None:
        """Send text: buffered for as long as nats-py allows while the link is away. Returns it as it was encoded."""
        try:
            payload = encode(frame)
        except BadFrameError as error:
            self._metrics.drop(frame_kind(subject), "unencodable")
            self._log.warning("frame not sent", subject=subject, reason=str(error))
            return None
        await self.publish_raw(subject, payload)
        return payload

    async def publish_raw(self, subject: str, payload: bytes) -> None:
        """Send bytes that are encoded already; what can't be sent is counted and logged."""
        try:
            await self._client.publish(subject, payload)
        except nats.errors.Error as error:
            self._metrics.drop(frame_kind(subject), type(error).__name__)
            self._log.warning("frame not sent", subject=subject, reason=str(error) or type(error).__name__)

    async def publish_audio(self, subject: str, frame: Message) -> None:
        """Send audio: dropped and counted while the link is away, for it would be late."""
        if not self._client.is_connected:
            self._metrics.drop(frame_kind(subject), "link_down")
            return
        try:
            await self._client.publish(subject, frame.SerializeToString())
        except nats.errors.Error as error:
            self._metrics.drop(frame_kind(subject), type(error).__name__)

    async def request(
        self, subject: str, frame: Message, answer: type[FrameT], timeout_s: float, limit_bytes: int = MAX_FRAME_BYTES
    ) -> FrameT:
        """Ask one, return its answer; raises `NoAnswerError`, `LinkDownError`, or `BadFrameError` for a bad answer."""
        if not self.up:
            raise LinkDownError("NATS is not connected")
        try:
            message = await self._client.request(subject, encode(frame), timeout=timeout_s)
        except nats.errors.NoRespondersError as error:
            raise NoAnswerError(subject, nobody=True) from error
        except (TimeoutError, nats.errors.TimeoutError) as error:
            raise NoAnswerError(subject, nobody=False) from error
        except nats.errors.Error as error:
            raise LinkDownError(str(error)) from error
        return decode(answer, message.data, limit_bytes)

    async def request_many(self, subject: str, frame: Message, handler: Handler) -> Subscription:
        """Publish with an inbox whose answers go to `handler`, the status message of "no responders" among them."""
        inbox = self._client.new_inbox()
        subscription = await self.subscribe(inbox, handler)
        try:
            await self._client.publish(subject, encode(frame), reply=inbox)
        except nats.errors.Error as error:
            await self.unsubscribe(subscription)
            raise LinkDownError(str(error)) from error
        return subscription

    async def respond(self, message: Msg, frame: Message, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        """Answer a request; nothing where no answer is wanted."""
        if message.reply:
            try:
                await self._client.publish(message.reply, encode(frame, limit_bytes))
            except (nats.errors.Error, BadFrameError) as error:
                self._log.warning("answer not sent", subject=message.subject, reason=str(error))

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Call `handler` for each message in order, one at a time. A `BadFrameError` in it is counted and logged."""

        async def guarded(message: Msg) -> None:
            try:
                await handler(message)
            except BadFrameError as error:
                self._metrics.drop(frame_kind(message.subject), "bad_frame")
                self._log.warning("bad frame dropped", subject=message.subject, reason=str(error))

        try:
            return await self._client.subscribe(
                subject, cb=guarded, pending_msgs_limit=_PENDING_MESSAGES, pending_bytes_limit=_PENDING_BYTES
            )
        except nats.errors.Error as error:
            raise LinkDownError(str(error)) from error

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop listening; harmless when the link is closed or the subscription gone."""
        try:
            await subscription.unsubscribe()
        except nats.errors.Error as error:
            self._log.debug("unsubscribe", reason=str(error))

    async def barrier(self, timeout_s: float = 2.0) -> None:
        """Return once the server has seen every subscription made before this call."""
        # A flush does not wait for commands that were queued in the same step of a task.
        await asyncio.sleep(0)
        try:
            await self._client.flush(timeout_s)  # pyright: ignore[reportArgumentType] - typed int, takes float
        except (TimeoutError, nats.errors.Error) as error:
            raise LinkDownError(f"NATS did not answer: {error}") from error

    async def watch(self, own_subject: str) -> None:
        """Send a message to oneself every 200 ms; 600 ms without it mean that the server is frozen: reconnect.

        Where there is no other server, it gets 2.5 s.

        Also notices when this process's loop stood still: for a while it must not judge others by their silence then.
        """
        loop = asyncio.get_running_loop()

        async def echo(_message: Msg) -> None:
            self._last_echo = loop.time()

        subscription = await self.subscribe(own_subject, echo)
        self._last_echo = loop.time()
        self._watching = True
        try:
            while True:
                due = loop.time() + _WATCH_INTERVAL_S
                if self.up:
                    await self._client.publish(own_subject)
                await asyncio.sleep(max(0.0, due - loop.time()))
                now = loop.time()
                self._metrics.loop_lag.observe(max(0.0, now - due))
                if now - due > _STALL_S:
                    self._unsettle()
                    self._last_echo = now
                elif self.up and now - self._last_echo > self._longest_silence_s():
                    self._log.warning("NATS is silent, reconnecting", silent_ms=round((now - self._last_echo) * 1000))
                    self._abandon()
                    await self._client.force_reconnect()
        finally:
            self._watching = False
            await self.unsubscribe(subscription)

    async def connect(self, servers: list[str], name: str) -> None:
        """Connect, trying for as long as it takes; the first failure is said with what to do about it."""
        await self._client.connect(
            servers=servers,
            name=name,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            connect_timeout=_CONNECT_WITHIN_S,  # pyright: ignore[reportArgumentType] - typed int, takes float
            reconnect_to_server_handler=self._next_server,
            reconnect_time_wait=_RECONNECT_WAIT_S,  # pyright: ignore[reportArgumentType] - typed int, takes float
            max_reconnect_attempts=-1,
            ping_interval=_PING_INTERVAL_S,
            max_outstanding_pings=2,
            # Subjects are built from checked tokens only (natter_proto.subjects), ahead of the 20 ms path.
            skip_subject_validation=True,
        )
        self._metrics.link_up.set(1)
        self._last_echo = asyncio.get_running_loop().time()
        if self._client.connected_url is not None:
            self._left = self._client.connected_url.netloc

    async def close(self) -> None:
        """Send what is buffered and close."""
        self._closing = True
        if self.up:
            try:
                await self._client.drain()
            except (TimeoutError, nats.errors.Error) as error:
                self._log.warning("link not drained", reason=str(error))
        if not self._client.is_closed:
            await self._client.close()

    def _abandon(self) -> None:
        """Close the socket at once: what was written to a server that reads nothing would be waited for."""
        transport = self._client._transport  # pyright: ignore[reportPrivateUsage]
        writer = getattr(transport, "_io_writer", None)
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.abort()

    def _next_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """Where to go: one server after the other, the one that was just tried or lost behind all others."""
        names = [server.uri.netloc for server in servers]
        begin = names.index(self._left) + 1 if self._left in names else 0
        server = servers[begin % len(servers)]
        self._left = server.uri.netloc
        self._tries += 1
        # Each server once without delay.
        return server, 0.0 if self._tries <= len(servers) else _RECONNECT_WAIT_S

    def _longest_silence_s(self) -> float:
        return _WATCH_SILENCE_S if len(self._client.servers) > 1 else _WATCH_SILENCE_ALONE_S

    def _unsettle(self) -> None:
        self._settled_at = asyncio.get_running_loop().time() + _SETTLE_S

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            self._metrics.drop(frame_kind(error.subject), "slow_consumer")
            self._log.warning("frame dropped, its reader is too slow", subject=error.subject)
        elif isinstance(error, (nats.errors.Error, OSError, asyncio.TimeoutError)):
            now = asyncio.get_running_loop().time()
            # Attempts to connect come twenty a second: say it once in a while.
            if now - self._complained_at > _COMPLAINT_INTERVAL_S:
                self._complained_at = now
                self._log.warning("NATS can't be reached, still trying", reason=str(error) or type(error).__name__)
        else:
            self._log.error("a handler of frames failed", exc_info=error)

    async def _on_disconnected(self) -> None:
        self._metrics.link_up.set(0)
        if self._closing:
            return
        self._losses += 1
        self._tries = 0
        self._good_until = self._last_echo
        self._unsettle()
        self._log.warning("link to NATS lost, reconnecting")

    async def _on_reconnected(self) -> None:
        self._metrics.link_up.set(1)
        self._metrics.link_reconnects.inc()
        self._unsettle()
        self._last_echo = asyncio.get_running_loop().time()
        came_back, self._came_back = self._came_back, asyncio.Event()
        came_back.set()
        self._log.info("link to NATS is back")


@asynccontextmanager
async def open_link(servers: list[str], name: str, metrics: Metrics, log: Log) -> AsyncGenerator[NatsLink]:
    """Connect for the time of the block and drain at its end."""
    link = NatsLink(metrics, log)
    await link.connect(servers, name)
    try:
        yield link
    finally:
        await link.close()
