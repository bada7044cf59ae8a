"""A service's footing inside a test: link, metrics, log, on a realm of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from natter_common.link import open_link
from natter_common.metrics import Metrics
from natter_common.service import Service
from natter_proto import RealmSubjects, new_id


@asynccontextmanager
async def open_service(name: str, nats_url: str, realm: str) -> AsyncGenerator[Service]:
    """A `Service` as `run_service` would make it, without process-wide things (signals, logging set-up)."""
    metrics = Metrics(name)
    log = structlog.get_logger(name)
    process_id = new_id()
    async with open_link(nats_url.split(","), f"test-{name}", metrics, log) as link:
        yield Service(name, process_id, "0.0.0", RealmSubjects(realm), link, metrics, log, asyncio.Event())
