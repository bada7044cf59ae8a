"""A rolling restart: a new process is ready before the old one leaves."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from natter_local.supervised import GaveUpError, Supervised

READY_WITHIN_S: Final = 120.0
"""A new process has this long to load its models."""

Say = Callable[[str], object]
"""Gets a line of progress."""


class RollError(RuntimeError):
    """A rolling restart did not begin or stopped on the way; what it did not come to runs as before."""


def to_roll(asked: Sequence[str], running: Sequence[str], gateway: str) -> Sequence[str]:
    """The services to roll: all that run but the gateway where none is asked for. Raises `RollError`."""
    if gateway in asked:
        raise RollError(f"{gateway} has an address that callers know, so it is not rolled: start Natter again")
    missing = [service for service in asked if service not in running]
    if missing:
        raise RollError(f"no {', '.join(missing)} runs here")
    return list(dict.fromkeys(asked)) or [service for service in dict.fromkeys(running) if service != gateway]


async def life_of_newcomer(process: Supervised) -> str:
    """Keep it up as any other; one that never gets ready ends alone, and this gives its obituary."""
    try:
        await process.run()
    except GaveUpError as error:
        return str(error)
    return ""


async def until_ready(new: Supervised, life: asyncio.Task[str], within_s: float) -> None:
    """Return when it is ready. Raises `RollError` when it is not in time, or ends for good."""
    waiting = asyncio.create_task(new.wait_ready(), name=f"roll-{new.name}")
    try:
        await asyncio.wait({waiting, life}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if new.ready:
        return
    if not life.done():
        lines = "".join(f"\n    {line}" for line in new.last_lines)
        raise RollError(f"{new.name} was not ready after {within_s:.0f} s ({new.waiting_for}).{lines}")
    raise RollError((not life.cancelled() and life.result()) or "the system was stopped")
