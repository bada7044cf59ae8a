"""The worker's side of one lease: each stage implements `StageSession`."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass

from natter_common.mic import MicSpan
from natter_proto import CancelTool, Finalize, Playout, Reply, State, Summarize, Tool, Turn, WorkerAnswer


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the work is, for beats: a mic sample, or a segment of an attempt."""

    sample: int = 0
    turn: int = 0
    attempt: int = 0
    segment: int = 0


class StageSession(ABC):
    """Handlers run on the event loop in the order in which frames came, one subscription at a time, and must not block.

    Frames of an older term are dropped before they get here. `run` is the session's own work; it is cancelled when the
    lease ends, and an exception in it ends the lease with a fault. Either way, and where it never began, `close`
    follows.
    """

    async def on_mic(self, span: MicSpan) -> None:  # noqa: B027 - a stage overrides what it listens to
        """The next samples of the microphone, joined: nothing twice, gaps filled by replay or marked."""

    async def on_state(self, state: State) -> None:  # noqa: B027
        """The newest state; older ones are not delivered."""

    async def on_turn(self, turn: Turn) -> None:  # noqa: B027
        """An attempt starts. Its state came before it."""

    async def on_finalize(self, finalize: Finalize) -> None:  # noqa: B027
        """Close everything through a sample (which may not have come yet)."""

    async def on_playout(self, playout: Playout) -> None:  # noqa: B027
        """How far the caller's ear is."""

    async def on_reply(self, reply: Reply) -> None:  # noqa: B027
        """A piece of a living attempt: those of dead ones are dropped, those ahead of their state are held back."""

    def on_tool(self, tool: Tool) -> WorkerAnswer:
        """An order to run a tool: say whether it is accepted. What becomes of it is reported later."""
        del tool
        return WorkerAnswer(ok=False, code="unsupported", words="this stage runs no tools")

    def on_cancel_tool(self, cancel: CancelTool) -> WorkerAnswer:
        """Stop a tool that runs; one that does not is no error."""
        del cancel
        return WorkerAnswer(ok=True)

    async def summarize(self, request: Summarize) -> WorkerAnswer:
        """Sum up old turns. May take its time."""
        del request
        return WorkerAnswer(ok=False, code="unsupported", words="this stage sums nothing up")

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.Event().wait()

    async def close(self) -> None:  # noqa: B027
        """Free what the session took when it was made; called once."""

    @abstractmethod
    def reached(self) -> Reached:
        """How far the work is."""
