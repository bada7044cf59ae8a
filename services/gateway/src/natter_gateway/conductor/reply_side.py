"""The bot's side of a session: replies from the model's first word to the context, whoever makes them.

What is needed to go on when a model fails is kept here: the text so far.
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
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.stage_progress import ReplyProgress
from natter_gateway.conductor.tool_rounds import ToolRounds
from natter_gateway.conductor.trouble import TroubleBook
from natter_gateway.conductor.turn_latency import Accepted, TurnLatencyMeter
from natter_gateway.conductor.voice_side import VoiceSide
from natter_gateway.context import Context, ToolRecord
from natter_gateway.journal.live_notes import note_of_latency
from natter_gateway.journal.notes import Note
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.latency import AttemptMarks, Mark
from natter_gateway.outbox import OutboxFullError
from natter_gateway.reply import Reply as HeardReply
from natter_gateway.tools.round import Call
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine
from natter_proto import BadFrameError, EndReason, Reply, ReplyKind, Stage, Voice

_NO_ANSWER: Final = "The model had no answer. Please try again."
_TOO_LONG: Final = "That is more than the model can take in. Please ask for less."
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
        before: Snapshot | None,
    ) -> None:
        """`handle` takes an event for the machine, `prompt` gives the system prompt for the model in use.

        `stuck` is told of a stage that does not go on with the reply, `note` keeps what is heard and what tools do.
        """
        self.context: Final = Context() if before is None else Context(before.context)
        self.latency: Final = TurnLatencyMeter(page, metrics, log)
        self.latency.on_told = lambda latency: note(note_of_latency(latency))
        self._progress = ReplyProgress()
        self.voice: Final = VoiceSide(
            machine,
            frames,
            page,
            metrics,
            log,
            self.latency,
            self._progress,
            reopen_within_ms=bot.turn.reopen_within_ms,
            next_segment_id=1 if before is None else before.next_segment_id,
            handle=handle,
            publish_state=publish_state,
            note=note,
        )
        self.tools: Final = ToolRounds(
            bot.tools,
            page,
            log,
            say_filler=self.voice.add_filler,
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
        self._stuck = stuck
        self._handle = handle
        self._prompt = prompt
        self._loop = asyncio.get_running_loop()
        self._generation: Generation | None = None
        self._guessing = Guessing(metrics, lambda key: handle(ev.GuessFailed(key)))

    @property
    def due_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        dues_ms = (self.voice.due_ms, self.tools.deadline_ms, self._progress.due_ms)
        return min((due for due in dues_ms if due is not None), default=None)

    def tick(self) -> None:
        """Time passes."""
        self.voice.tick()
        self.tools.tick(self._now_ms())
        if (stage := self._progress.overdue(self._now_ms())) is not None:
            self._stuck(stage)

    def living(self) -> list[LivingAttempt]:
        """The attempts as the stages have to know them."""
        spoken = self.voice.living()
        attempts = [] if spoken is None else [spoken]
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
                self.voice.add_segment(number, frame.text, frame.spoken)
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
            self.voice.end_text(frame.segments)

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

    @property
    def tools_done(self) -> list[ToolRecord]:
        """Of the reply that lives: what its tools found so far."""
        generation = self._generation
        if generation is None or generation.key != self._machine.living:
            return []
        return [record for step in generation.done for record in step.records]

    def on_voice(self, frame: Voice) -> None:
        """Voice of a segment: queued for playout, with its words."""
        if self._guessing.keeps(frame):
            return
        reply = self._living_reply((frame.header.turn, frame.header.attempt), "voice")
        if reply is not None:
            self.voice.on_voice(reply, frame)

    def hold(self) -> None:
        """The caller may be interrupting: nothing plays, and no tool begins to act."""
        self.voice.hold()
        self.tools.hold()

    def resume(self) -> None:
        """The caller is not."""
        self.voice.resume()
        self.tools.release(self._now_ms())

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
        if (key := self._machine.living) is not None:
            self.voice.begin(key)

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
        reply = self.voice.reply
        kept = reply.segment_count if reply is not None and reply.key == generation.key else 0
        try:
            self._frames.turn(generation, self._prompt(), kept)
        except (BadFrameError, OutboxFullError) as error:
            self._log.error("the model can't be asked", turn=generation.key[0], reason=str(error))
            committed = generation is self._generation
            self._handle(ev.ReplyFailed(generation.key, _TOO_LONG) if committed else ev.GuessFailed(generation.key))
            return
        if generation is self._generation:
            self._progress.done(Stage.STAGE_LLM)
            self._progress.asked(Stage.STAGE_LLM, self._now_ms())

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
        reply = self.voice.reply
        if reply is None or reply.key != action.key:
            return
        self.voice.add_whole([part for part in _SENTENCE_END.split(action.text.strip()) if part])
        self._complain_of_missing(action.key)

    def end(self, action: act.EndAttempt) -> None:
        """A reply is over: the context gets what was heard of it, and what its tools found."""
        reply = self.voice.end(action.key, cut=action.outcome is not act.Outcome.COMPLETE)
        generation, self._generation = self._generation, None
        self.latency.forget()
        self._progress.done(Stage.STAGE_LLM)
        if reply is None:
            return
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
            self.voice.stage_lost()
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
        self.voice.go_on()

    def needs(self, stage: Stage) -> bool:
        """Whether the reply can't go on without a stage."""
        if stage == Stage.STAGE_TTS:
            return self.voice.wanted
        reply = self.voice.reply
        return stage == Stage.STAGE_LLM and reply is not None and not reply.ended

    # --- Parts

    def _new_generation(self, key: AttemptKey, text: str, modality: Modality) -> Generation:
        context = self.context.before(key[0], self._prompt(), self._bot.context.max_tokens)
        return Generation(key, context, self.context.summary, text, modality)

    def _living_reply(self, key: AttemptKey, kind: str) -> HeardReply | None:
        reply = self.voice.reply
        if reply is None or key != reply.key or key != self._machine.living:
            self._metrics.drop(kind, "dead_attempt")
            return None
        return reply

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
