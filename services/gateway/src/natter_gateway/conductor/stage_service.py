"""Who serves a session's stages, and what follows when one fails, is replaced or is not to be had."""

from collections.abc import Callable, Mapping

from natter_common.metrics import Metrics
from natter_gateway.conductor.fence import Fence
from natter_gateway.conductor.frames import FrameWriter
from natter_gateway.conductor.hearing_side import HearingSide
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.reply_side import ReplySide
from natter_gateway.conductor.stage_progress import HearingProgress
from natter_gateway.conductor.trouble import StageTrouble, TroubleBook
from natter_gateway.leases.board import HeldLease
from natter_gateway.turns import events as ev
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.states import Pausing
from natter_proto import MIC_RATE_HZ, Held, Stage


class StageService:
    """Of one session: between whoever keeps the leases and the two sides of the conversation."""

    def __init__(
        self,
        machine: TurnMachine,
        frames: FrameWriter,
        hearing: HearingSide,
        reply: ReplySide,
        page: Page,
        trouble: TroubleBook,
        metrics: Metrics,
        *,
        handle: Callable[[ev.Event], None],
        publish_state: Callable[[], None],
        is_idle: Callable[[], bool],
        now_ms: Callable[[], float],
    ) -> None:
        """`handle` takes an event for the machine."""
        self.on_trouble: Callable[[StageTrouble], None] = lambda _trouble: None
        """Told of a stage that has to be leased elsewhere; set by whoever keeps the leases."""
        self.on_stuck: Callable[[Stage, float], None] = lambda _stage, _behind_s: None
        """Told of a stage whose worker does not go on, and how far it is behind the microphone (s), if it listens."""
        self.on_lacking: Callable[[Stage], None] = lambda _stage: None
        """Told of a stage of whose frames some did not come."""
        self.fence = Fence(metrics, self._lacking)
        self._machine = machine
        self._frames = frames
        self._hearing = hearing
        self._reply = reply
        self._page = page
        self._trouble = trouble
        self._handle = handle
        self._publish_state = publish_state
        self._is_idle = is_idle
        self._now_ms = now_ms
        self._hearing_progress = HearingProgress()

    @property
    def leases(self) -> dict[Stage, HeldLease]:
        """The stages' current leases."""
        return self.fence.leases

    @property
    def idle(self) -> bool:
        """Nothing goes on."""
        return self._is_idle()

    def replay_from_sample(self, stage: Stage, unheard_from_sample: int, oldest_sample: int) -> int:
        """Where a new vad or stt worker has to begin to read, if the last one heard nothing from a sample on.

        What is older than `oldest_sample` is not there any more.
        """
        if stage == Stage.STAGE_VAD and unheard_from_sample < oldest_sample and not self._is_idle():
            # Nobody will find out any more when the sound stopped that the last one heard.
            self._handle(ev.Muted(oldest_sample))
        begin = self._hearing.replay_from_sample(stage)
        if begin is None:
            begin = max(self._hearing.settled_through_sample, unheard_from_sample)
        return max(begin, oldest_sample)

    def on_progress(self, lease: HeldLease, held: Held, mic_sample: int) -> None:
        """How far a worker is, while the microphone is at a sample."""
        self.fence.told(lease, held.sent)
        current = self.leases.get(lease.stage) == lease
        if current and self._hearing_progress.stalls(lease.stage, lease.epoch, held.sample, mic_sample):
            self.on_stuck(lease.stage, (mic_sample - held.sample) / MIC_RATE_HZ)

    def fails(self, trouble: StageTrouble) -> None:
        """A stage can't go on with its provider."""
        living = self._machine.living
        if trouble.stage == Stage.STAGE_STT:
            self._hearing.on_trouble(trouble.words)
        if self._trouble.note(trouble, living) and living is not None and self._reply.needs(trouble.stage):
            # Whoever tried failed: the caller is told, and the next turn finds another worker.
            self._handle(ev.ReplyFailed(living, trouble.words))
        self.on_trouble(trouble)

    def stuck(self, stage: Stage) -> None:
        """A worker does not go on with what is due."""
        self.on_stuck(stage, 0.0)

    def _lacking(self, stage: Stage) -> None:
        self.on_lacking(stage)

    # --- What becomes of leases

    def stage_lost(self, stage: Stage) -> None:
        """A stage has no worker (any more): another will go on where it was. What the old one still says is dropped."""
        self.leases.pop(stage, None)
        self._reply.stage_lost(stage)
        if stage == Stage.STAGE_LLM:
            # The voice hears the model itself: it must not say what counts for nobody here.
            self._publish_state()

    def lacks(self, lease: HeldLease) -> bool:
        """Whether frames of a lease did not come."""
        return self.fence.lacks(lease)

    def have(self, lease: HeldLease) -> Mapping[str, int]:
        """Up to which number they all came, by subject."""
        return self.fence.have(lease)

    def catches_up(self, stage: Stage) -> None:
        """A stage was cut off: what it did not hear it hears now."""
        self._hearing_progress.catches_up(stage)

    def tell_again(self, since_s: float) -> None:
        """What the stages were told since a time (of the loop, in s) may not have come: it is told again."""
        self._frames.tell_again(since_s)

    def stage_hopeless(self, stage: Stage, words: str) -> None:
        """Nobody can serve a stage until somebody does something about it: the caller is told, once."""
        if self._trouble.words(stage) == words:
            return
        self._trouble.hopeless(stage, words)
        living = self._machine.living
        if living is not None and self._reply.needs(stage):
            self._handle(ev.ReplyFailed(living, words))
        else:
            self._page.error(words)

    def stage_leased(self, lease: HeldLease) -> None:
        """A stage has a worker (again): tell all, and ask it for what its predecessor owed."""
        self.leases[lease.stage] = lease
        self._trouble.served(lease.stage)
        asked = self._hearing.asked
        if lease.stage == Stage.STAGE_STT:
            self._handle(
                ev.RecognizerChanged(
                    lease.decides_turns, lease.final_grace_ms, lease.early_final, lease.stable_interims
                )
            )
        if lease.stage == Stage.STAGE_TTS:
            self._reply.go_on_speaking()
            return
        self._publish_state()
        caller = self._machine.caller
        owed = isinstance(caller, Pausing) and not caller.closed and self._hearing.asked == asked
        if lease.stage == Stage.STAGE_STT and owed:
            self._hearing.ask_final_again(lease, self._now_ms())
        elif lease.stage == Stage.STAGE_LLM:
            self._reply.go_on_generating()
