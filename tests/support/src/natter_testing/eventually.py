"""Waiting for what another process does, where nothing tells when it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

_T = TypeVar("_T")

_POLL_S: Final = 0.05


async def eventually(look: Callable[[], Awaitable[_T]], holds: Callable[[_T], object], within_s: float) -> _T:
    """Look until what is seen `holds`, and return it. Raises `AssertionError` with what was seen last."""
    deadline_s = asyncio.get_running_loop().time() + within_s
    while True:
        seen = await look()
        if holds(seen):
            return seen
        if asyncio.get_running_loop().time() > deadline_s:
            raise AssertionError(f"not within {within_s:g} s; seen last: {seen!r}")
        await asyncio.sleep(_POLL_S)
