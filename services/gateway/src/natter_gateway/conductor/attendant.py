"""Carries out what attendance wants of one call: the bot asks whether somebody is there, or ends the call."""

import asyncio
from collections.abc import Callable

from natter_gateway.attendance import Attendance, AttendanceSettings, Close, Output, Say
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.alarm import Alarm


class Attendant:
    """One call's. `say` speaks a text as it is (and over everything, if told so); `close` ends the call with words."""

    def __init__(self, bot: Bot, *, say: Callable[[str, bool], None], close: Callable[[Close], None]) -> None:
        self._say = say
        self._close = close
        self._attendance = Attendance(AttendanceSettings.of(bot))
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._tick)
        self._line_heard = True

    def begin(self) -> None:
        """The caller hears the bot, for the first time or again."""
        self._do(self._attendance.start(self._now_ms()))

    def line_heard(self, heard: bool) -> None:
        """Whether anything comes from the caller now, be it silence. Nobody is asked questions over a broken line."""
        if heard == self._line_heard:
            return
        self._line_heard = heard
        if heard:
            self.begin()
        else:
            self._attendance.line_lost()

    def caller_active(self) -> None:
        """The caller shows that they are there."""
        self._do(self._attendance.caller_active(self._now_ms()))

    def settled(self, *, idle: bool) -> None:
        """Something happened, and now the call is idle or not."""
        now_ms = self._now_ms()
        self._do(self._attendance.quiet(now_ms) if idle else self._attendance.busy(now_ms))

    def end(self) -> None:
        """The call is over."""
        self._alarm.cancel()

    def _tick(self) -> None:
        self._do(self._attendance.tick(self._now_ms()))

    def _do(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Say(text, over):
                    self._say(text, over)
                case Close():
                    self._close(output)
        self._alarm.set(self._attendance.deadline_ms)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
