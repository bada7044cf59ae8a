"""Provider `openai`: chat completions, streamed, at OpenAI or at any server that speaks its API.

vLLM, Ollama, llama.cpp's server and others are reached by ``OPENAI_BASE_URL``. Protocol:
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final, cast

from prometheus_client import CollectorRegistry, Counter
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_common.providers import Trouble
from natter_llm.continuation import RepeatCutter
from natter_llm.limits import ReplyLimiter
from natter_llm.openai.chunks import MalformedChunkError, ReplyReader
from natter_llm.prompt import estimate_tokens
from natter_llm.provider import Delta, End, LlmError, LlmEvent, LlmRequest, Reason, ToolCalls, Usage

if TYPE_CHECKING:
    # The SDK takes a second to import: only who has a key waits for it.
    from natter_llm.openai.client import ChatClient, ChatStream

_PROBE_S: Final = 4.5


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long to wait for progress, in seconds.

    Attributes:
        first_s: from the request to the first piece of the reply; who waits longer has lost the caller.
        next_s: between pieces of a reply that is not finished.
        usage_s: behind a finished reply: for the usage, which can be estimated.
    """

    first_s: float = 3.0
    next_s: float = 1.5
    usage_s: float = 0.5


class OpenAiSettings(BaseSettings):
    """Where it is, and the key to it."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    key: Annotated[SecretStr, Field(validation_alias=AliasChoices("OPENAI_API_KEY", "key"))] = SecretStr("")
    base_url: Annotated[str, Field(validation_alias=AliasChoices("OPENAI_BASE_URL", "base_url"))] = ""
    """With its path, ``…/v1``; empty for OpenAI's own API."""


class OpenAiProvider:
    """A model at OpenAI or at a compatible server."""

    name = "openai"

    def __init__(self, settings: OpenAiSettings | None = None, deadlines: Deadlines | None = None) -> None:
        self._settings = settings
        self._deadlines = deadlines or Deadlines()
        self._client: ChatClient | None = None
        self._tokens: Counter | None = None

    def describe(self) -> str:
        if self._client is None:
            return "a server that speaks OpenAI's API"
        if not self._client.official:
            return f"{self._client.vendor[0].lower()}{self._client.vendor[1:]}"
        from natter_llm.openai.client import DEFAULT_MODEL

        return f"OpenAI, {DEFAULT_MODEL} unless the bot names another"

    async def load(self, registry: CollectorRegistry) -> None:
        settings = self._settings or OpenAiSettings()
        key, base_url = settings.key.get_secret_value().strip(), settings.base_url.strip()
        if not key and not base_url:
            words = "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own"
            raise LlmError(Trouble.NOT_CONFIGURED, words, retryable=False)
        # Also its parts that it imports at first use.
        client = await asyncio.to_thread(_make_client, key, base_url)
        client.start()
        self._client = client
        self._tokens = Counter(
            "natter_llm_tokens",
            "Tokens used; those of a cancelled generation are estimates",
            ["provider", "kind", "cancelled"],
            registry=registry,
        )

    async def probe(self) -> None:
        await self._loaded().list_models(_PROBE_S)

    async def warm(self, request: LlmRequest) -> None:
        """Open a connection. The vendor's prompt cache can't be filled without paying for a reply."""
        await self._loaded().warm()

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmEvent, None]:
        client = self._loaded()
        loop = asyncio.get_running_loop()
        reader = ReplyReader(lambda: f"call_{secrets.token_hex(12)}")
        text = _ReplyText(request)
        prompt_tokens = sum(map(estimate_tokens, request.messages))
        due = loop.time() + self._deadlines.first_s
        ended = refused = False
        stream: ChatStream | None = None
        reason: Reason = "stop"
        try:
            try:
                stream = await client.open(request, due)
            except LlmError:
                refused = True
                raise
            while not reader.finished and not text.done:
                chunk = await stream.next(due)
                if stream.over:
                    raise stream.cut_off() if reader.chunks else stream.malformed("an empty stream")
                if passed := text.feed(_read(reader, chunk, stream)):
                    yield Delta(passed, text.border)
                if reader.progressed:
                    due = loop.time() + self._deadlines.next_s
            if not text.done:
                reason = reader.reason
                if passed := text.finish(cut_short=reason == "length"):
                    yield Delta(passed)
                # Calls that the token limit cut in half are none.
                if reason == "tool_calls":
                    yield ToolCalls(reader.tool_calls())
                await _await_usage(reader, stream, loop.time() + self._deadlines.usage_s)
            usage = reader.usage(prompt_tokens)
            ended = True
            self._count(usage, cancelled=False)
            # Before the event: who gets an End may never come back for more.
            await stream.close()
            yield End(reason, usage)
        finally:
            if not ended and not refused:
                self._count(reader.usage(prompt_tokens), cancelled=True)
            if stream is not None:
                await stream.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _loaded(self) -> ChatClient:
        if self._client is None:
            raise LlmError("not_loaded", "the provider openai is not loaded")
        return self._client

    def _count(self, usage: Usage, *, cancelled: bool) -> None:
        if self._tokens is not None:
            flag = "true" if cancelled else "false"
            self._tokens.labels(self.name, "prompt", flag).inc(usage.prompt_tokens)
            self._tokens.labels(self.name, "completion", flag).inc(usage.completion_tokens)


class _ReplyText:
    """What of a model's text is passed on: nothing that was said before, and no more sentences than asked for."""

    def __init__(self, request: LlmRequest) -> None:
        self._cutter = RepeatCutter(request.reply_so_far)
        self._limiter = ReplyLimiter(request.max_sentences, request.reply_so_far) if request.max_sentences else None

    @property
    def done(self) -> bool:
        """Was the last sentence asked for passed on?"""
        return self._limiter is not None and self._limiter.done

    @property
    def border(self) -> bool:
        """Does a sentence end here, and another follow?"""
        return self._limiter is not None and self._limiter.border

    def feed(self, text: str) -> str:
        if not text:
            return ""
        passed = self._cutter.feed(text)
        return self._limiter.feed(passed) if self._limiter else passed

    def finish(self, *, cut_short: bool) -> str:
        passed = self._cutter.finish()
        if self._limiter is None:
            return passed
        return self._limiter.feed(passed) + self._limiter.finish(cut_short=cut_short)


def _make_client(key: str, base_url: str) -> ChatClient:
    """Import the SDK and make the client; blocks for a second."""
    module = import_module("natter_llm.openai.client")
    import_module("openai.resources.chat.completions")
    import_module("openai.resources.models")
    return cast("ChatClient", module.ChatClient(key, base_url))


def _read(reader: ReplyReader, chunk: object, stream: ChatStream) -> str:
    try:
        return reader.feed(chunk)
    except MalformedChunkError as error:
        raise stream.malformed(str(error)) from error


async def _await_usage(reader: ReplyReader, stream: ChatStream, due: float) -> None:
    """Read what follows a finished reply, to its end, so that the connection can be used again."""
    try:
        while not stream.over:
            chunk = await stream.next(due)
            if not stream.over:
                _read(reader, chunk, stream)
    except LlmError:
        # The reply is whole: it counts, and its usage is estimated.
        return
