"""Health, readiness and metrics over real HTTP."""

import asyncio

import structlog

from natter_common.http import Health, serve, service_app
from natter_common.metrics import Metrics


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_the_three_pages_of_a_service() -> None:
    reasons: list[str] = []
    metrics = Metrics("stt")
    metrics.drop("mic", "slow_consumer")

    def probe() -> Health:
        return Health("1.2.3", 4, 50, tuple(reasons), {"stage": "stt"})

    async with serve(service_app(metrics, probe), "127.0.0.1", 0, structlog.get_logger()) as port:
        status, body = await get(port, "/health")
        assert status == 200
        for piece in ('"status":"ok"', '"version":"1.2.3"', '"sessions":4', '"capacity":50', '"memory_bytes":'):
            assert piece in body
        assert await get(port, "/ready") == (200, '{"ready":true}')
        status, page = await get(port, "/metrics")
        assert status == 200
        assert 'natter_frames_dropped_total{kind="mic",reason="slow_consumer"} 1.0' in page
        assert "natter_stage_latency_seconds" in page
        assert "natter_capacity_sessions 50.0" in page
        reasons.append("NATS is not connected")
        status, body = await get(port, "/ready")
        assert status == 503
        assert "NATS is not connected" in body
        assert '"status":"degraded"' in (await get(port, "/health"))[1]
