"""How a recognition emulator tells its client what it heard: in its own time, and with the script's faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from natter_emulators.marks import HeardWord
from natter_emulators.outbox import Outbox
from natter_emulators.script import Delays, Fault, Part
from natter_emulators.server import Connection, ConnectionOverError

Message = dict[str, Any]

# JSON that ends in the middle.
_GARBAGE: Final = '{"type": "transcript", "data": {"id'


class Ear(Protocol):
    """What listens to a stream."""

    @property
    def heard(self) -> list[HeardWord]:
        """All words of the stream so far."""
        ...

    @property
    def mid_word(self) -> bool:
        """A word is being heard right now."""
        ...

    @property
    def since_word_ms(self) -> float:
        """Audio received since the end of the newest word."""
        ...


class Teller:
    """Between a stream's ear and its connection.

    Attributes:
        stalled: nothing is said any more, whatever is heard.
    """

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        ear: Ear,
        part: Part,
        delays: Delays,
        *,
        is_final: Callable[[Message], bool],
        is_interim: Callable[[Message], bool],
    ) -> None:
        """`is_final` tells the messages that are late by `final_ms`, and by more where the script says slow;
        `is_interim` those that trail the end of their newest word by `interim_ms`, the time included that it took to
        hear the word out. All others are late by `interim_ms`.
        """
        self.stalled = False
        self._connection, self._outbox, self._ear, self._part = connection, outbox, ear, part
        self._delays, self._is_final, self._is_interim = delays, is_final, is_interim
        self._struck = False

    def tell(self, messages: Iterable[Message], *, cut_now: bool = False) -> None:
        """Say what came of a piece of audio, or of a request; then let the script strike.

        Args:
            messages: drawn from one by one, each listening on a little.
            cut_now: a connection that is to be cut is cut here, even if this is not the middle of a word.

        Raises:
            ConnectionOverError: cut.
        """
        for message in messages:
            self._outbox.put(json.dumps(message), delay_ms=self._delay_ms(message))
        if self._part.strikes(len(self._ear.heard)):
            self._strike(cut_now=cut_now)

    def _delay_ms(self, message: Message) -> float:
        if self._is_final(message):
            return self._delays.final_ms + self._part.late_ms
        if self._is_interim(message):
            return max(0.0, self._delays.interim_ms - self._ear.since_word_ms)
        return self._delays.interim_ms

    def _strike(self, *, cut_now: bool) -> None:
        fault = self._part.fault
        if fault is Fault.CUT:
            if self._ear.mid_word or cut_now:
                self._connection.cut_inside_message(binary=False)
                raise ConnectionOverError
        elif fault is Fault.STALL:
            self.stalled = True
            self._outbox.mute()
        elif not self._struck:
            self._struck = True
            self._outbox.put(_GARBAGE)


async def with_outbox(connection: Connection, work: Callable[[Outbox], Awaitable[None]], name: str) -> None:
    """Do a connection's work beside a task that sends what it puts out.

    Over when the work is, or the peer is gone; a peer that reads nothing any more is dropped.
    """
    outbox = Outbox(connection.send)
    try:
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(outbox.run(), name=f"{name} out")
            try:
                await work(outbox)
            finally:
                sender.cancel()
    except* ConnectionOverError:
        pass
    except* asyncio.QueueFull:
        connection.abort()
