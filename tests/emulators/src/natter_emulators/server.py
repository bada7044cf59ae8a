"""The HTTP and WebSocket server under all emulators: routes, connections, and every way to treat one badly.

aiohttp carries it, because its transports can be reached: a connection can be aborted in mid-message, left half open,
or refused at the handshake with any status and body.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, Final, cast

from aiohttp import WSCloseCode, WSMsgType, web

HOST: Final = "127.0.0.1"
_LARGEST_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_SHUTDOWN_S: Final = 0.1
_HALF_OPEN_CHECK_S: Final = 0.1
_TCP_ESTABLISHED: Final = 1  # tcpi_state, the first byte of Linux's struct tcp_info


class ConnectionOverError(Exception):
    """The peer is gone, or the connection was refused or aborted by ourselves: there is nothing more to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for, as tests want to see it."""

    method: str
    path: str
    params: Mapping[str, str]
    """What the route's placeholders stood for."""
    query: Mapping[str, str]
    """The last value of each name; `query_all` has them all."""
    query_all: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    def json(self) -> Any:
        """The body.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.body)

    def form(self) -> dict[str, list[bytes]]:
        """The fields of a `multipart/form-data` body, files among them, with all their values.

        Raises:
            ValueError: the body is no such form.
        """
        head = f"Content-Type: {self.headers.get('content-type', '')}\r\n\r\n".encode()
        parsed = BytesParser(policy=policy.HTTP).parsebytes(head + self.body)
        if not parsed.is_multipart():
            raise ValueError("no multipart form")
        fields: dict[str, list[bytes]] = {}
        for part in cast("Iterable[EmailMessage]", parsed.iter_parts()):
            name: Any = part.get_param("name", header="content-disposition")
            fields.setdefault(str(name), []).append(cast(bytes, part.get_payload(decode=True)))
        return fields


class Peer:
    """A client's connection, whatever is spoken over it."""

    def __init__(self, raw: web.Request, request: Request) -> None:
        self._raw = raw
        self.request = request
        self.response: web.StreamResponse | None = None
        """What has been answered so far, if anything."""

    @property
    def gone(self) -> bool:
        """Whether the connection is closed, from either side."""
        transport = self._raw.transport
        return transport is None or transport.is_closing()

    def abort(self) -> None:
        """Drop the TCP connection as it is: unsent data is thrown away, no close frame, no end of the body."""
        transport = self._raw.transport
        if transport is not None:
            transport.abort()

    def write_raw(self, data: bytes) -> None:
        """Put bytes on the wire that are no message of any protocol."""
        transport = self._raw.transport
        if transport is not None:
            transport.write(data)

    def stop_reading(self) -> None:
        """Read nothing more: no pongs, no acknowledged close; the peer's data fills up the socket's buffers."""
        transport = self._raw.transport
        if isinstance(transport, asyncio.ReadTransport):
            transport.pause_reading()

    async def half_open(self) -> None:
        """Stop reading, and wait until the peer has closed its side. What is returned to is over."""
        self.stop_reading()
        transport = self._raw.transport
        sock: Any = None if transport is None else transport.get_extra_info("socket")
        # Not reading means not seeing the peer's end, so the kernel is asked.
        while sock is not None and not self.gone and _established(sock):
            await asyncio.sleep(_HALF_OPEN_CHECK_S)
        self.abort()

    async def refuse(
        self, status: int, body: object, headers: Mapping[str, str] | None = None, *, reason: str | None = None
    ) -> None:
        """Answer with this status, also instead of the upgrade to a WebSocket.

        Args:
            status: of HTTP.
            body: text, or anything else as JSON.
            headers: sent in addition.
            reason: of the status line; the usual one by default.
        """
        is_text = isinstance(body, str)
        self.response = web.Response(
            status=status,
            reason=reason,
            text=body if is_text else json.dumps(body),
            content_type="text/plain" if is_text else "application/json",
            headers=headers,
        )


class Exchange(Peer):
    """One HTTP request and its response."""

    async def respond(
        self,
        status: int = 200,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
    ) -> None:
        """The whole response: `body` is bytes (with `content_type`), text, or anything else as JSON."""
        if isinstance(body, bytes):
            self.response = web.Response(
                status=status, body=body, content_type=content_type or "application/octet-stream", headers=headers
            )
        else:
            await self.refuse(status, body, headers)

    async def start(self, content_type: str, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """Begin a response that comes in pieces (chunked).

        Raises:
            ConnectionOverError: the client is gone.
        """
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = content_type
        response.enable_chunked_encoding()
        try:
            await response.prepare(self._raw)
        except ConnectionError as error:
            raise ConnectionOverError from error
        self.response = response

    async def write(self, data: bytes) -> None:
        """The next piece.

        Raises:
            ConnectionOverError: the client is gone.
        """
        assert isinstance(self.response, web.StreamResponse), "start() comes first"
        if self.gone:
            raise ConnectionOverError
        try:
            await self.response.write(data)
        except ConnectionError as error:
            raise ConnectionOverError from error


class Connection(Peer):
    """A WebSocket, from its handshake on. The handshake is accepted by the first `receive` or `send`, or `accept`."""

    def __init__(self, raw: web.Request, request: Request, subprotocols: tuple[str, ...] = ()) -> None:
        super().__init__(raw, request)
        self._socket = web.WebSocketResponse(
            protocols=subprotocols, max_msg_size=_LARGEST_MESSAGE_BYTES, compress=False, timeout=_SHUTDOWN_S
        )
        self._accepted = False

    async def accept(self, headers: Mapping[str, str] | None = None) -> None:
        """Complete the handshake; more calls do nothing.

        Raises:
            ConnectionOverError: refused before, or the client is gone.
        """
        if self._accepted:
            return
        if self.response is not None:
            raise ConnectionOverError
        self._socket.headers.update(headers or {})
        try:
            await self._socket.prepare(self._raw)
        except ConnectionError as error:
            raise ConnectionOverError from error
        self._accepted = True
        self.response = self._socket

    async def receive(self) -> str | bytes:
        """The next message. Pings are answered while this waits.

        Raises:
            ConnectionOverError: closed, by either side, or broken.
        """
        await self.accept()
        message = await self._socket.receive()
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            data: str | bytes = message.data
            return data
        raise ConnectionOverError

    async def send(self, message: str | bytes) -> None:
        """Send text or binary.

        Raises:
            ConnectionOverError: closed, by either side, or broken.
        """
        await self.accept()
        if self.gone or self._socket.closed:
            raise ConnectionOverError
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except ConnectionError as error:
            raise ConnectionOverError from error

    async def send_json(self, message: object) -> None:
        """Send JSON as text; raises as `send`."""
        await self.send(json.dumps(message))

    async def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Close with a close frame."""
        await self.accept()
        await self._socket.close(code=code, message=reason.encode())

    async def over(self) -> None:
        """Close if still open: nobody serves this connection any more."""
        if self._accepted and not self._socket.closed and not self.gone:
            await self._socket.close()

    async def swallow(self) -> None:
        """Read on and answer nothing (but pings), until the peer closes: a stall."""
        try:
            while True:
                await self.receive()
        except ConnectionOverError:
            return

    def cut_inside_message(self, binary: bool = True) -> None:
        """Begin a message, and abort the connection in it."""
        # RFC 6455, 5.2: FIN and opcode, then a length of 126 that never comes whole.
        self.write_raw(bytes([0x82 if binary else 0x81, 0x7D]) + b"\x00" * 8)
        asyncio.get_running_loop().call_soon(self.abort)


HttpHandler = Callable[[Exchange], Awaitable[None]]
WebSocketHandler = Callable[[Connection], Awaitable[None]]


@dataclass(slots=True)
class Router:
    """Paths and who serves them. Placeholders in braces: `/v1/text-to-speech/{voice}`."""

    routes: list[tuple[str, str, HttpHandler | None, WebSocketHandler | None]] = field(
        default_factory=list[tuple[str, str, "HttpHandler | None", "WebSocketHandler | None"]]
    )

    def http(self, method: str, path: str, handler: HttpHandler) -> None:
        """Serve requests. The body has been read when the handler starts; a client that leaves cancels it."""
        self.routes.append((method, path, handler, None))

    def websocket(self, path: str, handler: WebSocketHandler) -> None:
        """Serve WebSockets. When the handler returns the connection is closed, with 1000 if it still is open."""
        self.routes.append(("GET", path, None, handler))


@asynccontextmanager
async def serve(router: Router, *, host: str = HOST, port: int = 0) -> AsyncGenerator[int]:
    """Serve on a port (0: a free one) in the running loop; gives the port. At the end all connections are dropped."""
    peers: set[Peer] = set()
    app = web.Application(client_max_size=_LARGEST_MESSAGE_BYTES)
    for method, path, http, websocket in router.routes:
        if http is not None:
            app.router.add_route(method, path, _http(http, peers))
        elif websocket is not None:
            app.router.add_route(method, path, _websocket(websocket, peers))
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        for peer in tuple(peers):
            peer.abort()
        await runner.cleanup()


def _http(handler: HttpHandler, peers: set[Peer]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve_one(raw: web.Request) -> web.StreamResponse:
        exchange = Exchange(raw, _request(raw, await raw.read()))
        peers.add(exchange)
        try:
            await handler(exchange)
        except ConnectionOverError:
            exchange.abort()
        finally:
            peers.discard(exchange)
        return exchange.response or web.Response(status=500, text="the emulator gave no answer")

    return serve_one


def _websocket(handler: WebSocketHandler, peers: set[Peer]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve_one(raw: web.Request) -> web.StreamResponse:
        connection = Connection(raw, _request(raw, b""))
        peers.add(connection)
        try:
            await handler(connection)
            if connection.response is None:
                await connection.accept()
        except ConnectionOverError:
            if connection.response is None:
                connection.abort()
        finally:
            peers.discard(connection)
        await connection.over()
        return connection.response or web.Response(status=500)

    return serve_one


def _request(raw: web.Request, body: bytes) -> Request:
    return Request(
        raw.method,
        raw.path,
        dict(raw.match_info),
        dict(raw.query),
        tuple(raw.query.items()),
        {name.lower(): value for name, value in raw.headers.items()},
        body,
    )


def _established(sock: Any) -> bool:
    if not hasattr(socket, "TCP_INFO"):
        return True  # elsewhere than on Linux a half-open connection lasts until the emulators stop
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_ESTABLISHED
    except OSError:
        return False
