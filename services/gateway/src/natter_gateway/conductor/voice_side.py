"""The reply that the caller may hear: its text and voice as they come, playout, and what was heard of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.conductor.frames import FrameWriter, LivingAttempt
from natter_gateway.conductor.holding import Holding
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.stage_progress import ReplyProgress
from natter_gateway.conductor.turn_latency import TurnLatencyMeter
from natter_gateway.conductor.voice_intake import VoiceIntake
from natter_gateway.journal.live_notes import notes_of_reply
from natter_gateway.journal.notes import Note
from natter_gateway.latency import Mark
from natter_gateway.media.opus import CODEC_DELAY_MS
from natter_gateway.media.playout import Playout, PlayoutOverflowError, PoppedFrame, SegmentFinished, SegmentStarted
from natter_gateway.media.segment import PlayoutGapError
from natter_gateway.reply import Reply, ReplyHeard, ReplyNews, ReplyNotice
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.states import Thinking
from natter_proto import VOICE_RATE_HZ, Stage, Voice

_ENOUGH_QUEUED_SAMPLES: Final = VOICE_RATE_HZ
"""Of voice: more is not due."""


class VoiceSide:
    """At most one reply lives. Which words have their voice is known here, for another voice to go on."""

    def __init__(
        self,
        machine: TurnMachine,
        frames: FrameWriter,
        page: Page,
        metrics: Metrics,
        log: Log,
        latency: TurnLatencyMeter,
        progress: ReplyProgress,
        *,
        reopen_within_ms: float,
        next_segment_id: int,
        handle: Callable[[ev.Event], None],
        publish_state: Callable[[], None],
        note: Callable[[Note], None],
    ) -> None:
        """`handle` takes an event for the machine, `note` keeps what is heard.

        Once `reopen_within_ms` of a reply were heard, its turn can't be taken back any more.
        """
        self.playout: Final = Playout()
        self._machine = machine
        self._frames = frames
        self._page = page
        self._log = log
        self._latency = latency
        self._progress = progress
        self._reopen_within_ms = reopen_within_ms
        self._handle = handle
        self._publish_state = publish_state
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._holding = Holding(self.playout, frames)
        self._intake = VoiceIntake(self.playout, lambda: metrics.drop("voice", "too_many_early"))
        self._reply: Reply | None = None
        self._granted = 0
        self._established = False
        self._next_segment_id = next_segment_id

    @property
    def reply(self) -> Reply | None:
        """The one that lives."""
        return self._reply

    @property
    def next_segment_id(self) -> int:
        """The number of the session's next segment."""
        return self._next_segment_id if self._reply is None else self._reply.next_segment_id

    @property
    def due_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        return None if self._reply is None else self._reply.due_ms

    @property
    def wanted(self) -> bool:
        """Whether voice is to come yet, of what is there or of what may follow."""
        reply = self._reply
        if reply is None or reply.modality is Modality.TEXT:
            return False
        return not reply.ended or reply.voiced < reply.segment_count

    def so_far(self) -> list[ReplyNews]:
        """What the caller heard and saw of the reply that lives."""
        return [] if self._reply is None else self._reply.so_far()

    def living(self) -> LivingAttempt | None:
        """The attempt as the stages have to know it; what is granted counts as told."""
        reply = self._reply
        if self._machine.living is None or reply is None:
            return None
        self._granted = reply.granted
        return LivingAttempt(reply.key, reply.segment_count, self._granted, reply.modality, reply.voiced)

    def tick(self) -> None:
        """Time passes."""
        if (reply := self._reply) is not None:
            self._notify(reply.advance(self._now_ms()))
            self._check_established(reply)

    # --- Its life

    def begin(self, key: AttemptKey) -> None:
        """An attempt lives: its reply has to be there before its state is told. May be called again."""
        if self._reply is None or self._reply.key != key:
            bot = self._machine.bot
            modality = bot.modality if isinstance(bot, Thinking) else Modality.VOICE
            self._reply = Reply(key, modality, self._next_segment_id)
            self._established = False

    def end(self, key: AttemptKey, *, cut: bool) -> Reply | None:
        """A reply is over, `cut` off or heard to its end; returns it, if it is the one that lived."""
        reply, self._reply = self._reply, None
        self._intake.forget()
        self._progress.done(Stage.STAGE_TTS)
        if reply is None or reply.key != key:
            return None
        self._next_segment_id = reply.next_segment_id
        if cut:
            self.playout.cut()
        return reply

    # --- Text

    def add_segment(self, number: int, text: str, spoken: str) -> None:
        """There is more to say."""
        if (reply := self._reply) is None:
            return
        self._notify(reply.add_segment(number, text, spoken))
        for voice in self._intake.set_free(reply):
            self._take(reply, voice)
        self._grant()

    def add_whole(self, texts: Sequence[str]) -> None:
        """A whole reply that no model makes."""
        if (reply := self._reply) is None:
            return
        for number, text in enumerate(texts, start=1):
            self._notify(reply.add_segment(number, text, text))
        self._frames.verbatim(reply.key, texts)
        self._notify(reply.end(len(texts)))
        self._grant()

    def add_filler(self, text: str) -> None:
        """Something to say while nothing is being said."""
        reply = self._reply
        if reply is None or reply.modality is Modality.TEXT or not isinstance(self._machine.bot, Thinking):
            return
        number = reply.segment_count + 1
        self.add_segment(number, text, text)
        self._frames.segment(reply.key, number, text, text)

    def end_text(self, segments: int) -> None:
        """The reply has so many segments."""
        if self._reply is not None:
            self._notify(self._reply.end(segments))

    # --- Voice

    def on_voice(self, reply: Reply, frame: Voice) -> None:
        """Voice of the living reply: queued for playout, with its words."""
        if isinstance(self._machine.bot, Thinking):
            self._handle(ev.ReplyProgress(reply.key))
        if self._intake.admit(reply, frame):
            self._take(reply, frame)

    def _take(self, reply: Reply, frame: Voice) -> None:
        if frame.audio.data:
            self._latency.mark(Mark.VOICE, self._now_ms())
            self._page.voice_arrived()
        try:
            self._intake.take(reply, frame)
        except (PlayoutOverflowError, PlayoutGapError, ValueError) as error:
            self._log.warning("voice can't be played", reason=str(error), turn=reply.key[0])
            self._handle(ev.ReplyFailed(reply.key, "The bot's voice broke off. Please say that again."))
            return
        self._expect(reply, moved=True)
        if frame.audio.end:
            self._grant()

    def on_frame(self, frame: PoppedFrame, at_s: float) -> bool:
        """A frame of voice is handed to the network; whether `tick` may be due sooner than before."""
        reply = self._reply
        if reply is None:
            return False
        at_ms = at_s * 1000
        was_due = reply.due_ms is not None
        few = self.playout.queued_samples < _ENOUGH_QUEUED_SAMPLES
        if frame.spans:
            if self._latency.waiting and frame.audible:
                self._latency.audible(at_ms + CODEC_DELAY_MS)
            if isinstance(self._machine.bot, Thinking):
                self._handle(ev.ReplyAudible(reply.key))
            if few:
                self._expect(reply)
        for event in frame.events:
            if isinstance(event, SegmentStarted):
                self._holding.say_position(event.key, 0, held=False)
        self._notify(reply.on_frame(frame, at_ms))
        self._check_established(reply)
        for event in frame.events:
            if isinstance(event, SegmentFinished):
                self._grant()
                if self.playout.queued_samples == 0 and self._reply is reply:
                    self._handle(ev.ReplyDry(reply.key))
        return few or not was_due or bool(frame.events)

    def hold(self) -> None:
        """Nothing plays."""
        self._holding.hold()

    def resume(self) -> None:
        """It goes on."""
        self._holding.resume(self._reply)

    def set_round_trip(self, round_trip_ms: float) -> None:
        """The caller's network changed."""
        if self._reply is not None:
            self._reply.set_round_trip(round_trip_ms)

    # --- Takeover

    def stage_lost(self) -> None:
        """Whoever wrote or spoke is gone: voice that waits for its text waits in vain."""
        self._intake.forget()

    def go_on(self) -> None:
        """Another voice serves the session: it says what has not come whole."""
        reply = self._reply
        if reply is None or reply.modality is Modality.TEXT:
            self._publish_state()
            return
        complete, rest = reply.hand_over_voice()
        for number, total_samples in complete:
            self.playout.end((*reply.key, number), total_samples)
        self._publish_state()
        for unvoiced in rest:
            self._frames.segment(reply.key, unvoiced.number, unvoiced.text, unvoiced.spoken)
        if reply.ended:
            self._frames.reply_end(reply.key, reply.segment_count)

    # --- Parts

    def _expect(self, reply: Reply, *, moved: bool = False) -> None:
        """Know whether more voice is due."""
        enough = self.playout.queued_samples >= _ENOUGH_QUEUED_SAMPLES
        if enough or reply.voiced >= min(reply.granted, reply.segment_count):
            self._progress.done(Stage.STAGE_TTS)
        elif moved:
            self._progress.moved(Stage.STAGE_TTS, self._now_ms())
        else:
            self._progress.asked(Stage.STAGE_TTS, self._now_ms())

    def _check_established(self, reply: Reply) -> None:
        if not self._established and self._reply is reply and reply.heard_ms >= self._reopen_within_ms:
            self._established = True
            self._handle(ev.ReplyEstablished(reply.key))

    def _notify(self, notices: list[ReplyNotice]) -> None:
        for notice in notices:
            if isinstance(notice, ReplyHeard):
                if self._reply is not None:
                    self._handle(ev.ReplyComplete(self._reply.key))
            else:
                self._page.reply_news(notice)
                if self._reply is not None:
                    for one in notes_of_reply(self._reply.key, notice):
                        self._note(one)

    def _grant(self) -> None:
        """Let tts go on when playout has come near enough."""
        if self._reply is not None and self._reply.granted != self._granted:
            self._publish_state()
            self._expect(self._reply)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
