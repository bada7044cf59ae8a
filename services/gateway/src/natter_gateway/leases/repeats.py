"""Has frames sent again that a lost link or a slow reader swallowed, either way, for one session."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final, Protocol

from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import LeaseBroker
from natter_proto import Stage, stage_name

_ON_THE_WAY_S: Final = 0.02
"""A frame that seems to be missing may be on its way: beats are read beside it."""
UNDER_WAY_S: Final = 0.3
"""Frames from so long before a link was heard last may have been lost with it."""
_REPEAT_S: Final = 0.25
_REPEATED_S: Final = 0.05
_REPEAT_WITHIN_S: Final = 3.0
"""Longer than it takes until a worker behind a node that stands still is back, or gone."""


class RepeatUser(Protocol):
    """Who knows what came, and what was told: the conductor."""

    @property
    def leases(self) -> dict[Stage, HeldLease]: ...
    def lacks(self, lease: HeldLease) -> bool: ...
    def have(self, lease: HeldLease) -> Mapping[str, int]: ...
    def tell_again(self, since_s: float) -> None: ...
    def catches_up(self, stage: Stage) -> None: ...


class Repeats:
    """Whoever has got a frame already takes no notice of it."""

    def __init__(
        self,
        session: str,
        user: RepeatUser,
        broker: LeaseBroker,
        *,
        spawn: Callable[[Coroutine[None, None, None], str], None],
        serves: Callable[[HeldLease], bool],
        lost: Callable[[HeldLease], None],
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        """`lost` is told of a lease whose frames can't be had again; `wait` waits, but not beyond the session's end."""
        self._session = session
        self._user = user
        self._broker = broker
        self._spawn = spawn
        self._serves = serves
        self._lost = lost
        self._wait = wait
        self._asking: dict[Stage, HeldLease] = {}
        self._telling = False
        self._untold_since_s = 0.0

    def after_lost_link(self, lease: HeldLease, since_s: float) -> None:
        """The gateway's link was lost, or a worker's: all that was sent since then, either way, is sent again."""
        self._user.catches_up(lease.stage)
        self._tell_again(since_s)
        self._ask_again(lease, anyway=True)
        text = self._user.leases.get(Stage.STAGE_LLM)
        if lease.stage == Stage.STAGE_TTS and text is not None:
            # What is to be spoken came from there.
            self._ask_again(text, anyway=True)

    def on_lacking(self, lease: HeldLease) -> None:
        """Frames of a worker did not come, though it sent them."""
        if self._asking.get(lease.stage) != lease:
            self._ask_again(lease, anyway=False)

    def _tell_again(self, since_s: float) -> None:
        self._untold_since_s = min(since_s, self._untold_since_s) if self._telling else since_s
        if not self._telling:
            self._telling = True
            self._spawn(self._told_again(), f"tell-again-{self._session}")

    async def _told_again(self) -> None:
        """Once for all stages that may have missed something."""
        await self._wait(_ON_THE_WAY_S)
        self._telling = False
        self._user.tell_again(self._untold_since_s - UNDER_WAY_S)

    def _ask_again(self, lease: HeldLease, *, anyway: bool) -> None:
        self._asking[lease.stage] = lease
        self._spawn(self._have_repeated(lease, anyway=anyway), f"repeat-{stage_name(lease.stage)}-{self._session}")

    async def _have_repeated(self, lease: HeldLease, *, anyway: bool) -> None:
        """Have a worker send again what is lacking. `anyway`: it may be that something is, and nobody knows yet."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _REPEAT_WITHIN_S
        try:
            await self._wait(_ON_THE_WAY_S)
            while self._serves(lease) and (anyway or self._user.lacks(lease)):
                # Text goes to the voice too: what came here may not have come there.
                all_of_it = anyway and lease.stage == Stage.STAGE_LLM
                have: Mapping[str, int] = {} if all_of_it else self._user.have(lease)
                repeated = await self._broker.repeat(lease, have, _REPEAT_S)
                anyway = anyway and repeated is None
                await self._wait(_ON_THE_WAY_S if repeated is None else _REPEATED_S)
                if repeated is False or loop.time() > until_s:
                    if self._serves(lease) and self._user.lacks(lease):
                        self._lost(lease)
                    return
        finally:
            if self._asking.get(lease.stage) == lease:
                del self._asking[lease.stage]
