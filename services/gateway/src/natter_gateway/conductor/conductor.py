"""The conductor of one session: feeds the turn machine with what stages and playout report, and does what it decides.

Everything here runs in plain functions on the event loop and never waits; frames leave through the gateway's outbox.
"""

import asyncio
import re
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.alarm import Alarm
from natter_gateway.conductor.caller_audio import CallerAudio
from natter_gateway.conductor.frames import FrameWriter, LivingAttempt
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.turn_latency import TurnLatencyMeter
from natter_gateway.context import Context
from natter_gateway.latency import Mark
from natter_gateway.leases.board import HeldLease
from natter_gateway.media.playout import Playout, PlayoutOrderError, PlayoutOverflowError, PoppedFrame, SegmentFinished
from natter_gateway.media.playout import SegmentStarted as PlayoutSegmentStarted
from natter_gateway.media.segment import PlayoutGapError
from natter_gateway.microphone import MicClock
from natter_gateway.reply import Reply as HeardReply
from natter_gateway.reply import ReplyHeard, ReplyNotice, SpokenWord
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.machine import TurnMachine, TurnSettings
from natter_gateway.turns.states import Pausing, Thinking
from natter_proto import (
    VOICE_RATE_HZ,
    Fault,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Stage,
    Transcript,
    Voice,
    stage_name,
)
from natter_proto import Header as FrameHeader

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")
_SPEECH_EVENTS: Final = {
    SpeechEvent.SPEECH_EVENT_ONSET: ev.Onset,
    SpeechEvent.SPEECH_EVENT_RESUME: ev.Onset,
    SpeechEvent.SPEECH_EVENT_SPEECH: ev.SpeechConfirmed,
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
        self._reply: HeardReply | None = None
        self._granted = 0
        self._next_segment_id = 1
        self._audio = CallerAudio()
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

    def stage_lost(self, stage: Stage) -> None:
        """A stage's worker is gone: what it was making for the reply will not come. Speech is replayed to its heir."""
        self.leases.pop(stage, None)
        living = self._machine.living
        if living is None or self._reply is None:
            return
        if stage == Stage.STAGE_TTS or (stage == Stage.STAGE_LLM and not self._reply.ended):
            self.handle(ev.ReplyFailed(living, "The answer was cut off by a fault. Please say that again."))

    def stage_leased(self, lease: HeldLease) -> None:
        """A stage has a worker (again): tell all, and ask again for what its predecessor owed."""
        self.leases[lease.stage] = lease
        self.publish_state()
        caller = self._machine.caller
        if lease.stage == Stage.STAGE_STT and isinstance(caller, Pausing) and not caller.closed:
            self._frames.finalize(*self._audio.asked_final)

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
        self.handle(ev.Recognised(text, frame.final, frame.finalize_id))

    def on_reply(self, frame: Reply) -> None:
        if frame.header.producer == self._frames.producer or self._stale(Stage.STAGE_LLM, frame.header):
            return
        key = (frame.header.turn, frame.header.attempt)
        reply = self._living_reply(key, "reply")
        if reply is None:
            return
        self.handle(ev.ReplyProgress(key))
        match frame.kind:
            case ReplyKind.REPLY_KIND_DELTA:
                self._latency.mark(Mark.MODEL, self._now_ms())
                self._page.model_text(frame.text)
            case ReplyKind.REPLY_KIND_SEGMENT:
                self._latency.mark(Mark.MODEL, self._now_ms())
                self._latency.mark(Mark.TEXT, self._now_ms())
                self._notify(reply.add_segment(frame.header.segment, frame.text, frame.spoken))
                self._grant()
            case ReplyKind.REPLY_KIND_END:
                if frame.segments == 0:
                    self.handle(ev.ReplyFailed(key, "The model had no answer. Please try again."))
                else:
                    self._notify(reply.end(frame.segments))
            case _:
                self._metrics.drop("reply", "unknown_kind")

    def on_fault(self, frame: Fault) -> None:
        if self._stale(frame.stage, frame.header):
            return
        key = (frame.header.turn, frame.header.attempt)
        self._log.warning("fault", stage=stage_name(frame.stage), code=frame.code, turn=frame.header.turn)
        words = frame.words or f"{stage_name(frame.stage)} failed ({frame.code})"
        if key == self._machine.living:
            self.handle(ev.ReplyFailed(key, words))
        elif key == (0, 0):
            self._page.error(words)

    def on_voice(self, frame: Voice) -> None:
        """Voice of a segment: queued for playout, with its words."""
        if self._stale(Stage.STAGE_TTS, frame.header):
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
                self.playout.push(segment_key, audio.data, audio.first_sample)
            if audio.end:
                reply.set_total(header.segment, frame.total_samples)
                self.playout.end(segment_key, frame.total_samples)
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
        living: LivingAttempt | None = None
        if self._machine.living is not None and self._reply is not None:
            self._granted = self._reply.granted
            living = LivingAttempt(self._machine.living, self._reply.segment_count, self._granted, self._reply.modality)
        self._frames.state(speech, living, self.leases.values(), ended=self._ended)

    def end(self) -> None:
        """The session is over: say so to the stages, stop the clock."""
        self._ended = True
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
                self._frames.finalize(*self._audio.asked_final)
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
        llm = self.leases.get(Stage.STAGE_LLM)
        prompt = self._bot.prompt_for(llm.provider if llm is not None else "")
        context = self.context.before(action.key[0], prompt, self._bot.context.max_tokens)
        self._frames.turn(action.key, prompt, context, action.text, action.modality)

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

    def _end_attempt(self, action: act.EndAttempt) -> None:
        reply, self._reply = self._reply, None
        self._latency.forget()
        if reply is None or reply.key != action.key:
            return
        self._next_segment_id = reply.next_segment_id
        if action.outcome is not act.Outcome.COMPLETE:
            self.playout.cut()
        self.context.add_heard(action.key[0], reply.heard_text)
        self._page.reply_over(interrupted=action.outcome is act.Outcome.INTERRUPTED)
        self._log.info("reply over", turn=action.key[0], outcome=action.outcome.value, segments=reply.segment_count)

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

    def _now_ms(self) -> float:
        return self._loop.time() * 1000

    def _arm(self) -> None:
        """Have `_tick` called when the machine or the reply wants it."""
        due_ms = self._machine.deadline_ms
        if self._reply is not None and self._reply.due_ms is not None:
            due_ms = self._reply.due_ms if due_ms is None else min(due_ms, self._reply.due_ms)
        if not self._ended:
            self._alarm.set(due_ms)

    def _tick(self) -> None:
        if self._reply is not None:
            self._notify(self._reply.advance(self._now_ms()))
        self.handle(ev.Tick())
