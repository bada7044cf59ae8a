"""The edge to the `openai` SDK: warm connections, streams with deadlines, errors in Natter's terms."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from pydantic import BaseModel, ValidationError

from natter_common.providers import Trouble
from natter_llm.openai.chunks import MalformedChunkError
from natter_llm.openai.faults import FAILURES, fault_of, message_of, says_too_long, stalled
from natter_llm.openai.keeper import Keeper
from natter_llm.openai.request import Dialect, body_of
from natter_llm.provider import LlmError, LlmRequest

DEFAULT_MODEL: Final = "gpt-5.4-mini"
"""At OpenAI's own API, of a bot that names none: quick, cheap, and able to use tools."""

_CONNECT_S: Final = 2.0
# A request is a few kilobytes: if it does not drain, nobody reads at the other end.
_WRITE_S: Final = 1.0
_POOL_S: Final = 1.0
_LIST_S: Final = 4.0
# Servers answer a list in milliseconds; once a minute keeps a connection from being idle for too long.
_WARM_EVERY_S: Final = 60.0
# Idle connections are given up before the usual limits of proxies and load balancers (60 s and more).
_KEEP_S: Final = 58.0
_MOST_CONNECTIONS: Final = 100
# A dropped attempt costs its connection, and the next attempt of the turn begins at that moment.
_SPARES: Final = 2
_OFFICIAL_HOST: Final = "api.openai.com"
# An idle connection whose other end has vanished is noticed by the system within 10 + 3 × 2 s and is not used again.
_KEEP_ALIVE: Final = (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 2))


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class ChatStream:
    """One reply as it comes. `close` ends it at the server at once.

    Args:
        stream: of the SDK.
        vendor: as people know it.
        said: texts of the request, which no error may quote.
        on_lost: called when the stream is closed before its end, which costs the connection.
    """

    def __init__(self, stream: AsyncStream[object], vendor: str, said: list[str], on_lost: Callable[[], None]) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._over = False
        self._chunks = aiter(stream)
        self._vendor = vendor
        self._said = said

    @property
    def over(self) -> bool:
        """Has `next` met the end?"""
        return self._over

    async def next(self, due: float) -> object:
        """The next chunk as decoded JSON; None at the end, and where the server has sent a null.

        Args:
            due: until when, in the event loop's time.

        Raises:
            LlmError: `STALLED` when it does not come in time, or what else went wrong.
        """
        try:
            async with asyncio.timeout_at(due):
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._over = True
            return None
        except TimeoutError:
            raise stalled(self._vendor) from None
        except FAILURES as error:
            raise fault_of(error, self._vendor, begun=True, said=self._said) from error

    def malformed(self, words: str) -> LlmError:
        """An error that says why a chunk can't be used."""
        return fault_of(MalformedChunkError(words), self._vendor, begun=True)

    def cut_off(self) -> LlmError:
        """The stream ended, the reply did not."""
        return LlmError(Trouble.CUT_OFF, f"{self._vendor} ended its stream in the middle of a reply.")

    async def close(self) -> None:
        """End it; the connection goes back if everything was read, and is closed else."""
        if not self._over:
            self._over = True
            self._on_lost()
        with suppress(*FAILURES):
            await self._stream.close()


class ChatClient:
    """Connections to one server, for all sessions of a worker.

    Args:
        key: may be empty for a server of one's own.
        base_url: with its path (``…/v1``); empty for OpenAI's own API.

    Raises:
        LlmError: the address can't be used.
    """

    def __init__(self, key: str, base_url: str) -> None:
        address = base_url or f"https://{_OFFICIAL_HOST}/v1"
        try:
            host, scheme = urlsplit(address).netloc.rpartition("@")[2], urlsplit(address).scheme
        except ValueError:
            host, scheme = "", ""
        if scheme not in ("http", "https") or not host:
            words = "OPENAI_BASE_URL is no address: it looks like http://host:8000/v1."
            raise LlmError(Trouble.BAD_SETTINGS, words, retryable=False)
        self.official: Final = host.partition(":")[0] == _OFFICIAL_HOST
        self.vendor: Final = "OpenAI" if self.official else f"The server at {host}"
        timeout = httpx2.Timeout(_LIST_S, connect=_CONNECT_S, write=_WRITE_S, pool=_POOL_S)
        limits = httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS, keepalive_expiry=_KEEP_S
        )
        # With a transport of its own the SDK's client would ignore the environment's proxy.
        transport = None if urllib.request.getproxies() else _transport(limits)
        http = openai.DefaultAsyncHttpxClient(timeout=timeout, limits=limits, transport=transport)
        # The conductor repeats, here or elsewhere: no retries. The SDK insists on a key.
        self._sdk = AsyncOpenAI(
            api_key=key or "none", base_url=address, timeout=timeout, max_retries=0, http_client=http
        )
        self._dialects: dict[str, Dialect] = {}
        self._served_model = ""
        self._warm_at = float("-inf")
        self._keeper = Keeper(self._open_spares)

    def start(self) -> None:
        """Begin to keep a connection open in the background."""
        self._keeper.start()

    async def list_models(self, within_s: float = _LIST_S) -> list[str]:
        """The names of the models that it serves.

        Raises:
            LlmError: it can't be had, or refuses the key.
        """
        try:
            async with asyncio.timeout(within_s):
                # The SDK's own list of models breaks on what is no list.
                answer = await self._sdk.get("/models", cast_to=httpx2.Response)
                listed: object = answer.json()
        except TimeoutError:
            raise stalled(self.vendor) from None
        except openai.PermissionDeniedError as error:
            if self.official:
                # A restricted key that may not list models is known all the same, and may well generate.
                return []
            raise fault_of(error, self.vendor, begun=False) from error
        except FAILURES as error:
            raise fault_of(error, self.vendor, begun=False) from error
        try:
            models = _Models.model_validate(listed).data
        except ValidationError as error:
            words = f"{self.vendor} serves no list of models: OPENAI_BASE_URL has to end with its path, …/v1."
            raise LlmError(Trouble.MALFORMED, words) from error
        self._served_model = self._served_model or (models[0].id if models else "")
        return [model.id for model in models]

    async def default_model(self) -> str:
        """What serves those that name no model: a constant at OpenAI, elsewhere the first that is listed."""
        if self.official:
            return DEFAULT_MODEL
        if not self._served_model and not await self.list_models():
            words = f"{self.vendor} lists no model: name one in the bot."
            raise LlmError(Trouble.BAD_SETTINGS, words, retryable=False)
        return self._served_model

    async def warm(self) -> None:
        """Open connections, unless one was opened or used within the last minute."""
        now = asyncio.get_running_loop().time()
        self._keeper.used()
        if now - self._warm_at < _WARM_EVERY_S:
            return
        self._warm_at = now
        try:
            await self._open_spares()
        except LlmError:
            self._warm_at = float("-inf")
            raise

    async def open(self, request: LlmRequest, due: float) -> ChatStream:
        """Ask; returns when the server has begun to answer.

        Args:
            request: what.
            due: until when, in the event loop's time.

        Raises:
            LlmError: it does not, or not in time.
        """
        try:
            async with asyncio.timeout_at(due):
                return await self._open(request)
        except TimeoutError:
            raise stalled(self.vendor) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._keeper.close()
        await self._sdk.close()

    async def _open_spares(self) -> None:
        """Have connections lie idle: requests at once take one each, idle ones first."""
        results = await asyncio.gather(*(self.list_models() for _ in range(_SPARES)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _open(self, request: LlmRequest) -> ChatStream:
        self._keeper.used()
        model = request.model or await self.default_model()
        dialect = self._dialects.setdefault(model, Dialect(self.official))
        said = [message.content for message in request.messages]
        fresh = False
        while True:
            body = body_of(request, model, dialect)
            try:
                # Chunks as decoded JSON: the SDK's objects cost 75 µs for each token.
                stream = await self._sdk.post(
                    "/chat/completions",
                    cast_to=object,
                    body=body | {"stream": True},
                    stream=True,
                    stream_cls=AsyncStream[object],
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if says_too_long(error) or not dialect.learn(body, error.param or "", message_of(error)):
                    raise fault_of(error, self.vendor, begun=False, said=said) from error
            except FAILURES as error:
                if isinstance(error, openai.NotFoundError):
                    # Another model may be served by now.
                    self._served_model = ""
                fault = fault_of(error, self.vendor, begun=False, said=said)
                # The server may close an idle connection just when it is used again: once more on another.
                if fault.code != Trouble.CUT_OFF or fresh:
                    raise fault from error
                fresh = True
            else:
                self._warm_at = asyncio.get_running_loop().time()
                return ChatStream(stream, self.vendor, said, self._keeper.lost)


def _transport(limits: httpx2.Limits) -> httpx2.AsyncHTTPTransport:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    for name, value in _KEEP_ALIVE:
        # Not every system has each of them.
        if (option := getattr(socket, name, None)) is not None:
            level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
            options.append((level, option, value))
    return httpx2.AsyncHTTPTransport(limits=limits, socket_options=options)
