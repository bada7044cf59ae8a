"""The sockets to ElevenLabs of a worker: shared by sessions of the same voice, opened before they are needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from natter_common.backoff import Backoff
from natter_common.providers import Trouble
from natter_tts import elevenlabs_wire as wire
from natter_tts.arrival import ArrivalSpeed
from natter_tts.elevenlabs_socket import VoiceContext, VoiceSocket
from natter_tts.faults import copy_of
from natter_tts.provider import TtsError

# A context that nothing is said into any more (its reply is over, and nobody knew that its segment was the last).
CONTEXT_IDLE_S: Final = 10.0
# The vendor closes a socket that is silent for `wire.INACTIVITY_S`. An empty context would keep it, but counts as one;
# a new socket in good time costs less.
SOCKET_IDLE_S: Final = wire.INACTIVITY_S - 30.0
# The vendor names no age limit; load balancers before such services have some.
SOCKET_AGE_S: Final = 1_200.0
# A socket that is kept beside one with room.
SPARE_S: Final = 30.0
_TICK_S: Final = 0.5


@dataclass(slots=True)
class _Lane:
    """The sockets of one line, and how many sessions hold it."""

    line: wire.VoiceLine
    sessions: int = 0
    sockets: list[VoiceSocket] = field(default_factory=list[VoiceSocket])
    connecting: asyncio.Task[VoiceSocket | TtsError] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    arrival: ArrivalSpeed = field(default_factory=ArrivalSpeed)
    retry_at_s: float = 0.0


class SocketPool:
    """All sockets of a provider. `run` owns their tasks and lives as long as the provider."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._lanes: dict[wire.VoiceLine, _Lane] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def sockets(self) -> int:
        """How many are open."""
        return sum(len(lane.sockets) for lane in self._lanes.values())

    async def run(self, ready: asyncio.Event) -> None:
        """Tend the sockets until cancelled; then all end."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                ready.set()
                while True:
                    for lane in list(self._lanes.values()):
                        self._tend(lane, loop.time())
                    await asyncio.sleep(_TICK_S)
        finally:
            self._tasks = None
            self._lanes.clear()

    def hold(self, line: wire.VoiceLine) -> ArrivalSpeed:
        """A session with this line begins: have a socket ready. Returns what is known of how fast its voice comes."""
        lane = self._lanes.setdefault(line, _Lane(line))
        lane.sessions += 1
        self._tend(lane, asyncio.get_running_loop().time())
        return lane.arrival

    def release(self, line: wire.VoiceLine) -> None:
        """A session ends."""
        if (lane := self._lanes.get(line)) is not None:
            lane.sessions -= 1
            self._tend(lane, asyncio.get_running_loop().time())

    async def open_context(self, line: wire.VoiceLine, speed: float) -> VoiceContext:
        """A context on a socket with room, which is there as a rule. Raises TtsError when none can be opened."""
        lane = self._lanes.setdefault(line, _Lane(line))
        ended = 0
        while ended < 2:
            socket = next((socket for socket in lane.sockets if socket.has_room), None)
            if socket is None:
                # Others may wait for the same one: whoever stops waiting must not end it.
                opened = await asyncio.shield(lane.connecting or self._connect(lane))
                if isinstance(opened, TtsError):
                    raise copy_of(opened)
                socket = opened
            if socket.has_room:
                context = socket.open_context(speed)
                self._tend(lane, asyncio.get_running_loop().time())
                return context
            # Else others were faster, and a further one is opened.
            if socket.error is not None:
                raise copy_of(socket.error)
            ended += socket.ended
        raise TtsError(Trouble.UNAVAILABLE, f"{wire.VENDOR} ends connections as soon as they are there.")

    def _connect(self, lane: _Lane) -> asyncio.Task[VoiceSocket | TtsError]:
        if self._tasks is None:
            raise TtsError("not_loaded", f"{wire.VENDOR} is not loaded.")
        lane.connecting = self._tasks.create_task(self._open(lane), name="elevenlabs-connect")
        return lane.connecting

    async def _open(self, lane: _Lane) -> VoiceSocket | TtsError:
        loop = asyncio.get_running_loop()
        try:
            socket = await VoiceSocket.open(self._base_url, self._api_key, lane.line)
        except TtsError as error:
            lane.retry_at_s = loop.time() + lane.backoff.next_s()
            return error
        finally:
            lane.connecting = None
        lane.sockets.append(socket)
        tasks = self._tasks
        if tasks is not None:
            tasks.create_task(self._live(lane, socket), name="elevenlabs-socket")
        # Those that it replaces may go; whoever waits for it takes its context before it can look spare.
        self._tend(lane, loop.time())
        return socket

    async def _live(self, lane: _Lane, socket: VoiceSocket) -> None:
        await socket.run()
        lane.sockets.remove(socket)
        if socket.served:
            lane.backoff.reset()
        now_s = asyncio.get_running_loop().time()
        if socket.error is not None:
            lane.retry_at_s = now_s + lane.backoff.next_s()
        self._tend(lane, now_s)

    def _tend(self, lane: _Lane, now_s: float) -> None:
        """Open what will be needed, end what will not."""
        for socket in lane.sockets:
            socket.tend(now_s, CONTEXT_IDLE_S)
        roomy = [socket for socket in lane.sockets if socket.has_room]
        fresh = [socket for socket in roomy if not _is_old(socket, now_s)]
        if lane.sessions > 0 and not fresh and lane.connecting is None and now_s >= lane.retry_at_s:
            if self._tasks is not None:
                self._connect(lane)
        elif lane.sessions > 0 and fresh:
            # The oldest with room takes the next context, so that the others empty.
            spare = [socket for socket in fresh[1:] if socket.empty and now_s - socket.used_s > SPARE_S]
            for socket in [*spare, *(socket for socket in roomy if socket not in fresh)]:
                socket.retire()
        elif lane.sessions <= 0:
            for socket in lane.sockets:
                socket.retire()
        for socket in lane.sockets:
            if socket.retiring and socket.empty:
                socket.end()
        if lane.sessions <= 0 and not lane.sockets and lane.connecting is None:
            self._lanes.pop(lane.line, None)


def _is_old(socket: VoiceSocket, now_s: float) -> bool:
    return now_s - socket.used_s > SOCKET_IDLE_S or now_s - socket.opened_s > SOCKET_AGE_S
