"""What a stage tells the worker about itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING

from natter_common.providers import Provider
from natter_proto import Lease, Recognizer, Stage

if TYPE_CHECKING:
    from natter_common.worker.outlet import Outlet
    from natter_common.worker.session import StageSession


class Input(Flag):
    """What a stage's sessions listen to."""

    MIC = auto()
    CONTROLS = auto()
    REPLIES = auto()


class BadLeaseError(ValueError):
    """A lease that this worker can't serve; `code` for programs, the text for people."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


async def _nothing_to_close() -> None:
    """For stages that hold nothing."""


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """One stage as the worker sees it."""

    stage: Stage
    inputs: Input
    providers: Mapping[str, str]
    """Providers that can be served now, each with what it is in words: "Moonshine tiny, English"."""
    open_session: Callable[[Lease, Outlet], StageSession]
    """Makes the session object of a lease; raises `BadLeaseError` on settings that can't be. Must not block."""
    watched: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    """Those of them that may fail as a whole and are probed."""
    recognizers: Mapping[str, Recognizer] = field(default_factory=dict[str, Recognizer])
    """What the conductor has to know of each, in stage stt."""
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    """How much of one session's room a session of a provider takes; without it, 1."""
    close: Callable[[], Awaitable[None]] = _nothing_to_close
    """Lets go of what the providers hold, once no session is left."""
