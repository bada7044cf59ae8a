"""Whether workers go on with what is due: pure. Those that are dead or frozen are known by their beats already."""

from typing import Final

from natter_proto import MIC_RATE_HZ, Stage

_HEARING_LIMITS: Final = {
    Stage.STAGE_VAD: 1 * MIC_RATE_HZ,
    Stage.STAGE_STT: 2 * MIC_RATE_HZ,
}
"""A worker that is so far behind the microphone and does not move is stuck."""
_FIRST_MS: Final = {Stage.STAGE_LLM: 7_000.0, Stage.STAGE_TTS: 5_000.0}
_NEXT_MS: Final = {Stage.STAGE_LLM: 5_000.0, Stage.STAGE_TTS: 4_000.0}
"""Providers give up sooner by themselves, and say why: this is for workers that don't."""


class HearingProgress:
    """Of the stages that read the microphone. Times are counted in its samples."""

    def __init__(self) -> None:
        self._reached: dict[Stage, tuple[int, int, int]] = {}

    def catches_up(self, stage: Stage) -> None:
        """What a worker should have heard comes later: it is judged anew."""
        self._reached.pop(stage, None)

    def stalls(self, stage: Stage, epoch: int, reached_sample: int, mic_sample: int) -> bool:
        """A worker has read up to a sample while the microphone is at another; whether it is stuck."""
        limit = _HEARING_LIMITS.get(stage)
        if limit is None:
            return False
        known = self._reached.get(stage)
        if known is None or known[:2] != (epoch, reached_sample):
            self._reached[stage] = (epoch, reached_sample, mic_sample)
            return False
        return mic_sample - max(known[2], reached_sample) > limit


class ReplyProgress:
    """Of the stages that make a reply: at most one of each is waited for."""

    def __init__(self) -> None:
        self._due_ms: dict[Stage, float] = {}

    @property
    def due_ms(self) -> float | None:
        """When to ask `overdue`."""
        return min(self._due_ms.values(), default=None)

    def asked(self, stage: Stage, now_ms: float) -> None:
        """A stage got something to do, unless it had something before."""
        self._due_ms.setdefault(stage, now_ms + _FIRST_MS[stage])

    def moved(self, stage: Stage, now_ms: float) -> None:
        """A piece of it came, and there is more to come."""
        self._due_ms[stage] = now_ms + _NEXT_MS[stage]

    def done(self, stage: Stage) -> None:
        """Nothing is due any more."""
        self._due_ms.pop(stage, None)

    def overdue(self, now_ms: float) -> Stage | None:
        """A stage that does not go on; said again after a while if nothing comes of it."""
        stage = next((stage for stage, due_ms in self._due_ms.items() if now_ms >= due_ms), None)
        if stage is not None:
            self._due_ms[stage] = now_ms + _NEXT_MS[stage]
        return stage
