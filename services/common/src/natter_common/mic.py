"""The microphone as a stage hears it: joined by sample number, each sample once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from natter_common.link import LinkDownError, NoAnswerError
from natter_proto import MIC_RATE_HZ, Audio, BadFrameError, Mic

REPLAY_MAX_SAMPLES: Final = 30 * MIC_RATE_HZ
"""The gateway keeps the last 30 s."""

_BYTES_PER_SAMPLE: Final = 2
_TRIES: Final = 4
_AGAIN_S: Final = 0.05
"""A link that has just come back may not be known to all yet."""

AskMicrophone = Callable[[int, int], Awaitable[list[Audio]]]


@dataclass(frozen=True, slots=True)
class MicSpan:
    """Samples that follow the span before, unless `discontinuity` says that some are missing for good."""

    first_sample: int
    pcm: bytes
    """16 kHz mono s16le; zeros while muted."""
    discontinuity: bool
    muted: bool

    @property
    def end_sample(self) -> int:
        return self.first_sample + len(self.pcm) // _BYTES_PER_SAMPLE


class MicJoin:
    """Turns mic frames into spans without doubles: pure. Says which samples have to be asked for."""

    def __init__(self, from_sample: int) -> None:
        self.next_sample = from_sample

    def gap_before(self, audio: Audio) -> tuple[int, int] | None:
        """The samples [from, to) that are missing before `audio` and may still be had."""
        if audio.discontinuity or audio.first_sample <= self.next_sample:
            return None
        return max(self.next_sample, audio.first_sample - REPLAY_MAX_SAMPLES), audio.first_sample

    def join(self, audio: Audio) -> MicSpan | None:
        """The part of `audio` that is new, or None."""
        end = audio.first_sample + audio.sample_count
        if end <= self.next_sample:
            return None
        pcm = audio.data or bytes(audio.sample_count * _BYTES_PER_SAMPLE)
        known = max(0, self.next_sample - audio.first_sample)
        first = audio.first_sample + known
        span = MicSpan(first, pcm[known * _BYTES_PER_SAMPLE :] if known else pcm, first > self.next_sample, audio.muted)
        self.next_sample = end
        return span


class MicInlet:
    """Joins the mic of one session, pulling what was missed from the gateway's ring.

    While it asks, later frames wait in their subscription; what nobody has any more is skipped with a discontinuity.
    """

    def __init__(self, from_sample: int, ask: AskMicrophone, deliver: Callable[[MicSpan], Awaitable[None]]) -> None:
        self._join = MicJoin(from_sample)
        self._ask = ask
        self._deliver = deliver
        self.asked = 0
        """Replays asked for so far."""

    async def feed(self, frame: Mic) -> None:
        gap = self._join.gap_before(frame.audio)
        if gap is not None:
            await self._replay(*gap)
        await self._pass_on(frame.audio)

    async def _replay(self, from_sample: int, to_sample: int) -> None:
        self.asked += 1
        for piece in await self._asked(from_sample, to_sample):
            if piece.rate_hz == MIC_RATE_HZ and piece.first_sample + piece.sample_count <= to_sample:
                await self._pass_on(piece)

    async def _asked(self, from_sample: int, to_sample: int) -> list[Audio]:
        for again in range(_TRIES):
            if again:
                await asyncio.sleep(_AGAIN_S)
            try:
                return await self._ask(from_sample, to_sample)
            except BadFrameError:
                return []
            except (NoAnswerError, LinkDownError):
                continue
        return []

    async def _pass_on(self, audio: Audio) -> None:
        span = self._join.join(audio)
        if span is not None:
            await self._deliver(span)
