"""The conductor of one session: feeds the turn machine with what stages and playout report, and does what it decides.

Everything here runs in plain functions on the event loop and never waits; frames leave through the gateway's outbox.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_common.providers import Trouble
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.alarm import Alarm
from natter_gateway.conductor.caller_speech import CallerSpeechFilter
from natter_gateway.conductor.frames import FrameWriter
from natter_gateway.conductor.hearing_side import HearingSide
from natter_gateway.conductor.incidents import Incidents
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.page_words import PageWords
from natter_gateway.conductor.reply_side import ReplySide
from natter_gateway.conductor.retelling import Retelling
from natter_gateway.conductor.stage_service import StageService
from natter_gateway.conductor.tool_rounds import ToolRounds
from natter_gateway.conductor.trouble import StageTrouble, TroubleBook
from natter_gateway.conductor.turn_latency import Accepted
from natter_gateway.conductor.turn_settings import turn_settings
from natter_gateway.context import Context, Entry
from natter_gateway.journal.notes import ContextAdded, Note, WordsSoFar
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.leases.board import HeldLease
from natter_gateway.media.opus import CODEC_DELAY_MS
from natter_gateway.media.playout import Playout, PoppedFrame
from natter_gateway.microphone import MicClock
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.states import Quiet, Silent
from natter_proto import Fault, Header, Reply, Report, Speech, Stage, Tool, Transcript, Voice, stage_name

_VOICE: Final = "voice"
_MOST_LOAD_FOR_GUESSES: Final = 0.8
"""Over it, workers have no time for replies that may be in vain."""
_TURN_BORDERS: Final = (act.CommitUser, act.CorrectUser, act.ReopenUser, act.EndAttempt)


class Conductor:
    """Owns a session's turn machine, and what follows from it on the caller's and on the bot's side."""

    def __init__(
        self,
        bot: Bot,
        frames: FrameWriter,
        page: Page,
        clock: MicClock,
        metrics: Metrics,
        log: Log,
        before: Snapshot | None = None,
    ) -> None:
        """`before`: where another conductor of the session left it; None for a new session."""
        self.on_idle: Callable[[], None] = lambda: None
        """Told when a reply is over and nothing goes on."""
        self.on_settled: Callable[[bool], None] = lambda _idle: None
        """Told after each event whether nothing goes on now."""
        self.on_caller_active: Callable[[], None] = lambda: None
        """Told of each turn of the caller's."""
        self.on_step: Callable[[ev.Event, Sequence[act.Action], float], None] = lambda _event, _actions, _now_ms: None
        """Told what the machine was told, what it decided, and when: before that is done."""
        self.on_note: Callable[[Note], None] = lambda _note: None
        """Told what was heard, and what tools did."""
        self.on_turn_border: Callable[[], None] = lambda: None
        """Told when the context has changed."""
        self._bot = bot
        self._frames = frames
        self._page = page
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._loop = asyncio.get_running_loop()
        settings = turn_settings(bot)
        self._machine = TurnMachine(settings, 0 if before is None else before.turn)
        self._trouble = TroubleBook()
        self._hearing = HearingSide(self._machine, frames, page, self._trouble)
        self._reply = ReplySide(
            bot,
            self._machine,
            frames,
            page,
            self._trouble,
            metrics,
            log,
            handle=self.handle,
            publish_state=self.publish_state,
            prompt=self._prompt,
            stuck=self._stuck,
            note=self._noted,
            before=before,
        )
        self.retelling: Final = Retelling(self._machine, self._reply, page)
        self.stages: Final = StageService(
            self._machine,
            frames,
            self._hearing,
            self._reply,
            page,
            self._trouble,
            metrics,
            handle=self.handle,
            publish_state=self.publish_state,
            is_idle=lambda: self.idle,
            now_ms=self._now_ms,
        )
        self._speech = CallerSpeechFilter(bot, self._hearing, self._on_detected)
        self._incidents = Incidents(self._machine, settings, page, metrics, log, self.handle)
        self._alarm = Alarm(self._loop, self._tick)
        self._ended = False
        self._room_for_guesses = True
        self._noted_words = ""
        self._page_words = PageWords()

    @property
    def leases(self) -> dict[Stage, HeldLease]:
        """The stages' current leases."""
        return self.stages.leases

    @property
    def turn(self) -> int:
        return self._machine.turn

    @property
    def unfinished(self) -> str:
        """What the caller said and typed that is in no turn of the context yet."""
        return self._machine.unfinished

    @property
    def context(self) -> Context:
        return self._reply.context

    @property
    def next_segment_id(self) -> int:
        """The number of the next segment of the session."""
        return self._reply.voice.next_segment_id

    @property
    def playout(self) -> Playout:
        return self._reply.voice.playout

    @property
    def tools(self) -> ToolRounds:
        return self._reply.tools

    @property
    def idle(self) -> bool:
        """Nobody speaks, nothing is being answered or prepared, no tool runs."""
        machine = self._machine
        quiet = isinstance(machine.caller, Quiet) and isinstance(machine.bot, Silent)
        return quiet and machine.guess is None and not self.tools.busy

    # --- The caller and the page

    def greet(self) -> None:
        """The page is ready: the bot speaks first, if it has something to say."""
        if self._bot.greeting:
            self.say(self._bot.greeting)

    def say(self, text: str, over: bool = False) -> None:
        """Have the bot say a text as it is; `over` everything that goes on."""
        self.handle(ev.Say(text, over))

    def answer_again(self, text: str) -> None:
        """What the caller said in the newest turn has no answer yet: its last conductor died."""
        self.context.remove(self.turn)
        self.handle(ev.Typed(text, Modality.VOICE, run_immediately=True))

    def typed(self, text: str, modality: Modality, *, run_immediately: bool) -> None:
        """Raises `TooMuchTextError` where too much waits for its turn already."""
        self._page_words.types(text, self.unfinished)
        self.handle(ev.Typed(text, modality, run_immediately))

    def muted(self, next_sample: int) -> None:
        """The caller switched the microphone off."""
        self.handle(ev.Muted(next_sample))

    def add_to_context(self, text: str) -> None:
        """The page puts words into the bot's mouth. Raises `TooMuchTextError` where it did so too often."""
        self._page_words.puts(self.turn)
        self.context.add_heard(self.turn, text)
        self.on_note(ContextAdded(self.turn, text))
        self.on_turn_border()

    def set_round_trip(self, round_trip_ms: float) -> None:
        self._reply.voice.set_round_trip(round_trip_ms)
        self._speech.set_round_trip(round_trip_ms)

    def on_page_tool(self, call_id: str, name: str, result: object) -> None:
        """What became of a tool that the page ran."""
        self.tools.on_page_result(call_id, name, result)
        self._arm()

    # --- Frames of the stages

    def on_speech(self, frame: Speech) -> None:
        self._admit(Stage.STAGE_VAD, frame.header, Report.SPEECH, lambda: self._speech.on_speech(frame, self._now_ms()))

    def hears_echo(self, at_ms: float) -> bool:
        """Whether `on_mic` has to be told of the microphone now: the bot is audible, or was just now."""
        return self._speech.listens(at_ms)

    def on_mic(self, pcm: bytes, end_sample: int, at_ms: float) -> None:
        """A frame of the caller's microphone."""
        self._speech.heard(pcm, end_sample, at_ms)

    def reconnected(self) -> None:
        """Another connection to the caller."""
        self._speech.reconnected()

    def _on_detected(self, event: ev.Event) -> None:
        if isinstance(event, ev.Dipped) and self._room_for_guesses != self._has_room_for_guesses():
            self._room_for_guesses = not self._room_for_guesses
            self.handle(ev.RoomForGuesses(self._room_for_guesses))
        self.handle(event)

    def on_transcript(self, frame: Transcript) -> None:
        self._admit(Stage.STAGE_STT, frame.header, Report.TRANSCRIPT, partial(self._recognised, frame))

    def _recognised(self, frame: Transcript) -> None:
        own = self._speech.without_own_words(frame)
        self.handle(self._hearing.on_transcript(own, self._now_ms()))

    def on_reply(self, frame: Reply) -> None:
        if frame.header.producer != self._frames.producer:
            self._admit(Stage.STAGE_LLM, frame.header, Report.REPLY, partial(self._reply.on_reply, frame))

    def on_voice(self, frame: Voice) -> None:
        self._admit(Stage.STAGE_TTS, frame.header, _VOICE, partial(self._reply.on_voice, frame))

    def on_tool(self, frame: Tool) -> None:
        """What became of a tool that a worker ran."""
        self._admit(Stage.STAGE_LLM, frame.header, Report.TOOL, partial(self._tool_ran, frame))

    def _tool_ran(self, frame: Tool) -> None:
        self.tools.on_result(frame.result)
        self._arm()

    def on_fault(self, frame: Fault) -> None:
        self._admit(frame.stage, frame.header, Report.FAULT, partial(self._failed, frame))

    def _failed(self, frame: Fault) -> None:
        key = (frame.header.turn, frame.header.attempt)
        self._log.warning(
            "fault", stage=stage_name(frame.stage), provider=frame.provider, code=frame.code, turn=frame.header.turn
        )
        if key not in ((0, 0), self._machine.living, self._machine.guess):
            return
        words = frame.words or f"{stage_name(frame.stage)} failed ({frame.code})"
        self.stages.fails(StageTrouble(frame.stage, frame.provider, frame.code, words, not frame.retryable))

    def _admit(self, stage: Stage, header: Header, kind: str, act: Callable[[], None]) -> None:
        self.stages.fence.admit(stage, header, kind, act)

    def on_frame(self, frame: PoppedFrame, at_s: float) -> None:
        """A frame of voice is handed to the network."""
        self._speech.played(frame, at_s * 1000)
        if self._reply.voice.on_frame(frame, at_s):
            self._arm()

    # --- The stages

    def _stuck(self, stage: Stage) -> None:
        self.stages.stuck(stage)

    def publish_state(self) -> None:
        """Say what is current: after each change of leases too."""
        self._frames.state(self._hearing.speech, self._reply.living(), self.leases.values(), ended=self._ended)

    # --- Summaries, and the end

    def to_sum_up(self) -> tuple[int, str, list[Entry], int] | None:
        """Old turns that should be summed up now: the turn behind them, the summary before them, they, tokens."""
        settings = self._bot.context
        found = self.context.to_sum_up(self._prompt(), settings.max_tokens) if settings.summarize else None
        return None if found is None else (found[0], self.context.summary, found[1], settings.summary_tokens)

    def sum_up(self, behind_turn: int, summary: str) -> None:
        """From now on `summary` stands for all before a turn."""
        self.context.sum_up(behind_turn, summary)
        self.on_turn_border()

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
        now_ms = self._now_ms()
        actions = self._machine.step(event, now_ms)
        self.on_step(event, actions, now_ms)
        self._incidents.note(event, actions, now_ms)
        try:
            for action in actions:
                self._do(action)
            self._note_words()
            if any(isinstance(action, _TURN_BORDERS) for action in actions):
                self.on_turn_border()
            self._incidents.look(now_ms)
        finally:
            # Whatever fails: the deadlines go on.
            self._arm()
        self.on_settled(self.idle)

    def _do(self, action: act.Action) -> None:
        match action:
            case act.PublishState():
                self._reply.adopt_attempt()
                self.publish_state()
            case act.AskFinal():
                lease = self.leases.get(Stage.STAGE_STT)
                self._hearing.ask_final(action.finalize_id, action.through_sample, lease, self._now_ms())
            case act.HoldVoice():
                self._reply.hold()
            case act.ResumeVoice():
                self._reply.resume()
            case act.UserStarted():
                self._page.user_started()
            case act.UserStopped():
                self._page.user_stopped()
                self._hearing.turn_over()
            case act.ShowUserText():
                self._page.user_text(action.text, final=action.final)
            case act.CommitUser():
                self._commit_user(action)
            case act.ReopenUser():
                self.context.remove(action.turn)
                self._log.info("turn was not over", turn=action.turn)
            case act.CorrectUser():
                self.context.correct_user(action.turn, action.text)
                self._log.info("turn corrected by a late final", turn=action.turn)
            case act.Complain():
                self._log.warning("caller told of a problem", words=action.words, turn=self._machine.turn)
                self._page.error(action.words)
            case act.EndAttempt():
                self._reply.end(action)
                if self.idle:
                    self.on_idle()
            case _:
                self._reply.do(action)

    def _noted(self, note: Note) -> None:
        self.on_note(note)

    def _note_words(self) -> None:
        words = self._machine.unfinished
        if words != self._noted_words:
            self._noted_words = words
            self.on_note(WordsSoFar(words))

    def _commit_user(self, action: act.CommitUser) -> None:
        self.context.add_user(action.turn, action.text)
        self._page.user_message(action.text)
        self.on_caller_active()
        ended = action.ended
        heard_ms = None if ended is None else self._clock.time_ms(ended.sample)
        if ended is None or heard_ms is None:
            self._reply.accepted = None
            return
        hearing, spoken_ms = self._hearing, heard_ms - CODEC_DELAY_MS
        self._reply.accepted = Accepted(
            action.turn, spoken_ms, ended.silence_met_at_ms, hearing.asked_at_ms, hearing.final_at_ms
        )

    def _has_room_for_guesses(self) -> bool:
        loads = (lease.load for stage in (Stage.STAGE_LLM, Stage.STAGE_TTS) if (lease := self.leases.get(stage)))
        return max(loads, default=1.0) < _MOST_LOAD_FOR_GUESSES

    def _prompt(self) -> str:
        llm = self.leases.get(Stage.STAGE_LLM)
        return self._bot.prompt_for(llm.provider if llm is not None else "")

    # --- Time

    def _now_ms(self) -> float:
        """Of whole microseconds, as the journal keeps them: a replay has to see the same time."""
        return int(self._loop.time() * 1_000_000) / 1000

    @property
    def _due_ms(self) -> float | None:
        dues_ms = (self._machine.deadline_ms, self._reply.due_ms, self._hearing.due_ms, self._incidents.due_ms)
        return min((due for due in dues_ms if due is not None), default=None)

    def _arm(self) -> None:
        """Have `_tick` called when somebody wants it."""
        if not self._ended:
            self._alarm.set(self._due_ms)

    def _tick(self) -> None:
        due_ms = self._due_ms
        if due_ms is None or due_ms > self._now_ms():
            # Put off meanwhile, as each frame of voice does.
            self._arm()
            return
        try:
            self._reply.tick()
            lease = self.leases.get(Stage.STAGE_STT)
            if self._hearing.overdue(self._now_ms()) and lease is not None:
                words = "Speech recognition does not answer."
                self.stages.fails(StageTrouble(Stage.STAGE_STT, lease.provider, Trouble.STALLED, words, lasting=False))
            self._incidents.tick(self._now_ms())
            self.handle(ev.Tick())
        finally:
            self._arm()
