"""The alarm rings once for what is due, on the loop that the gateway runs on."""

import asyncio

import uvloop

from natter_gateway.conductor.alarm import Alarm


def test_it_rings_when_it_is_time_and_not_over_and_over_before() -> None:
    async def rings_before_due(wait_ms: float) -> int:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        due_ms, early = loop.time() * 1000 + wait_ms, 0

        def ring() -> None:
            nonlocal early
            if loop.time() * 1000 < due_ms:
                early += 1
                alarm.set(due_ms)
            else:
                rung.set()

        alarm = Alarm(loop, ring)
        alarm.set(due_ms)
        async with asyncio.timeout(5):
            await rung.wait()
        return early

    async def all_of_them() -> list[int]:
        return [await rings_before_due(tenths / 10) for tenths in range(1, 60)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # libuv's own idea of the time may be a little old.
        assert max(runner.run(all_of_them())) <= 2


def test_an_earlier_alarm_stays_and_a_cancelled_one_is_silent() -> None:
    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        rung: list[str] = []
        first, second = Alarm(loop, lambda: rung.append("first")), Alarm(loop, lambda: rung.append("second"))
        now_ms = loop.time() * 1000
        first.set(None)
        first.set(now_ms + 1)
        first.set(now_ms + 60_000)
        second.set(now_ms + 1)
        second.cancel()
        done = asyncio.Event()
        loop.call_later(0.02, done.set)
        await done.wait()
        return rung

    assert asyncio.run(run()) == ["first"]
