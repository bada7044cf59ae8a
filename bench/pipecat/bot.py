"""A Pipecat bot to be measured beside Natter: Pipecat 1.14's quickstart pipeline, on services of our choosing.

Run by `natter-bench latency` with an interpreter that has Pipecat (requirements.txt), not with Natter's. The
pipeline and its settings are those of Pipecat's quickstart and of its generator for a voice bot (`pipecat init`), with
ElevenLabs for Cartesia, and nothing is set that they leave alone: Silero with its default parameters (200 ms of quiet
end a stretch of speech), turns by Pipecat's default strategies (Smart Turn v3, which waits for the final transcript),
Deepgram's defaults (nova-3, interim results, a finalize at each pause), ElevenLabs by sentences in auto mode, metrics
on, RTVI as the worker adds it by itself. What differs from the quickstart, none of it in the way of a turn:

- There is no greeting: whoever measures wants the first turn to be like the others.
- The bot logs warnings and errors only; the quickstart's runner logs at debug level, which costs time.
- Services are reached where `DEEPGRAM_BASE_URL`, `OPENAI_BASE_URL` and `ELEVENLABS_BASE_URL` say.
- The HTTP server does what Pipecat's own runner does for an offer, and no more; it runs on uvloop, as the runner does.

Nothing is fetched at run time: Silero and Smart Turn come in Pipecat's wheel, and the rules by which it cuts sentences
come in the `sentencex` wheel (older versions used NLTK, which downloads its data).

When it takes calls it writes one line to stdout: `ready http://127.0.0.1:<port>`. SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

INSTRUCTION = "You are a friendly AI assistant. Respond naturally and keep your answers conversational."
VOICE = "21m00Tcm4TlvDq8ikWAM"
CALLS_END_WITHIN_S = 3.0


async def talk(connection: SmallWebRTCConnection) -> None:
    """One call, from its offer until the caller has left."""
    transport = SmallWebRTCTransport(
        webrtc_connection=connection, params=TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    stt = DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"], base_url=os.environ["DEEPGRAM_BASE_URL"])
    llm = OpenAILLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        base_url=os.environ["OPENAI_BASE_URL"],
        settings=OpenAILLMService.Settings(system_instruction=INSTRUCTION),
    )
    tts = ElevenLabsTTSService(
        api_key=os.environ["ELEVENLABS_API_KEY"],
        url=os.environ["ELEVENLABS_BASE_URL"].replace("http", "ws", 1),
        settings=ElevenLabsTTSService.Settings(voice=VOICE),
    )
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user_aggregator, llm, tts, transport.output(), assistant_aggregator]),
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: SmallWebRTCTransport, _client: SmallWebRTCConnection) -> None:
        await runner.cancel()

    await runner.run()


def app(url: str) -> FastAPI:
    """`/api/offer` as SmallWebRTC clients use it: POST for an offer, PATCH for the candidates that come later."""
    handler = SmallWebRTCRequestHandler()
    calls: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The socket listens already: who connects now is served as soon as the server runs.
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()
        yield
        with suppress(TimeoutError):
            async with asyncio.timeout(CALLS_END_WITHIN_S):
                await handler.close()
                await asyncio.gather(*calls, return_exceptions=True)

    served = FastAPI(lifespan=lifespan)

    @served.post("/api/offer")
    async def offer(request: SmallWebRTCRequest) -> dict[str, str] | None:
        async def start(connection: SmallWebRTCConnection) -> None:
            call = asyncio.create_task(talk(connection), name=f"call-{connection.pc_id}")
            calls.add(call)
            call.add_done_callback(ended)

        return await handler.handle_web_request(request, start)

    @served.patch("/api/offer")
    async def candidates(request: SmallWebRTCPatchRequest) -> dict[str, str]:
        await handler.handle_patch_request(request)
        return {"status": "success"}

    def ended(call: asyncio.Task[None]) -> None:
        calls.discard(call)
        if not call.cancelled() and (error := call.exception()) is not None:
            logger.opt(exception=error).error("a call failed")

    return served


def main() -> None:
    """Serve on loopback until SIGTERM."""
    parser = argparse.ArgumentParser(description="A Pipecat bot that serves /api/offer on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="to listen on (default: a free one)")
    port = parser.parse_args().port
    logger.remove()
    logger.add(sys.stderr, level=os.environ.get("LOGURU_LEVEL", "WARNING"))
    with socket.create_server(("127.0.0.1", port)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app(url), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
