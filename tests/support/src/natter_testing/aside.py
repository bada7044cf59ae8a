"""Asynchronous things beside a test that blocks: Playwright's own loop leaves no room for another in its thread."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def aside(context: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Enter an asynchronous context in a thread of its own, which lives as long as the block."""
    entered: list[T] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    leaving = asyncio.Event()

    async def stay() -> None:
        async with context as value:
            entered.append(value)
            ready.set()
            await leaving.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(stay())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="aside")
    thread.start()
    ready.wait()
    try:
        if not entered:
            raise failed[0]
        yield entered[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(leaving.set)
        thread.join()
    if failed:
        raise failed[0]
