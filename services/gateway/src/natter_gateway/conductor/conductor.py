"""The conductor of one session: feeds the turn machine with what stages and playout report, and does what it decides.

Everything here runs in plain functions on the event loop and never waits; frames leave through the gateway's outbox.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_common.providers import Trouble
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.alarm import Alarm
from natter_gateway.conductor.caller_audio import CallerAudio
from natter_gateway.conductor.final_due import FinalDue
from natter_gateway.conductor.frames import FrameWriter, LivingAttempt
from natter_gateway.conductor.generation import Generation, Piece
from natter_gateway.conductor.guess_box import GuessBox
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.tool_rounds import ToolRounds
from natter_gateway.conductor.trouble import StageTrouble, TroubleBook
from natter_gateway.conductor.turn_latency import TurnLatencyMeter
from natter_gateway.context import Context, Entry, ToolRecord
from natter_gateway.latency import Mark
from natter_gateway.leases.board import HeldLease
from natter_gateway.media.playout import Playout, PlayoutOrderError, PlayoutOverflowError, PoppedFrame, SegmentFinished
from natter_gateway.media.playout import SegmentStarted as PlayoutSegmentStarted
from natter_gateway.media.segment import PlayoutGapError
from natter_gateway.microphone import MicClock
from natter_gateway.reply import Reply as HeardReply
from natter_gateway.reply import ReplyHeard, ReplyNotice, SpokenWord
from natter_gateway.tools.round import Call
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine, TurnSettings
from natter_gateway.turns.states import Pausing, Quiet, Silent, Thinking
from natter_proto import (
    VOICE_RATE_HZ,
    EndReason,
    Fault,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Stage,
    Tool,
    Transcript,
    TurnSign,
    Voice,
    stage_name,
)
from natter_proto import Header as FrameHeader

_NO_ANSWER: Final = "The model had no answer. Please try again."
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")
_SPEECH_EVENTS: Final = {
    SpeechEvent.SPEECH_EVENT_ONSET: ev.Onset,
    SpeechEvent.SPEECH_EVENT_RESUME: ev.Onset,
    SpeechEvent.SPEECH_EVENT_SPEECH: ev.SpeechConfirmed,
}
_SIGNS: Final = {
    TurnSign.TURN_SIGN_EAGER_END: ev.Sign.EAGER_END,
    TurnSign.TURN_SIGN_RESUMED: ev.Sign.RESUMED,
    TurnSign.TURN_SIGN_END: ev.Sign.END,
}


class Conductor:
    """Owns a session's turn machine, context, reply and playout."""

    def __init__(
        self,
        bot: Bot,
        frames: FrameWriter,
        page: Page,
        clock: MicClock,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self.context: Final = Context()
        self.playout: Final = Playout()
        self.leases: dict[Stage, HeldLease] = {}
        """The stages' current leases: frames of older epochs are dropped."""
        self._bot = bot
        self._frames = frames
        self._page = page
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._machine = TurnMachine(
            TurnSettings(end_of_turn_silence_ms=bot.turn.end_of_turn_silence_ms, final_grace_ms=bot.turn.final_grace_ms)
        )
        self.on_trouble: Callable[[StageTrouble], None] = lambda _trouble: None
        """Told of a stage that has to be leased elsewhere; set by whoever keeps the leases."""
        self.on_idle: Callable[[], None] = lambda: None
        """Told when a reply is over and nobody speaks."""
        self.tools: Final = ToolRounds(
            bot.tools, page, log, say_filler=self._say_filler, over=self._tools_over, late=self.context.correct_tool
        )
        self._trouble = TroubleBook()
        self._unheard: str | None = None
        """What went wrong with recognition since the last final that was waited for."""
        self._generation: Generation | None = None
        self._guess: GuessBox | None = None
        self._reply: HeardReply | None = None
        self._granted = 0
        self._next_segment_id = 1
        self._audio = CallerAudio()
        self._final_due = FinalDue()
        self._latency = TurnLatencyMeter(page, metrics, log)
        self._alarm = Alarm(self._loop, self._tick)
        self._ended = False

    @property
    def turn(self) -> int:
        return self._machine.turn

    # --- What others report

    def greet(self) -> None:
        """The page is ready: the bot speaks first, if it has something to say."""
        if self._bot.greeting:
            self.handle(ev.Greet(self._bot.greeting))

    def typed(self, text: str, modality: Modality, *, run_immediately: bool) -> None:
        self.handle(ev.Typed(text, modality, run_immediately))

    def muted(self, next_sample: int) -> None:
        """The caller switched the microphone off."""
        self.handle(ev.Muted(next_sample))

    @property
    def idle(self) -> bool:
        """Nobody speaks, nothing is being answered."""
        machine = self._machine
        return isinstance(machine.caller, Quiet) and isinstance(machine.bot, Silent) and machine.guess is None

    def stage_lost(self, stage: Stage) -> None:
        """A stage has no worker (any more): another will go on where it was. What the old one still says is dropped."""
        self.leases.pop(stage, None)
        if stage == Stage.STAGE_LLM:
            self.tools.executor_lost()
        if stage in (Stage.STAGE_LLM, Stage.STAGE_TTS) and self._guess is not None:
            self.handle(ev.GuessFailed(self._guess.key))

    def stage_hopeless(self, stage: Stage, words: str) -> None:
        """Nobody can serve a stage until somebody does something about it: the caller is told."""
        self._trouble.hopeless(stage, words)
        living = self._machine.living
        if living is not None and self._needs(stage):
            self.handle(ev.ReplyFailed(living, words))
        else:
            self._page.error(words)

    def stage_leased(self, lease: HeldLease) -> None:
        """A stage has a worker (again): tell all, and ask it for what its predecessor owed."""
        self.leases[lease.stage] = lease
        self._trouble.served(lease.stage)
        match lease.stage:
            case Stage.STAGE_STT:
                self._go_on_listening(lease)
            case Stage.STAGE_LLM:
                self._go_on_generating()
            case Stage.STAGE_TTS:
                self._go_on_speaking()
            case _:
                self.publish_state()

    def _go_on_listening(self, lease: HeldLease) -> None:
        # First what is true of it, or it is asked for what it does not do.
        self.handle(ev.RecognizerChanged(lease.decides_turns, lease.final_within_ms))
        self.publish_state()
        caller = self._machine.caller
        if isinstance(caller, Pausing) and not caller.closed:
            self._ask_final()

    def _go_on_generating(self) -> None:
        self.publish_state()
        generation = self._generation
        if generation is not None and generation.running:
            generation.restart()
            self._send_turn(generation)
        self.tools.executor_back(self._now_ms())

    def _go_on_speaking(self) -> None:
        reply = self._reply
        if reply is None or reply.modality is Modality.TEXT:
            self.publish_state()
            return
        complete, rest = reply.hand_over_voice()
        for number, total_samples in complete:
            self.playout.end((*reply.key, number), total_samples)
        self.publish_state()
        for unvoiced in rest:
            self._frames.segment(reply.key, unvoiced.number, unvoiced.text, unvoiced.spoken)
        if reply.ended:
            self._frames.reply_end(reply.key, reply.segment_count)

    def _needs(self, stage: Stage) -> bool:
        """Whether the reply can't go on without a stage."""
        reply = self._reply
        if reply is None:
            return False
        if stage == Stage.STAGE_TTS:
            return reply.modality is not Modality.TEXT and (not reply.ended or reply.voiced < reply.segment_count)
        return stage == Stage.STAGE_LLM and not reply.ended

    @property
    def replay_from_sample(self) -> int | None:
        """Where a new vad or stt worker has to begin to read; None: with what comes now."""
        return self._audio.replay_from_sample(self._machine.caller)

    def on_speech(self, frame: Speech) -> None:
        if self._stale(Stage.STAGE_VAD, frame.header):
            return
        match frame.event:
            case SpeechEvent.SPEECH_EVENT_PAUSE:
                self._audio.speech_to_sample = frame.sample
                self.handle(ev.Paused(frame.sample, frame.through_sample, frame.probability))
            case SpeechEvent.SPEECH_EVENT_FALSE_ONSET:
                self.handle(ev.OnsetFaded(frame.sample, frame.through_sample))
            case _:
                event = _SPEECH_EVENTS.get(frame.event)
                if event is not None:
                    self._audio.on_speech(frame.sample, self._machine.caller)
                    self.handle(event(frame.sample))

    def on_transcript(self, frame: Transcript) -> None:
        if self._stale(Stage.STAGE_STT, frame.header):
            return
        text = " ".join(word.text for word in frame.words)
        if frame.final:
            self._audio.on_final(frame.through_sample)
            if self._final_due.answered(frame.finalize_id) or frame.sign == TurnSign.TURN_SIGN_END:
                self._unheard = None
        self.handle(ev.Recognised(text, frame.final, frame.finalize_id, _SIGNS.get(frame.sign, ev.Sign.NONE)))

    def on_reply(self, frame: Reply) -> None:
        if frame.header.producer == self._frames.producer or self._stale(Stage.STAGE_LLM, frame.header):
            return
        if self._kept_for_guess(frame):
            return
        key = (frame.header.turn, frame.header.attempt)
        reply = self._living_reply(key, "reply")
        generation = self._generation
        if reply is None or generation is None or frame.step != generation.step:
            return
        self.handle(ev.ReplyProgress(key))
        match frame.kind:
            case ReplyKind.REPLY_KIND_DELTA:
                self._latency.mark(Mark.MODEL, self._now_ms())
                if text := generation.new_text(frame.text):
                    self._page.model_text(text)
            case ReplyKind.REPLY_KIND_SEGMENT:
                self._latency.mark(Mark.MODEL, self._now_ms())
                self._latency.mark(Mark.TEXT, self._now_ms())
                number = frame.header.segment
                if number == reply.segment_count + 1:
                    generation.pieces.append(Piece(number, frame.text, frame.spoken))
                self._notify(reply.add_segment(number, frame.text, frame.spoken))
                self._grant()
            case ReplyKind.REPLY_KIND_TOOL_CALLS:
                self._begin_tools(generation, frame)
            case ReplyKind.REPLY_KIND_END:
                self._end_generation(generation, reply, frame)
            case _:
                self._metrics.drop("reply", "unknown_kind")

    def _end_generation(self, generation: Generation, reply: HeardReply, frame: Reply) -> None:
        generation.running = False
        if frame.reason == EndReason.END_REASON_TOOL_CALLS:
            return
        if frame.segments == 0:
            words = "The model may not answer that." if frame.reason == EndReason.END_REASON_FILTERED else _NO_ANSWER
            self.handle(ev.ReplyFailed(reply.key, words))
        else:
            self._notify(reply.end(frame.segments))

    def _begin_tools(self, generation: Generation, frame: Reply) -> None:
        generation.running = False
        if generation.step >= self._bot.llm.max_tool_steps:
            self.handle(ev.ReplyFailed(generation.key, "The answer took too many steps. Please ask in another way."))
            return
        ids = generation.call_ids(frame.tool_calls)
        calls = [Call(one, call.name, call.arguments) for one, call in zip(ids, frame.tool_calls, strict=True)]
        self.handle(ev.ToolsBegan(generation.key))
        self.tools.begin(generation.key, calls, self._now_ms())

    def _tools_over(self, key: AttemptKey, records: tuple[ToolRecord, ...]) -> None:
        generation = self._generation
        if generation is None or generation.key != key or key != self._machine.living:
            return
        generation.end_step(records)
        self.handle(ev.ToolsOver(key))
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

    def on_tool(self, frame: Tool) -> None:
        """What became of a tool that a worker ran."""
        if not self._stale(Stage.STAGE_LLM, frame.header):
            self.tools.on_result(frame.result)
            self._arm()

    def on_page_tool(self, call_id: str, name: str, result: object) -> None:
        """What became of a tool that the page ran."""
        self.tools.on_page_result(call_id, name, result)
        self._arm()

    def on_fault(self, frame: Fault) -> None:
        if self._stale(frame.stage, frame.header):
            return
        key = (frame.header.turn, frame.header.attempt)
        self._log.warning(
            "fault", stage=stage_name(frame.stage), provider=frame.provider, code=frame.code, turn=frame.header.turn
        )
        if key not in ((0, 0), self._machine.living, self._machine.guess):
            return
        words = frame.words or f"{stage_name(frame.stage)} failed ({frame.code})"
        self._on_stage_trouble(StageTrouble(frame.stage, frame.provider, frame.code, words, not frame.retryable))

    def _on_stage_trouble(self, trouble: StageTrouble) -> None:
        living = self._machine.living
        if trouble.stage == Stage.STAGE_STT:
            self._unheard = trouble.words
        if self._trouble.note(trouble, living) and living is not None and self._needs(trouble.stage):
            # Whoever tried failed: the caller is told, and the next turn finds another worker.
            self.handle(ev.ReplyFailed(living, trouble.words))
        self.on_trouble(trouble)

    def on_voice(self, frame: Voice) -> None:
        """Voice of a segment: queued for playout, with its words."""
        if self._stale(Stage.STAGE_TTS, frame.header):
            return
        if self._kept_for_guess(frame):
            return
        header = frame.header
        key = (header.turn, header.attempt)
        reply = self._living_reply(key, "voice")
        if reply is None:
            return
        if isinstance(self._machine.bot, Thinking):
            self.handle(ev.ReplyProgress(key))
        audio = frame.audio
        segment_key = (*key, header.segment)
        if frame.words:
            words = [SpokenWord(word.text, (word.from_sample + word.to_sample) // 2) for word in frame.words]
            reply.add_words(header.segment, words)
        try:
            if audio.data:
                self._latency.mark(Mark.VOICE, self._now_ms())
                self._page.voice_arrived()
                first_sample = reply.add_voice(header.segment, audio.first_sample, len(audio.data) // 2)
                self.playout.push(segment_key, audio.data, first_sample)
            if audio.end:
                self.playout.end(segment_key, reply.set_total(header.segment, frame.total_samples))
                self._grant()
        except (PlayoutOverflowError, PlayoutGapError, PlayoutOrderError) as error:
            self._log.warning("voice can't be played", reason=str(error), turn=header.turn)
            self.handle(ev.ReplyFailed(key, "The bot's voice broke off. Please say that again."))

    def on_frame(self, frame: PoppedFrame, at_s: float) -> None:
        """A frame of voice is handed to the network."""
        reply = self._reply
        if reply is None:
            return
        at_ms = at_s * 1000
        if frame.spans:
            if self._latency.waiting and frame.audible:
                self._latency.audible(at_ms)
            if isinstance(self._machine.bot, Thinking):
                self.handle(ev.ReplyAudible(reply.key))
        for event in frame.events:
            if isinstance(event, PlayoutSegmentStarted):
                self._say_playout(event.key, 0, held=False)
        self._notify(reply.on_frame(frame, at_ms))
        for event in frame.events:
            if isinstance(event, SegmentFinished):
                self._grant()
                if self.playout.queued_samples == 0 and self._reply is reply:
                    self.handle(ev.ReplyDry(reply.key))
        self._arm()

    def set_round_trip(self, round_trip_ms: float) -> None:
        if self._reply is not None:
            self._reply.set_round_trip(round_trip_ms)

    def publish_state(self) -> None:
        """Say what is current: after each change of leases too."""
        speech = self._audio.speech(self._machine.caller)
        living: list[LivingAttempt] = []
        reply = self._reply
        if self._machine.living is not None and reply is not None:
            self._granted = reply.granted
            living.append(LivingAttempt(reply.key, reply.segment_count, self._granted, reply.modality, reply.voiced))
        if self._machine.guess is not None:
            living.append(LivingAttempt(self._machine.guess, 0, 1, Modality.VOICE, committed=False))
        self._frames.state(speech, living, self.leases.values(), ended=self._ended)

    def to_sum_up(self) -> tuple[int, str, list[Entry], int] | None:
        """Old turns that should be summed up now: the turn behind them, the summary before them, they, tokens."""
        settings = self._bot.context
        found = self.context.to_sum_up(self._prompt, settings.max_tokens) if settings.summarize else None
        return None if found is None else (found[0], self.context.summary, found[1], settings.summary_tokens)

    def sum_up(self, behind_turn: int, summary: str) -> None:
        """From now on `summary` stands for all before a turn."""
        self.context.sum_up(behind_turn, summary)

    def end(self) -> None:
        """The session is over: say so to the stages, stop the clock."""
        self._ended = True
        self.tools.end()
        self._alarm.cancel()
        self.publish_state()

    # --- What the machine decides

    def handle(self, event: ev.Event) -> None:
        """Give the machine an event and do what it decides."""
        if self._ended:
            return
        for action in self._machine.step(event, self._now_ms()):
            self._do(action)
        self._arm()

    def _do(self, action: act.Action) -> None:
        match action:
            case act.PublishState():
                # The reply of a new attempt has to be there before its state is told.
                self._adopt_attempt()
                self.publish_state()
            case act.AskFinal():
                self._audio.asked_final = (action.finalize_id, action.through_sample)
                self._ask_final()
            case act.HoldVoice():
                self.playout.hold()
                self._say_held(held=True)
            case act.ResumeVoice():
                self.playout.resume()
                self._say_held(held=False)
            case act.UserStarted():
                self._page.user_started()
            case act.UserStopped():
                self._page.user_stopped()
                self._complain_of_hearing()
            case act.ShowUserText():
                self._page.user_text(action.text, final=action.final)
            case act.CommitUser():
                self._commit_user(action)
            case act.CorrectUser():
                self.context.correct_user(action.turn, action.text)
                self._log.info("turn corrected by a late final", turn=action.turn)
            case act.StartAttempt():
                self._start_attempt(action)
            case act.StartVerbatim():
                self._start_verbatim(action)
            case act.StartGuess():
                self._start_guess(action)
            case act.AdoptGuess():
                self._adopt_guess(action)
            case act.DropGuess():
                self._drop_guess()
            case act.EndAttempt():
                self._end_attempt(action)
            case act.Complain():
                self._log.warning("caller told of a problem", words=action.words, turn=self._machine.turn)
                self._page.error(action.words)

    def _adopt_attempt(self) -> None:
        key = self._machine.living
        if key is not None and (self._reply is None or self._reply.key != key):
            bot = self._machine.bot
            modality = bot.modality if isinstance(bot, Thinking) else Modality.VOICE
            self._reply = HeardReply(key, modality, self._next_segment_id)

    def _commit_user(self, action: act.CommitUser) -> None:
        self.context.add_user(action.turn, action.text)
        self._page.user_message(action.text)
        self._latency.forget()
        speech_end_ms = self._clock.time_ms(self._audio.speech_to_sample)
        if speech_end_ms is not None and action.silence_met_at_ms is not None:
            self._latency.begin(action.turn, speech_end_ms, action.silence_met_at_ms, self._now_ms())

    def _start_attempt(self, action: act.StartAttempt) -> None:
        self._page.model_started()
        self._generation = self._new_generation(action.key, action.text, action.modality)
        self._send_turn(self._generation)
        self._complain_of_missing(action.key)

    def _complain_of_hearing(self) -> None:
        """The caller's turn is over, and recognition had trouble with it to the end."""
        words = self._trouble.words(Stage.STAGE_STT) or self._unheard
        self._unheard = None
        if words is not None:
            self._page.error(words)

    def _complain_of_missing(self, key: AttemptKey) -> None:
        """A reply that needs what nobody can serve fails at once."""
        for stage in (Stage.STAGE_LLM, Stage.STAGE_TTS):
            words = self._trouble.words(stage)
            if words is not None and self._needs(stage):
                self.handle(ev.ReplyFailed(key, words))
                return

    def _new_generation(self, key: AttemptKey, text: str, modality: Modality) -> Generation:
        context = self.context.before(key[0], self._prompt, self._bot.context.max_tokens)
        return Generation(key, context, self.context.summary, text, modality)

    @property
    def _prompt(self) -> str:
        llm = self.leases.get(Stage.STAGE_LLM)
        return self._bot.prompt_for(llm.provider if llm is not None else "")

    def _send_turn(self, generation: Generation) -> None:
        kept = self._reply.segment_count if self._reply is not None and self._reply.key == generation.key else 0
        self._frames.turn(generation, self._prompt, kept)

    def _start_guess(self, action: act.StartGuess) -> None:
        self._guess = GuessBox(self._new_generation(action.key, action.text, Modality.VOICE))
        self._send_turn(self._guess.generation)

    def _adopt_guess(self, action: act.AdoptGuess) -> None:
        guess, self._guess = self._guess, None
        if guess is None or guess.key != action.key:
            return
        self._page.model_started()
        self._generation = guess.generation
        for frame in guess.open():
            if isinstance(frame, Voice):
                self.on_voice(frame)
            else:
                self.on_reply(frame)
        self._complain_of_missing(action.key)

    def _drop_guess(self) -> None:
        guess, self._guess = self._guess, None
        if guess is not None:
            self._metrics.wasted_voice.inc(guess.voiced_samples / VOICE_RATE_HZ)

    def _kept_for_guess(self, frame: Reply | Voice) -> bool:
        """Whether a frame is of the guess: it waits for the turn's end."""
        guess = self._guess
        if guess is None or (frame.header.turn, frame.header.attempt) != guess.key:
            return False
        if not guess.keep(frame):
            self.handle(ev.GuessFailed(guess.key))
        return True

    def _start_verbatim(self, action: act.StartVerbatim) -> None:
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

    def _end_attempt(self, action: act.EndAttempt) -> None:
        reply, self._reply = self._reply, None
        generation, self._generation = self._generation, None
        self._latency.forget()
        if reply is None or reply.key != action.key:
            return
        self._next_segment_id = reply.next_segment_id
        if action.outcome is not act.Outcome.COMPLETE:
            self.playout.cut()
        for step in generation.done if generation is not None else ():
            self.context.add_tools(action.key[0], step.records)
        if records := self.tools.interrupt():
            self.context.add_tools(action.key[0], records)
        self.context.add_heard(action.key[0], reply.heard_text)
        self._page.reply_over(interrupted=action.outcome is act.Outcome.INTERRUPTED)
        self._log.info("reply over", turn=action.key[0], outcome=action.outcome.value, segments=reply.segment_count)
        if self.idle:
            self.on_idle()

    def _notify(self, notices: list[ReplyNotice]) -> None:
        for notice in notices:
            if isinstance(notice, ReplyHeard):
                if self._reply is not None:
                    self.handle(ev.ReplyComplete(self._reply.key))
            else:
                self._page.reply_news(notice)

    def _grant(self) -> None:
        """Let tts go on when playout has come near enough."""
        if self._reply is not None and self._reply.granted != self._granted:
            self.publish_state()

    def _living_reply(self, key: AttemptKey, kind: str) -> HeardReply | None:
        if self._reply is None or key != self._reply.key or key != self._machine.living:
            self._metrics.drop(kind, "dead_attempt")
            return None
        return self._reply

    def _stale(self, stage: Stage, header: FrameHeader) -> bool:
        lease = self.leases.get(stage)
        if lease is not None and header.epoch == lease.epoch and header.term == lease.term:
            return False
        # A frame of another version may name a stage that this one does not know.
        known = stage in Stage.values() and stage != Stage.STAGE_UNSPECIFIED
        self._metrics.drop(stage_name(stage) if known else "frame", "old_epoch")
        return True

    def _say_held(self, *, held: bool) -> None:
        position = self.playout.held_at if held else None
        if position is not None:
            self._say_playout(position[0], position[1], held=held)

    def _say_playout(self, key: tuple[int, ...], sample: int, *, held: bool) -> None:
        turn, attempt, segment = key
        queued_ms = self.playout.queued_samples * 1000 // VOICE_RATE_HZ
        self._frames.playout((turn, attempt, segment), sample, queued_ms, held=held)

    # --- Time

    def _ask_final(self) -> None:
        """Ask recognition for what was said before a pause, and see to it that it answers."""
        self._frames.finalize(*self._audio.asked_final)
        lease = self.leases.get(Stage.STAGE_STT)
        if lease is not None and lease.final_within_ms:
            self._final_due.asked(self._audio.asked_final[0], self._now_ms() + lease.final_within_ms)

    def _check_final(self) -> None:
        lease = self.leases.get(Stage.STAGE_STT)
        if self._final_due.overdue(self._now_ms()) and lease is not None:
            words = "Speech recognition does not answer."
            self._on_stage_trouble(StageTrouble(Stage.STAGE_STT, lease.provider, Trouble.STALLED, words, lasting=False))

    def _now_ms(self) -> float:
        return self._loop.time() * 1000

    def _arm(self) -> None:
        """Have `_tick` called when the machine or the reply wants it."""
        heard_ms = None if self._reply is None else self._reply.due_ms
        dues_ms = (self._machine.deadline_ms, heard_ms, self.tools.deadline_ms, self._final_due.due_ms)
        if not self._ended:
            self._alarm.set(min((due for due in dues_ms if due is not None), default=None))

    def _tick(self) -> None:
        if self._reply is not None:
            self._notify(self._reply.advance(self._now_ms()))
        self.tools.tick(self._now_ms())
        self._check_final()
        self.handle(ev.Tick())
