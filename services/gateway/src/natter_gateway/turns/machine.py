"""The turn machine: when the caller's turn begins and ends, what a reply is prepared for, what interrupts it.

Pure: `step(event, now_ms)` gives actions, `deadline_ms` says when it wants a `Tick`. Any order of events is allowed;
what names a dead attempt is ignored.

While a reply lives, the caller is `Quiet`, `Interjecting` or `Weighing`; in all other states none lives.
"""

from dataclasses import replace
from typing import Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns import interjections, pauses
from natter_gateway.turns.detection import Detection
from natter_gateway.turns.events import AttemptKey
from natter_gateway.turns.floor import Floor, TypedWait
from natter_gateway.turns.pauses import LACKING_SAMPLES, SAMPLES_PER_MS
from natter_gateway.turns.recognition import Recognition
from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import (
    BotState,
    CallerState,
    Interjecting,
    Pausing,
    Quiet,
    Silent,
    Stirring,
    Talking,
    Weighing,
)

VERSION: Final = "6"
"""Of the machine's decisions: raise it with every change of them. It is recorded with a call, so that a replay knows
whether it may expect the same."""


class TurnMachine:
    """Decides when a turn begins and ends, and what may be audible."""

    def __init__(self, settings: TurnSettings, turn: int = 0) -> None:
        """`turn`: the newest turn of a session that another conductor began; the next is numbered behind it."""
        self._floor: Final = Floor(settings, turn)
        self._detection: Final = Detection(self._floor)
        self._recognition: Final = Recognition(self._floor)

    @property
    def caller(self) -> CallerState:
        return self._floor.caller

    @property
    def bot(self) -> BotState:
        return self._floor.bot.state

    @property
    def turn(self) -> int:
        """Number of the newest turn; 0 before the first."""
        return self._floor.turn

    @property
    def living(self) -> AttemptKey | None:
        """The committed attempt that is alive: at most one."""
        return self._floor.living

    @property
    def guess(self) -> AttemptKey | None:
        """The attempt that is prepared, unheard, for a turn which is not over: at most one."""
        return self._floor.bot.guess

    @property
    def words_of_open_turn(self) -> tuple[list[str], str] | None:
        """What was said so far in the turn that is open: what is final, and the interim; None when none is."""
        words = self._floor.words
        return ([*words.typed_ahead, *words.finals], words.interim) if self._floor.turn_is_open() else None

    @property
    def unfinished(self) -> str:
        """What the caller said and typed that is in no turn of the context yet."""
        floor = self._floor
        words = floor.words.all if floor.turn_is_open() else floor.words.typed_ahead
        return " ".join(words if floor.typed is None else [*words, floor.typed.text])

    @property
    def deadline_ms(self) -> float | None:
        """When to send a `Tick`, if nothing comes before."""
        floor = self._floor
        dues_ms: list[float | None] = [floor.bot.deadline_ms]
        match floor.caller:
            case Pausing() as pausing:
                dues_ms += [self._early_final_ms(pausing), self._guess_ms(pausing), self._commit_due_ms(pausing)]
            case Interjecting() as sound:
                dues_ms += [
                    interjections.interrupts_at_ms(sound, floor.words.meaning, floor.false_alarms, floor.settings),
                    interjections.forgotten_at_ms(sound, floor.settings),
                ]
            case Weighing(due_ms=due_ms):
                dues_ms.append(due_ms)
            case _:
                pass
        if floor.typed is not None:
            dues_ms.append(floor.typed.due_ms)
        return min((due for due in dues_ms if due is not None), default=None)

    def step(self, event: ev.Event, now_ms: float) -> list[act.Action]:
        """Take one event; returns what is to be done, in order."""
        floor = self._floor
        floor.actions.clear()
        match event:
            case ev.Recognised():
                self._recognition.on(event, now_ms)
            case ev.RecognizerChanged():
                self._recognition.on_recognizer(event, now_ms)
            case ev.Typed():
                self._on_typed(event, now_ms)
            case ev.Say():
                self._on_say(event, now_ms)
            case ev.RoomForGuesses(enough):
                floor.room_for_guesses = enough
            case ev.GuessFailed():
                if event.key == self.guess:
                    floor.bot.drop_guess()
            case ev.Tick():
                pass
            case (
                ev.Onset()
                | ev.OnsetFaded()
                | ev.SpeechConfirmed()
                | ev.Dipped()
                | ev.WentOn()
                | ev.Paused()
                | ev.Estimated()
                | ev.Muted()
            ):
                self._detection.on(event, now_ms)
            case _:
                floor.bot.on_reply(event, now_ms)
        self._check_deadlines(now_ms)
        self._leave_reply(now_ms)
        return list(floor.actions)

    # --- What the page and the session say

    def _on_typed(self, event: ev.Typed, now_ms: float) -> None:
        if not event.run_immediately:
            self._floor.words.typed_ahead.append(event.text)
            return
        waiting = self._floor.typed
        text = event.text if waiting is None else f"{waiting.text} {event.text}"
        due_ms = now_ms + self._floor.settings.typed_joins_ms if waiting is None else waiting.due_ms
        self._floor.typed = TypedWait(text, event.modality, due_ms)
        if not self._floor.turn_is_open():
            self._take_typed(now_ms)

    def _take_typed(self, now_ms: float) -> None:
        """Typed text is a turn, and what was being said is its beginning."""
        typed, self._floor.typed = self._floor.typed, None
        if typed is None:
            return
        if self._floor.turn_is_open():
            self._floor.actions.append(act.UserStopped(self._floor.turn))
        else:
            self._floor.new_turn()
            self._floor.words.clear()
            if self._floor.living is not None:
                # Pages end the bot's message when the caller starts, not when a reply is cut.
                self._floor.actions.append(act.UserStarted(self._floor.turn))
                self._floor.bot.interrupt()
                self._floor.actions.append(act.UserStopped(self._floor.turn))
        self._floor.caller = Quiet()
        words = [*self._floor.words.take(), typed.text]
        self._floor.said = None
        self._floor.commit(" ".join(words), typed.modality, None, now_ms)

    def _on_say(self, event: ev.Say, now_ms: float) -> None:
        floor = self._floor
        if event.over:
            floor.fall_silent()
        # Who speaks first has the floor: a caller who is talking already is not greeted.
        if isinstance(floor.caller, Quiet) and isinstance(floor.bot.state, Silent):
            floor.new_turn()
            floor.bot.say(floor.turn, event.text, now_ms)

    def _leave_reply(self, now_ms: float) -> None:
        """The reply ended under a sound that was being judged: now it may open a turn like any other."""
        floor = self._floor
        if floor.living is not None:
            return
        match floor.caller:
            case Interjecting(confirmed=False) as sound:
                floor.caller = Stirring(sound.sample, sound.since_ms, Quiet(), sound.dip)
            case Interjecting(dip=dip) as sound:
                floor.open_turn()
                talking = Talking(sound.sample, sound.since_ms)
                floor.caller = talking if dip is None else floor.pausing(talking, dip.sample, dip.since_ms, None)
                floor.actions.append(act.PublishState())
                self._check_deadlines(now_ms)
            case Weighing() as sound:
                talking = Talking(sound.sample, sound.since_ms)
                pausing = floor.pausing(talking, sound.end_sample, sound.quiet_since_ms, sound.quiet_since_ms)
                floor.caller = replace(pausing, finalize_id=sound.finalize_id, opened=False)
                self._check_deadlines(now_ms)
            case _:
                pass

    # --- Time

    def _commit_due_ms(self, pausing: Pausing) -> float:
        settings = self._floor.settings
        if not pausing.firm:
            # A detector that says nothing more.
            return pausing.quiet_since_ms + settings.silence_limit_ms + settings.final_deadline_ms
        if self._floor.recognizer.decides_turns:
            met_ms = pausing.quiet_since_ms + settings.turn_sign_deadline_ms
            return max(met_ms, pausing.asked_anew_at_ms + settings.turn_sign_deadline_ms)
        met_ms = pauses.silence_met_at_ms(pausing, self._floor.words, settings)
        if pausing.closed:
            return met_ms
        words = self._floor.words
        # An interim from long before the pause lacks words that were said.
        waits_for_words = pausing.opened and not (words.interim and words.reach(pausing.sample - LACKING_SAMPLES))
        grace_ms = settings.final_deadline_ms if waits_for_words else self._floor.recognizer.final_grace_ms
        return max(met_ms, pausing.asked_anew_at_ms) + grace_ms

    def _early_final_ms(self, pausing: Pausing) -> float | None:
        return pauses.early_final_at_ms(pausing, self._floor.recognizer)

    def _guess_ms(self, pausing: Pausing) -> float | None:
        floor, settings = self._floor, self._floor.settings
        if not floor.may_guess:
            return None
        if floor.recognizer.decides_turns or floor.bot.has_guess_for(floor.words.text):
            return None
        return pauses.guess_at_ms(pausing, floor.words, floor.recognizer, settings)

    def _check_deadlines(self, now_ms: float) -> None:
        match self._floor.caller:
            case Pausing() as pausing:
                self._check_pause(pausing, now_ms)
            case Interjecting() as sound:
                floor = self._floor
                meaning = floor.words.meaning
                due_ms = interjections.interrupts_at_ms(sound, meaning, floor.false_alarms, floor.settings)
                forgotten_ms = interjections.forgotten_at_ms(sound, floor.settings)
                if due_ms is not None and now_ms >= due_ms:
                    self._floor.interrupt(sound, closed=False)
                elif forgotten_ms is not None and now_ms >= forgotten_ms:
                    self._floor.was_nothing()
            case Weighing(due_ms=due_ms) as sound if now_ms >= due_ms:
                self._floor.was_nothing()
                self._floor.doubted = sound
            case _:
                pass
        if self._floor.typed is not None and now_ms >= self._floor.typed.due_ms:
            self._take_typed(now_ms)
        self._floor.bot.check_deadline(now_ms)

    def _check_pause(self, pausing: Pausing, now_ms: float) -> None:
        early_ms = self._early_final_ms(pausing)
        if early_ms is not None and now_ms >= early_ms:
            through_sample = pausing.sample + int(now_ms - pausing.quiet_since_ms) * SAMPLES_PER_MS
            finalize_id = self._floor.ask_final(pausing.sample, through_sample)
            pausing = replace(pausing, finalize_id=finalize_id, early=True)
            self._floor.caller = pausing
        if self._floor.typed is not None and pausing.opened and pausing.closed:
            self._take_typed(now_ms)
        elif now_ms >= self._commit_due_ms(pausing):
            self._floor.end_caller_turn(now_ms)
        else:
            guess_ms = self._guess_ms(pausing)
            if guess_ms is not None and now_ms >= guess_ms:
                self._floor.prepare()
