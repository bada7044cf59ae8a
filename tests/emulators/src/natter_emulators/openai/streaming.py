"""Send a chat completion: token by token as server-sent events, with the script's faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from natter_emulators.openai.chat import Generation
from natter_emulators.script import Delays, Fault, Part
from natter_emulators.server import ConnectionOverError, Exchange

_GARBAGE: Final = b'data: {"id": "chatcmpl-\n\n'


async def stream_generation(exchange: Exchange, generation: Generation, part: Part, delays: Delays) -> None:
    """Answer the request.

    Raises:
        ConnectionOverError: the client left, or the script cut the connection.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time() + (delays.first_token_ms + part.late_ms) / 1000
    if not generation.stream:
        await _answer_whole(exchange, generation, part, begin + len(generation.pieces) / delays.tokens_per_s)
        return
    await exchange.start(
        "text/event-stream; charset=utf-8", {"Cache-Control": "no-cache", "x-request-id": "req_emulator"}
    )
    struck = False
    for number, piece in enumerate(generation.pieces):
        await asyncio.sleep(max(0.0, begin + number / delays.tokens_per_s - loop.time()))
        if number == 0:
            await exchange.write(_event(generation.first()))
        if not struck and part.strikes(piece.words_before):
            struck = True
            await strike(exchange, part, _event(generation.chunk(piece.delta)))
        await exchange.write(_event(generation.chunk(piece.delta)))
    if not struck and part.fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT}:
        # The reply was shorter than the script thought: it fails before its end.
        await strike(exchange, part, _event(generation.chunk({}, generation.finish_reason)))
    if not generation.pieces:
        await exchange.write(_event(generation.first()))
    for chunk in generation.last():
        await exchange.write(_event(chunk))
    await exchange.write(b"data: [DONE]\n\n")


async def strike(exchange: Exchange, part: Part, next_event: bytes, garbage: bytes = _GARBAGE) -> None:
    """The script's fault in mid-stream: returns only if the stream is to go on.

    Raises:
        ConnectionOverError: the connection was cut, in the middle of the next event.
    """
    if part.fault is Fault.STALL:
        await asyncio.Event().wait()  # until the client leaves, which cancels this
    elif part.fault is Fault.CUT:
        await exchange.write(next_event[: len(next_event) // 2])
        await asyncio.sleep(0)
        exchange.abort()
        raise ConnectionOverError
    else:
        await exchange.write(garbage)


async def _answer_whole(exchange: Exchange, generation: Generation, part: Part, due: float) -> None:
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
    await answer_json(exchange, part, generation.whole())


async def answer_json(exchange: Exchange, part: Part, answer: Mapping[str, Any]) -> None:
    """A whole answer at once; faults in mid-stream happen in its body.

    Raises:
        ConnectionOverError: the connection was cut.
    """
    text = json.dumps(answer).encode()
    half = text[: len(text) // 2]
    if part.fault in {Fault.STALL, Fault.CUT}:
        await exchange.start("application/json")
        await strike(exchange, part, half)
    elif part.fault is Fault.MALFORMED:
        await exchange.respond(200, half, content_type="application/json")
    else:
        await exchange.respond(200, answer)


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
