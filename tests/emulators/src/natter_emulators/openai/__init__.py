"""OpenAI's HTTP API: chat completions, transcriptions, speech and models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from natter_emulators.emulator import Context, Emulator
from natter_emulators.openai.chat import BadRequestError, Generation
from natter_emulators.openai.refusals import bad_request, refuse, refuse_key
from natter_emulators.openai.speech import SpeechOptions, stream_speech
from natter_emulators.openai.streaming import stream_generation
from natter_emulators.openai.transcription import Recording, answer_transcription
from natter_emulators.script import Fault, Part
from natter_emulators.server import ConnectionOverError, Exchange, Router

__all__ = ["OpenAI", "register"]

_MODELS: Final = ("gpt-4o-mini", "gpt-4o-mini-transcribe", "gpt-4o-mini-tts", "tts-1", "whisper-1")
_CREATED: Final = 1_715_367_049


class OpenAI(Emulator):
    """Scripts go by the `model` of a request; those of speech also by its `voice`; that of `/v1/models` by "models".

    Attributes:
        cancelled: answers that the client left before they were complete.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.cancelled = 0

    async def chat(self, exchange: Exchange) -> None:
        """`POST /v1/chat/completions`."""
        body = await self._json(exchange)
        if body is None or (part := await self._enter_script(exchange, str(body.get("model")))) is None:
            return
        try:
            generation = Generation.of_request(body, part)
        except BadRequestError as error:
            await bad_request(exchange, str(error), error.param)
            return
        await self._watched(stream_generation(exchange, generation, part, self.delays))

    async def transcribe(self, exchange: Exchange) -> None:
        """`POST /v1/audio/transcriptions`."""
        if not await self._right_key(exchange):
            return
        try:
            recording = Recording.of_form(exchange.request.form())
        except ValueError as error:
            await bad_request(exchange, str(error), "file")
            return
        if (part := await self._enter_script(exchange, recording.model)) is None:
            return
        await self._watched(answer_transcription(exchange, recording, part, self.delays, self.new_stream()))

    async def speak(self, exchange: Exchange) -> None:
        """`POST /v1/audio/speech`."""
        body = await self._json(exchange)
        if body is None:
            return
        voice = str(body.get("voice"))
        name = voice if voice in self.script_names else str(body.get("model"))
        if (part := await self._enter_script(exchange, name, bad_request_param="voice")) is None:
            return
        try:
            options = SpeechOptions.of_request(body, part.script.words_per_s, strict=self.context.strict)
        except ValueError as error:
            await bad_request(exchange, str(error), "input")
            return
        await self._watched(stream_speech(exchange, options, part, self.delays))

    async def models(self, exchange: Exchange) -> None:
        """`GET /v1/models`: what a provider asks to see whether the service works."""
        if not await self._right_key(exchange) or await self._enter_script(exchange, "models") is None:
            return
        names = dict.fromkeys((*_MODELS, *self.script_names))
        await exchange.respond(200, {"object": "list", "data": [_model(name) for name in names]})

    async def model(self, exchange: Exchange) -> None:
        """`GET /v1/models/{model}`."""
        if await self._right_key(exchange):
            await exchange.respond(200, _model(exchange.request.params["model"]))

    async def _json(self, exchange: Exchange) -> dict[str, Any] | None:
        """The body of a request with the right key, or None when it was refused."""
        if not await self._right_key(exchange):
            return None
        try:
            body = exchange.request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            await bad_request(exchange, "We could not parse the JSON body of your request.", None)
            return None
        return cast("dict[str, Any]", body)

    async def _right_key(self, exchange: Exchange) -> bool:
        scheme, _, key = exchange.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key == self.context.key:
            return True
        await refuse_key(exchange, key)
        return False

    async def _enter_script(self, exchange: Exchange, name: str, *, bad_request_param: str = "model") -> Part | None:
        """The request's part, or None when that was all that happens to it."""
        part = self.play(name)
        if part.fault.refuses:
            await refuse(exchange, part, name, bad_request_param)
            return None
        if part.fault is Fault.HALF_OPEN:
            await exchange.half_open()
            return None
        return part

    async def _watched(self, answer: Awaitable[None]) -> None:
        """Count the answer if the client leaves it."""
        try:
            await answer
        except (asyncio.CancelledError, ConnectionOverError):
            self.cancelled += 1
            raise


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "emulator"}


def register(router: Router, context: Context) -> OpenAI:
    """Add the service to the router."""
    openai = OpenAI(context)
    routes: tuple[tuple[str, str, Callable[[Exchange], Awaitable[None]]], ...] = (
        ("POST", "/v1/chat/completions", openai.chat),
        ("POST", "/v1/audio/transcriptions", openai.transcribe),
        ("POST", "/v1/audio/speech", openai.speak),
        ("GET", "/v1/models", openai.models),
        ("GET", "/v1/models/{model}", openai.model),
    )
    for method, path, handler in routes:
        openai.http(router, method, path, handler)
    return openai
