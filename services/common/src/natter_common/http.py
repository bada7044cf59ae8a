"""`/health`, `/ready` and `/metrics` of any service, and the HTTP server that serves them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from natter_common.logs import Log
from natter_common.metrics import Metrics

_SHUTDOWN_S: Final = 2


@dataclass(frozen=True, slots=True)
class Health:
    """What `/health` and `/ready` say. `not_ready` holds the reasons, in words; empty means ready."""

    version: str
    sessions: int
    capacity: int
    not_ready: tuple[str, ...]
    details: dict[str, Any]


HealthProbe = Callable[[], Health]


def service_routes(metrics: Metrics, probe: HealthProbe) -> list[Route]:
    """The three routes; the gateway puts them beside its own."""
    process = psutil.Process()

    async def health(_request: Request) -> Response:
        state = probe()
        return JSONResponse(
            {
                "status": "ok" if not state.not_ready else "degraded",
                "service": metrics.service,
                "version": state.version,
                "sessions": state.sessions,
                "capacity": state.capacity,
                "memory_bytes": process.memory_info().rss,
                "tasks": len(asyncio.all_tasks()),
                **state.details,
            }
        )

    async def ready(_request: Request) -> Response:
        reasons = probe().not_ready
        if reasons:
            return JSONResponse({"ready": False, "detail": "; ".join(reasons)}, status_code=503)
        return JSONResponse({"ready": True})

    async def metrics_page(_request: Request) -> Response:
        state = probe()
        metrics.sessions.set(state.sessions)
        metrics.capacity.set(state.capacity)
        page, content_type = metrics.exposition()
        return Response(page, headers={"content-type": content_type})

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics_page)]


def service_app(metrics: Metrics, probe: HealthProbe) -> Starlette:
    return Starlette(routes=service_routes(metrics, probe))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve(app: Starlette, host: str, port: int, log: Log) -> AsyncGenerator[int]:
    """Serve `app` for the time of the block; gives the port, picked by the system where `port` is 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with the protocol named does asyncio switch Nagle's algorithm off, which costs an answer up to 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SystemExit(f"can't listen on {host}:{port}: {error.strerror}; choose another port") from error
    bound_port: int = listener.getsockname()[1]
    config = uvicorn.Config(
        cast("Any", app),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        timeout_keep_alive=30,
        ws="none",
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]), name="http")
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers a flag and no event
            await asyncio.sleep(0.005)
        log.info("http listening", host=host, port=bound_port)
        try:
            yield bound_port
        finally:
            server.should_exit = True
            await asyncio.wait([serving], timeout=_SHUTDOWN_S + 1)
            listener.close()
