"""`natter-gateway`: WebRTC, RTVI, HTTP and the conductors of its sessions."""

import asyncio
from collections.abc import Coroutine
from typing import Final

from natter_common.http import Health, serve
from natter_common.memory import keep_for_good
from natter_common.service import Service, run_service
from natter_gateway.app import make_app
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.bots.loader import BotError, Bots, load_bots
from natter_gateway.elsewhere import Elsewhere
from natter_gateway.journal.keeping import Stores
from natter_gateway.journal.streams import Streams
from natter_gateway.leases.broker import LeaseBroker
from natter_gateway.leases.keeper import LeaseKeeper
from natter_gateway.media.compat import limit_sctp_chunks
from natter_gateway.outbox import Outbox
from natter_gateway.session import GatewayParts
from natter_gateway.sessions import Sessions
from natter_gateway.settings import GatewaySettings
from natter_gateway.signalling import Signalling

Background = list[asyncio.Task[None]]

_MOVE_WITHIN: Final = 2 / 3
"""Of the time to drain: so long callers may stay who never fall silent."""
_DESCRIPTION = "Natter's gateway: serves the page, answers calls over WebRTC, conducts the conversations."


def main() -> None:
    """Console script."""
    limit_sctp_chunks()
    run_service("gateway", GatewaySettings, serve_gateway, _DESCRIPTION)


async def serve_gateway(service: Service, settings: GatewaySettings) -> None:
    """Serve until told to stop, then let conversations end."""
    bots = _load(settings)
    service.log.info("bots loaded", bots=[bot.id for bot in bots])
    async with asyncio.TaskGroup() as tasks:
        sessions, background = _assemble(service, settings, tasks)

        def probe() -> Health:
            reasons = [] if service.link.up else ["NATS is not connected"]
            if sessions.draining:
                reasons.append("draining")
            details = {
                "bots": [bot.id for bot in bots],
                "reserved": sessions.reserved,
                "subscriptions": service.link.inboxes,
            }
            return Health(service.version, len(sessions), settings.max_sessions, tuple(reasons), details)

        catalogue = BotCatalogue(bots, LeaseBroker(service.link, service.subjects, service.process_id, service.log))
        signalling = Signalling(sessions, catalogue, Elsewhere(service.link, service.subjects))
        sessions.on_signal = signalling.answer
        app = make_app(settings, sessions, catalogue, signalling, service.metrics, probe)
        sweeping = tasks.create_task(sessions.run(), name="session-sweep")
        async with serve(app, settings.http_host, settings.http_port, service.log):
            keep_for_good()
            await service.stopping.wait()
            await _drain(service, settings, sessions)
        sweeping.cancel()
        for task in background:
            task.cancel()


def _load(settings: GatewaySettings) -> Bots:
    try:
        return load_bots(settings.bots_dir)
    except BotError as error:
        raise SystemExit(f"natter-gateway: {error}") from error


def _assemble(service: Service, settings: GatewaySettings, tasks: asyncio.TaskGroup) -> tuple[Sessions, Background]:
    """Put a gateway's parts together and start those that run by themselves."""
    outbox = Outbox(service.link, service.metrics)
    broker = LeaseBroker(service.link, service.subjects, service.process_id, service.log)
    keeper = LeaseKeeper(
        service.link, service.subjects, broker, service.process_id, service.metrics, service.log, lambda: sessions
    )

    streams = Streams(
        service.link,
        service.subjects,
        service.log,
        max_age_days=settings.journal_days,
        max_bytes=settings.journal_max_bytes,
    )

    async def guarded(work: Coroutine[None, None, None], name: str) -> None:
        try:
            await work
        except Exception:
            # One session's failure, whatever it is, must not end the others: logged whole.
            service.log.exception("task failed", task=name)

    def spawn(work: Coroutine[None, None, None], name: str) -> None:
        tasks.create_task(guarded(work, name), name=name)

    parts = GatewayParts(
        gateway=service.process_id,
        version=service.version,
        settings=settings,
        link=service.link,
        subjects=service.subjects,
        outbox=outbox,
        broker=broker,
        keeper=keeper,
        stores=Stores.of(service.process_id, streams),
        metrics=service.metrics,
        spawn=spawn,
    )
    sessions = Sessions(parts, service.log)
    background = [
        tasks.create_task(outbox.run(), name="outbox"),
        tasks.create_task(keeper.run(), name="lease-keeper"),
        tasks.create_task(streams.run(), name="streams"),
    ]
    return sessions, background


async def _drain(service: Service, settings: GatewaySettings, sessions: Sessions) -> None:
    """Take no new calls, let those in progress go to another gateway or end, then end them in words."""
    sessions.draining = True
    service.log.info("draining", sessions=len(sessions))
    async with asyncio.TaskGroup() as tasks:
        moving = tasks.create_task(sessions.move_all(settings.drain_s * _MOVE_WITHIN), name="move-callers")
        await sessions.wait_until_empty(settings.drain_s)
        moving.cancel()
    await sessions.close_all("gateway_left", "The server is restarting. Please call again in a moment.")
