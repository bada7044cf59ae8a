"""The bot's side of a session: from the model's text to what the caller heard of it, whoever makes it.

What is needed to go on when a worker fails is kept here: the text so far for another model, and which words have their
voice, for another voice.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.frames import FrameWriter, LivingAttempt
from natter_gateway.conductor.generation import Generation, Piece
from natter_gateway.conductor.guess_box import GRANTED
from natter_gateway.conductor.guessing import Guessing
from natter_gateway.conductor.holding import Holding
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.stage_progress import ReplyProgress
from natter_gateway.conductor.tool_rounds import ToolRounds
from natter_gateway.conductor.trouble import TroubleBook
from natter_gateway.conductor.turn_latency import Accepted, TurnLatencyMeter
from natter_gateway.conductor.voice_intake import VoiceIntake
from natter_gateway.context import Context, ToolRecord
from natter_gateway.journal.live_notes import note_of_latency, notes_of_reply
from natter_gateway.journal.notes import Note
from natter_gateway.latency import AttemptMarks, Mark
from natter_gateway.media.opus import CODEC_DELAY_MS
from natter_gateway.media.playout import Playout, PlayoutOverflowError, PoppedFrame, SegmentFinished
from natter_gateway.media.playout import SegmentStarted as PlayoutSegmentStarted
from natter_gateway.media.segment import PlayoutGapError
from natter_gateway.reply import Reply as HeardReply
from natter_gateway.reply import ReplyHeard, ReplyNews, ReplyNotice
from natter_gateway.tools.round import Call
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.states import Thinking
from natter_proto import VOICE_RATE_HZ, EndReason, Reply, ReplyKind, Stage, Voice

_NO_ANSWER: Final = "The model had no answer. Please try again."
_ENOUGH_QUEUED_SAMPLES: Final = VOICE_RATE_HZ
"""Of voice: more is not due."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")


class ReplySide:
    """At most one reply that the caller may hear, and one that is prepared."""

    def __init__(
        self,
        bot: Bot,
        machine: TurnMachine,
        frames: FrameWriter,
        page: Page,
        trouble: TroubleBook,
        metrics: Metrics,
        log: Log,
        *,
        handle: Callable[[ev.Event], None],
        publish_state: Callable[[], None],
        prompt: Callable[[], str],
        stuck: Callable[[Stage], None],
        note: Callable[[Note], None],
    ) -> None:
        """`handle` takes an event for the machine, `prompt` gives the system prompt for the model in use.

        `stuck` is told of a stage that does not go on with the reply, `note` keeps what is heard and what tools do.
        """
        self.context: Final = Context()
        self.playout: Final = Playout()
        self.latency: Final = TurnLatencyMeter(page, metrics, log)
        self.latency.on_told = lambda latency: note(note_of_latency(latency))
        self.tools: Final = ToolRounds(
            bot.tools,
            page,
            log,
            say_filler=self._say_filler,
            over=self._tools_over,
            late=self.context.correct_tool,
            acted=lambda key: handle(ev.ToolsActed(key)),
            note=note,
        )
        self.accepted: Accepted | None = None
        """The spoken turn that is to be answered; None where its latency can't be told."""
        self._bot = bot
        self._machine = machine
        self._frames = frames
        self._page = page
        self._trouble = trouble
        self._metrics = metrics
        self._log = log
        self._handle = handle
        self._publish_state = publish_state
        self._prompt = prompt
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._generation: Generation | None = None
        self._guessing = Guessing(metrics, lambda key: handle(ev.GuessFailed(key)))
        self._holding = Holding(self.playout, frames)
        self._intake = VoiceIntake(self.playout)
        self._progress = ReplyProgress()
        self._stuck = stuck
        self._reply: HeardReply | None = None
        self._granted = 0
        self._established = False
        self._next_segment_id = 1

    def so_far(self) -> list[ReplyNews]:
        """What the caller heard and saw of the reply that lives."""
        return [] if self._reply is None else self._reply.so_far()

    @property
    def next_segment_id(self) -> int:
        """The number of the session's next segment."""
        return self._next_segment_id if self._reply is None else self._reply.next_segment_id

    @property
    def due_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        heard_ms = None if self._reply is None else self._reply.due_ms
        dues_ms = (heard_ms, self.tools.deadline_ms, self._progress.due_ms)
        return min((due for due in dues_ms if due is not None), default=None)

    def tick(self) -> None:
        """Time passes."""
        if (reply := self._reply) is not None:
            self._notify(reply.advance(self._now_ms()))
            self._check_established(reply)
        self.tools.tick(self._now_ms())
        if (stage := self._progress.overdue(self._now_ms())) is not None:
            self._stuck(stage)

    def living(self) -> list[LivingAttempt]:
        """The attempts as the stages have to know them."""
        attempts: list[LivingAttempt] = []
        reply = self._reply
        if self._machine.living is not None and reply is not None:
            self._granted = reply.granted
            attempts.append(LivingAttempt(reply.key, reply.segment_count, self._granted, reply.modality, reply.voiced))
        if self._machine.guess is not None:
            attempts.append(LivingAttempt(self._machine.guess, 0, GRANTED, Modality.VOICE, committed=False))
        return attempts

    # --- What stages and playout report

    def on_reply(self, frame: Reply) -> None:
        """More text of a reply, or its end, or tools that it wants."""
        if self._guessing.keeps(frame):
            return
        key = (frame.header.turn, frame.header.attempt)
        reply = self._living_reply(key, "reply")
        generation = self._generation
        if reply is None or generation is None or frame.step != generation.step:
            return
        self._handle(ev.ReplyProgress(key))
        self._progress.moved(Stage.STAGE_LLM, self._now_ms())
        match frame.kind:
            case ReplyKind.REPLY_KIND_DELTA:
                self.latency.mark(Mark.MODEL, self._now_ms())
                if text := generation.new_text(frame.text):
                    self._page.model_text(text)
            case ReplyKind.REPLY_KIND_SEGMENT:
                self.latency.mark(Mark.MODEL, self._now_ms())
                self.latency.mark(Mark.TEXT, self._now_ms())
                number = frame.header.segment
                if number == reply.segment_count + 1:
                    generation.pieces.append(Piece(number, frame.text, frame.spoken))
                self._notify(reply.add_segment(number, frame.text, frame.spoken))
                for voice in self._intake.set_free(reply):
                    self._take_voice(reply, voice)
                self._grant()
            case ReplyKind.REPLY_KIND_TOOL_CALLS:
                self._begin_tools(generation, frame)
            case ReplyKind.REPLY_KIND_END:
                self._end_generation(generation, reply, frame)
            case _:
                self._metrics.drop("reply", "unknown_kind")

    def _end_generation(self, generation: Generation, reply: HeardReply, frame: Reply) -> None:
        generation.running = False
        self._progress.done(Stage.STAGE_LLM)
        if frame.usage.prompt_tokens or frame.usage.completion_tokens:
            self._page.usage(frame.usage.prompt_tokens, frame.usage.completion_tokens)
        if frame.reason == EndReason.END_REASON_TOOL_CALLS:
            return
        if frame.segments == 0:
            words = "The model may not answer that." if frame.reason == EndReason.END_REASON_FILTERED else _NO_ANSWER
            self._handle(ev.ReplyFailed(reply.key, words))
        else:
            self._notify(reply.end(frame.segments))

    def _begin_tools(self, generation: Generation, frame: Reply) -> None:
        generation.running = False
        self._progress.done(Stage.STAGE_LLM)
        if generation.step >= self._bot.llm.max_tool_steps:
            self._handle(ev.ReplyFailed(generation.key, "The answer took too many steps. Please ask in another way."))
            return
        ids = generation.call_ids(frame.tool_calls)
        calls = [Call(one, call.name, call.arguments) for one, call in zip(ids, frame.tool_calls, strict=True)]
        self._handle(ev.ToolsBegan(generation.key))
        self.tools.begin(generation.key, calls, self._now_ms())

    def _tools_over(self, key: AttemptKey, records: tuple[ToolRecord, ...]) -> None:
        generation = self._generation
        if generation is None or generation.key != key or key != self._machine.living:
            return
        generation.end_step(records)
        self._handle(ev.ToolsOver(key))
        self._send_turn(generation)

    def _say_filler(self, text: str) -> None:
        """A tool takes its time, and nothing is being said."""
        reply = self._reply
        if reply is None or reply.modality is Modality.TEXT or not isinstance(self._machine.bot, Thinking):
            return
        number = reply.segment_count + 1
        self._notify(reply.add_segment(number, text, text))
        self._grant()
        self._frames.segment(reply.key, number, text, text)

    def on_voice(self, frame: Voice) -> None:
        """Voice of a segment: queued for playout, with its words."""
        if self._guessing.keeps(frame):
            return
        reply = self._living_reply((frame.header.turn, frame.header.attempt), "voice")
        if reply is None:
            return
        if isinstance(self._machine.bot, Thinking):
            self._handle(ev.ReplyProgress(reply.key))
        if self._intake.admit(reply, frame):
            self._take_voice(reply, frame)

    def _take_voice(self, reply: HeardReply, frame: Voice) -> None:
        if frame.audio.data:
            self.latency.mark(Mark.VOICE, self._now_ms())
            self._page.voice_arrived()
        try:
            self._intake.take(reply, frame)
        except (PlayoutOverflowError, PlayoutGapError, ValueError) as error:
            self._log.warning("voice can't be played", reason=str(error), turn=reply.key[0])
            self._handle(ev.ReplyFailed(reply.key, "The bot's voice broke off. Please say that again."))
            return
        self._expect_voice(reply, moved=True)
        if frame.audio.end:
            self._grant()

    def _expect_voice(self, reply: HeardReply, *, moved: bool = False) -> None:
        """Know whether more voice is due."""
        due = reply.voiced < min(reply.granted, reply.segment_count)
        if not due or self.playout.queued_samples >= _ENOUGH_QUEUED_SAMPLES:
            self._progress.done(Stage.STAGE_TTS)
        elif moved:
            self._progress.moved(Stage.STAGE_TTS, self._now_ms())
        else:
            self._progress.asked(Stage.STAGE_TTS, self._now_ms())

    def on_frame(self, frame: PoppedFrame, at_s: float) -> bool:
        """A frame of voice is handed to the network; whether that may have changed when `tick` is due."""
        reply = self._reply
        if reply is None:
            return False
        at_ms = at_s * 1000
        if frame.spans:
            if self.latency.waiting and frame.audible:
                self.latency.audible(at_ms + CODEC_DELAY_MS)
            if isinstance(self._machine.bot, Thinking):
                self._handle(ev.ReplyAudible(reply.key))
        for event in frame.events:
            if isinstance(event, PlayoutSegmentStarted):
                self._holding.say_position(event.key, 0, held=False)
        self._notify(reply.on_frame(frame, at_ms))
        self._check_established(reply)
        if frame.spans:
            self._expect_voice(reply)
        for event in frame.events:
            if isinstance(event, SegmentFinished):
                self._grant()
                if self.playout.queued_samples == 0 and self._reply is reply:
                    self._handle(ev.ReplyDry(reply.key))
        return True

    def _check_established(self, reply: HeardReply) -> None:
        if not self._established and self._reply is reply and reply.heard_ms >= self._bot.turn.reopen_within_ms:
            self._established = True
            self._handle(ev.ReplyEstablished(reply.key))

    def hold(self) -> None:
        """The caller may be interrupting: nothing plays, and no tool begins to act."""
        self._holding.hold()
        self.tools.hold()

    def resume(self) -> None:
        """The caller is not."""
        self._holding.resume(self._reply)
        self.tools.release(self._now_ms())

    def set_round_trip(self, round_trip_ms: float) -> None:
        """The caller's network changed."""
        if self._reply is not None:
            self._reply.set_round_trip(round_trip_ms)

    # --- What the machine decides

    def do(self, action: act.Action) -> None:
        """Begin, adopt or drop an attempt."""
        match action:
            case act.StartAttempt():
                self._start(action)
            case act.StartVerbatim():
                self._start_verbatim(action)
            case act.StartGuess():
                self._start_guess(action)
            case act.AdoptGuess():
                self._adopt_guess(action)
            case act.DropGuess():
                self._guessing.drop()
            case _:
                raise ValueError(f"{type(action).__name__} is nothing for the reply")

    def adopt_attempt(self) -> None:
        """An attempt lives: its reply has to be there before its state is told."""
        key = self._machine.living
        if key is not None and (self._reply is None or self._reply.key != key):
            bot = self._machine.bot
            modality = bot.modality if isinstance(bot, Thinking) else Modality.VOICE
            self._reply = HeardReply(key, modality, self._next_segment_id)
            self._established = False

    def _start(self, action: act.StartAttempt) -> None:
        """Have a reply generated."""
        self._page.model_started()
        self._generation = self._new_generation(action.key, action.text, action.modality)
        self._begin_latency(AttemptMarks())
        self.latency.began(Mark.MODEL, self._now_ms())
        self._metrics.attempts.labels("committed").inc()
        self._send_turn(self._generation)
        self._complain_of_missing(action.key)

    def _begin_latency(self, marks: AttemptMarks) -> None:
        self.latency.forget()
        if self.accepted is not None:
            self.latency.begin(self.accepted, self._now_ms(), marks)

    def _complain_of_missing(self, key: AttemptKey) -> None:
        """A reply that needs what nobody can serve fails at once."""
        for stage in (Stage.STAGE_LLM, Stage.STAGE_TTS):
            words = self._trouble.words(stage)
            if words is not None and self.needs(stage):
                self._handle(ev.ReplyFailed(key, words))
                return

    def _send_turn(self, generation: Generation) -> None:
        if generation is self._generation:
            self._progress.done(Stage.STAGE_LLM)
            self._progress.asked(Stage.STAGE_LLM, self._now_ms())
        kept = self._reply.segment_count if self._reply is not None and self._reply.key == generation.key else 0
        self._frames.turn(generation, self._prompt(), kept)

    def _start_guess(self, action: act.StartGuess) -> None:
        """Have a reply prepared, unheard."""
        generation = self._new_generation(action.key, action.text, Modality.VOICE)
        self._guessing.begin(generation)
        self._send_turn(generation)

    def _adopt_guess(self, action: act.AdoptGuess) -> None:
        """What was prepared is the reply: all that has come of it counts from now on."""
        guess = self._guessing.hand_over(action.key)
        if guess is None:
            return
        self._page.model_started()
        self._generation = guess.generation
        self._progress.asked(Stage.STAGE_LLM, self._now_ms())
        self._begin_latency(guess.marks)
        for frame in guess.open():
            if isinstance(frame, Voice):
                self.on_voice(frame)
            else:
                self.on_reply(frame)
        self._complain_of_missing(action.key)

    def _start_verbatim(self, action: act.StartVerbatim) -> None:
        """Have a text spoken as it is."""
        segments = [part for part in _SENTENCE_END.split(action.text.strip()) if part]
        reply = self._reply
        if reply is None or reply.key != action.key:
            return
        for number, text in enumerate(segments, start=1):
            self._notify(reply.add_segment(number, text, text))
        self._frames.verbatim(action.key, segments)
        self._notify(reply.end(len(segments)))
        self._grant()
        self._complain_of_missing(action.key)

    def end(self, action: act.EndAttempt) -> None:
        """A reply is over: the context gets what was heard of it, and what its tools found."""
        reply, self._reply = self._reply, None
        generation, self._generation = self._generation, None
        self.latency.forget()
        self._intake.forget()
        for stage in (Stage.STAGE_LLM, Stage.STAGE_TTS):
            self._progress.done(stage)
        if reply is None or reply.key != action.key:
            return
        self._next_segment_id = reply.next_segment_id
        if action.outcome is not act.Outcome.COMPLETE:
            self.playout.cut()
        if action.outcome is act.Outcome.REOPENED:
            self.tools.interrupt()
            self._page.reply_over(interrupted=True)
            self._log.info("reply taken back", turn=action.key[0])
            return
        for step in generation.done if generation is not None else ():
            self.context.add_tools(action.key[0], step.records)
        if records := self.tools.interrupt():
            self.context.add_tools(action.key[0], records)
        self.context.add_heard(action.key[0], reply.heard_text)
        self._page.reply_over(interrupted=action.outcome is act.Outcome.INTERRUPTED)
        self._log.info("reply over", turn=action.key[0], outcome=action.outcome.value, segments=reply.segment_count)

    # --- Takeover

    def stage_lost(self, stage: Stage) -> None:
        """A worker is gone, and what it was preparing or running with it."""
        if stage == Stage.STAGE_LLM:
            self.tools.executor_lost()
        if stage in (Stage.STAGE_LLM, Stage.STAGE_TTS):
            self._progress.done(stage)
            self._intake.forget()
            self._give_up_guess()

    def stage_idled(self, stage: Stage) -> None:
        """What a worker was preparing may be lacking."""
        if stage in (Stage.STAGE_LLM, Stage.STAGE_TTS):
            self._give_up_guess()

    def _give_up_guess(self) -> None:
        if (key := self._guessing.key) is not None:
            self._handle(ev.GuessFailed(key))

    def go_on_generating(self) -> None:
        """Another model serves the session."""
        # What was to be prepared while nobody served it was asked of nobody.
        self._give_up_guess()
        generation = self._generation
        if generation is not None and generation.running:
            generation.restart()
            self._send_turn(generation)
        self.tools.executor_back(self._now_ms())

    def go_on_speaking(self) -> None:
        """Another voice serves the session: it says what has not come whole."""
        self._give_up_guess()
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

    def needs(self, stage: Stage) -> bool:
        """Whether the reply can't go on without a stage."""
        reply = self._reply
        if reply is None:
            return False
        if stage == Stage.STAGE_TTS:
            return reply.modality is not Modality.TEXT and (not reply.ended or reply.voiced < reply.segment_count)
        return stage == Stage.STAGE_LLM and not reply.ended

    def is_made_by(self, stage: Stage) -> bool:
        """Whether a stage is at work on the reply."""
        if stage == Stage.STAGE_LLM:
            return self._generation is not None and self._generation.running
        return self.needs(stage)

    # --- Parts

    def _new_generation(self, key: AttemptKey, text: str, modality: Modality) -> Generation:
        context = self.context.before(key[0], self._prompt(), self._bot.context.max_tokens)
        return Generation(key, context, self.context.summary, text, modality)

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
            self._expect_voice(self._reply)

    def _living_reply(self, key: AttemptKey, kind: str) -> HeardReply | None:
        if self._reply is None or key != self._reply.key or key != self._machine.living:
            self._metrics.drop(kind, "dead_attempt")
            return None
        return self._reply

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
