"""The network between a browser and several gateways, which can really be taken away: HTTP and UDP both.

It stands where a Service and a router would: pages and signalling go to the first gateway that is ready, and the two
sides learn only its own addresses of each other, so that every datagram of a call passes here.
"""

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from natter_testing.tcp_proxy import TcpProxy

_HOST: Final = "127.0.0.1"
_ANSWER_WITHIN_S: Final = 30.0
_METHODS: Final = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
_CANDIDATE: Final = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.I | re.M)
_CANDIDATE_LINE: Final = re.compile(r"^a=candidate:.*(?:\r?\n)", re.I | re.M)
_OFFER: Final = "/api/offer"
_HOP_BY_HOP: Final = ("connection", "content-length", "content-encoding", "transfer-encoding", "keep-alive", "host")

Address = tuple[str, int]


class _Side(asyncio.DatagramProtocol):
    """One of the two sockets that a connection passes through."""

    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received
        self.socket: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._received(data, (str(addr[0]), addr[1]))


class _Passage:
    """One peer connection's datagrams."""

    def __init__(self, passes: Callable[[], bool]) -> None:
        self._passes = passes
        self._browser: Address | None = None
        self._gateway: Address | None = None
        self._towards_browser = _Side(self._from_browser)
        self._towards_gateway = _Side(self._from_gateway)

    async def open(self, offer: str) -> str:
        """Take a browser's side; returns it as the gateway is told of it."""
        host = _own_address()
        loop = asyncio.get_running_loop()
        for side in (self._towards_browser, self._towards_gateway):
            side.socket, _ = await loop.create_datagram_endpoint(lambda side=side: side, local_addr=(host, 0))
        return _with_candidate(offer, _port(self._towards_gateway), host)

    def close(self) -> None:
        for side in (self._towards_browser, self._towards_gateway):
            if side.socket is not None:
                side.socket.close()

    def answer(self, sdp: str) -> str:
        """The gateway's side as the browser is told of it."""
        found = _CANDIDATE.search(sdp)
        assert found is not None, "the gateway has no address"
        self._gateway = found[1], int(found[2])
        return _with_candidate(sdp, _port(self._towards_browser), found[1])

    def _from_browser(self, data: bytes, address: Address) -> None:
        self._browser = address
        if self._passes() and self._gateway is not None and self._towards_gateway.socket is not None:
            self._towards_gateway.socket.sendto(data, self._gateway)

    def _from_gateway(self, data: bytes, _address: Address) -> None:
        if self._passes() and self._browser is not None and self._towards_browser.socket is not None:
            self._towards_browser.socket.sendto(data, self._browser)


class CallerLine:
    """Used with `caller_line`. `gateways`: their addresses, in the order in which they are asked."""

    def __init__(self, gateways: Sequence[str]) -> None:
        self.gateways = list(gateways)
        self.url = ""
        """Of the page and the API, for the browser."""
        self._loop = asyncio.get_running_loop()
        self._cut = False
        self._tcp: TcpProxy | None = None
        self._passages: list[_Passage] = []
        self._http = httpx.AsyncClient(trust_env=False, timeout=_ANSWER_WITHIN_S)

    def cut(self) -> None:
        """Nothing passes from now on. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._set_cut, True)

    def heal(self) -> None:
        """All passes again."""
        self._loop.call_soon_threadsafe(self._set_cut, False)

    def _set_cut(self, cut: bool) -> None:
        self._cut = cut
        if self._tcp is not None:
            (self._tcp.cut if cut else self._tcp.heal)()

    async def run(self, opened: Callable[[], None], closing: asyncio.Event) -> None:
        """Be the network until `closing`."""
        app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=list(_METHODS))])
        server = uvicorn.Server(uvicorn.Config(app, host=_HOST, port=0, log_level="error", lifespan="off"))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve(), name="caller-line")
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with self._http, TcpProxy(port) as self._tcp:
            self.url = f"http://{_HOST}:{self._tcp.port}"
            opened()
            await closing.wait()
        server.should_exit = True
        await serving
        for passage in self._passages:
            passage.close()

    async def _pass_on(self, request: Request) -> Response:
        gateway = await self._ready_gateway()
        if gateway is None:
            return Response(status_code=502)
        body = await request.body()
        passage: _Passage | None = None
        if request.url.path.endswith(_OFFER) and request.method in ("POST", "PATCH"):
            content = json.loads(body)
            if request.method == "POST":
                passage = _Passage(lambda: not self._cut)
                self._passages.append(passage)
                content["sdp"] = await passage.open(content["sdp"])
            else:
                content["candidates"] = []
            body = json.dumps(content).encode()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"{gateway}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
        try:
            answer = await self._http.request(request.method, url, content=body, headers=headers)
        except httpx.TransportError:
            return Response(status_code=502)
        payload = answer.content
        if passage is not None and answer.status_code == 200:
            content = answer.json()
            content["sdp"] = passage.answer(content["sdp"])
            payload = json.dumps(content).encode()
        passed = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        return Response(payload, answer.status_code, passed)

    async def _ready_gateway(self) -> str | None:
        for url in self.gateways:
            with suppress(httpx.TransportError):
                if (await self._http.get(f"{url}/ready")).status_code == 200:
                    return url
        return None


@asynccontextmanager
async def caller_line(gateways: Sequence[str]) -> AsyncGenerator[CallerLine]:
    """A network; in a thread of its own (`natter_testing.aside`) where something else blocks."""
    line = CallerLine(gateways)
    closing = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        opened = asyncio.Event()
        tasks.create_task(line.run(opened.set, closing), name="caller-line")
        await opened.wait()
        try:
            yield line
        finally:
            closing.set()


def _own_address() -> str:
    """Where this machine's browser and gateways have their sockets. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return _HOST
        return str(probe.getsockname()[0])


def _port(side: _Side) -> int:
    assert side.socket is not None
    return int(side.socket.get_extra_info("sockname")[1])


def _with_candidate(sdp: str, port: int, host: str) -> str:
    """An SDP in which each section has this one candidate."""
    bare = _CANDIDATE_LINE.sub("", sdp)
    line = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
    sections = re.split(r"(?m)^(?=m=)", bare)
    return sections[0] + "".join(section.rstrip("\r\n") + "\r\n" + line for section in sections[1:])
