"""The turn machine: a pause ends a turn (or the recognizer says so), speech during the reply interrupts it.

Pure: `step(event, now_ms)` gives actions, `deadline_ms` says when it wants a `Tick`. Any order of events is allowed;
what names a dead attempt is ignored.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.bot_side import BotSide
from natter_gateway.turns.events import AttemptKey, Modality, Sign
from natter_gateway.turns.states import (
    BotState,
    CallerState,
    Pausing,
    Quiet,
    Silent,
    Stirring,
    Talking,
)

VERSION: Final = "2"
"""Of the machine's decisions; recorded with a call, so that a replay knows whether it may expect the same."""

_MIC_SAMPLES_PER_MS: Final = 16
_FINAL_TAIL_MS: Final = 100
"""Recognition is asked to read this far into the silence: a model needs to hear that the word is over."""
_MOST_ASKED_ANEW: Final = 2
"""So many other recognizers get their time in one pause. The caller does not wait for more: what is there has to do."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """A bot's turn-taking. Times in milliseconds."""

    end_of_turn_silence_ms: int = 500
    """Silence that ends a turn."""
    final_grace_ms: int = 1_000
    """How long recognition may take beyond that before the interim counts."""
    final_deadline_ms: int = 5_000
    """Where there is no interim either: give up on the words."""
    turn_sign_deadline_ms: int = 3_000
    """Silence that ends a turn though a recognizer that decides about turns says nothing."""
    reply_deadline_ms: int = 8_000
    """How long a reply may make no progress while nothing is audible."""


class TurnMachine:
    """Decides when a turn begins and ends, and what may be audible."""

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self._caller: CallerState = Quiet()
        self._actions: list[act.Action] = []
        self._bot = BotSide(settings.reply_deadline_ms, self._actions)
        self._decides_turns = False
        self._final_grace_ms: float = settings.final_grace_ms
        self._turn = 0
        self._finalize_id = 0
        self._finals: list[str] = []
        self._interim = ""
        self._typed_ahead: list[str] = []
        # The turn that was taken from its interim, and its finalize request: its final may still correct it.
        self._uncorrected: tuple[int, int, list[str]] | None = None

    @property
    def caller(self) -> CallerState:
        return self._caller

    @property
    def bot(self) -> BotState:
        return self._bot.state

    @property
    def turn(self) -> int:
        """Number of the newest turn; 0 before the first."""
        return self._turn

    @property
    def living(self) -> AttemptKey | None:
        """The committed attempt that is alive: at most one."""
        return self._bot.living

    @property
    def guess(self) -> AttemptKey | None:
        """The attempt that is prepared, unheard, for a turn which is not over: at most one."""
        return self._bot.guess

    @property
    def deadline_ms(self) -> float | None:
        """When to send a `Tick`, if nothing comes before."""
        deadlines: list[float] = []
        if isinstance(self._caller, Pausing):
            deadlines.append(self._commit_due_ms(self._caller))
        if self._bot.deadline_ms is not None:
            deadlines.append(self._bot.deadline_ms)
        return min(deadlines, default=None)

    def step(self, event: ev.Event, now_ms: float) -> list[act.Action]:
        """Take one event; returns what is to be done, in order."""
        self._actions.clear()
        match event:
            case ev.Onset():
                self._on_onset(event)
            case ev.OnsetFaded():
                self._on_onset_faded(event, now_ms)
            case ev.SpeechConfirmed():
                self._on_speech(event)
            case ev.Paused():
                self._on_pause(event, now_ms)
            case ev.Muted():
                self._on_muted(event, now_ms)
            case ev.Recognised():
                self._on_recognised(event, now_ms)
            case ev.Typed():
                self._on_typed(event, now_ms)
            case ev.Greet():
                self._on_greet(event, now_ms)
            case ev.RecognizerChanged():
                self._on_recognizer(event, now_ms)
            case ev.GuessFailed():
                if event.key == self.guess:
                    self._bot.drop_guess()
            case ev.Tick():
                pass
            case _:
                self._bot.on_reply(event, now_ms)
        self._check_deadlines(now_ms)
        return list(self._actions)

    # --- The caller

    def _on_onset(self, event: ev.Onset) -> None:
        if isinstance(self._caller, (Quiet, Pausing)):
            self._caller = Stirring(event.sample, self._caller)
            self._actions.append(act.PublishState())
            if self.living is not None:
                self._actions.append(act.HoldVoice())

    def _on_onset_faded(self, event: ev.OnsetFaded, now_ms: float) -> None:
        if not isinstance(self._caller, Stirring):
            return
        before = self._caller.before
        self._caller = before
        if self.living is not None:
            self._actions.append(act.PublishState())
            self._actions.append(act.ResumeVoice())
        else:
            # Nobody is interrupted by it, and it may be a word: a "no", or the last one of a sentence with a pause.
            opened = isinstance(before, Pausing) and before.opened
            self._ask_final(event.sample, event.through_sample, now_ms, opened=opened)
            if opened and isinstance(before, Pausing) and isinstance(self._caller, Pausing):
                met_ms = before.silence_met_at_ms if before.met_before_sound_ms is None else before.met_before_sound_ms
                self._caller = replace(self._caller, met_before_sound_ms=met_ms)

    def _on_speech(self, event: ev.SpeechConfirmed) -> None:
        match self._caller:
            case Talking():
                return
            case _:
                if not self._turn_is_open():
                    self._open_turn()
        sample = self._caller.sample if isinstance(self._caller, Stirring) else event.sample
        self._caller = Talking(sample)
        self._actions.append(act.PublishState())

    def _on_pause(self, event: ev.Paused, now_ms: float) -> None:
        if isinstance(self._caller, Talking):
            self._ask_final(event.sample, event.through_sample, now_ms, opened=True)

    def _ask_final(self, sample: int, through_sample: int, now_ms: float, *, opened: bool) -> None:
        """Quiet since `sample`: have recognition close what was before."""
        self._finalize_id += 1
        settings = self._settings
        quiet_ms = max(0, through_sample - sample) / _MIC_SAMPLES_PER_MS
        silence_ms = settings.turn_sign_deadline_ms if self._decides_turns else settings.end_of_turn_silence_ms
        met_at_ms = now_ms + max(0.0, silence_ms - quiet_ms)
        self._caller = Pausing(sample, self._finalize_id, met_at_ms, closed=False, opened=opened)
        through = sample + _FINAL_TAIL_MS * _MIC_SAMPLES_PER_MS
        self._actions.append(act.PublishState())
        self._actions.append(act.AskFinal(self._finalize_id, min(through, max(sample, through_sample))))

    def _on_muted(self, event: ev.Muted, now_ms: float) -> None:
        match self._caller:
            case Stirring():
                self._on_onset_faded(ev.OnsetFaded(event.sample, event.sample), now_ms)
            case Talking():
                self._on_pause(ev.Paused(event.sample, event.sample, 1.0), now_ms)
            case Quiet() | Pausing():
                pass

    def _on_recognised(self, event: ev.Recognised, now_ms: float) -> None:
        if isinstance(self._caller, Quiet):
            self._correct(event)
            return
        if event.sign is Sign.RESUMED:
            self._bot.drop_guess()
        if not event.final:
            self._on_interim(event)
            return
        ends = event.sign is Sign.END
        if self._closed() and self._answers_request(event):
            # It is answered already: the words are there.
            return
        if not self._turn_is_open():
            # Also the answer to a request before the newest: two short sounds may be two words.
            asked = event.finalize_id and self._pausing() is not None
            if not (event.text and (ends or asked)):
                self._close_unopened(event)
                return
            self._change_pausing(opened=True)
            self._open_turn()
        self._interim = ""
        if event.text:
            self._finals.append(event.text)
            self._actions.append(act.ShowUserText(self._turn, event.text, final=True))
        if ends:
            self._end_caller_turn(Pausing(0, self._finalize_id, now_ms, closed=True), now_ms)
        elif self._answers_request(event) and not self._decides_turns:
            self._close_pausing(words=bool(event.text))
        self._check_deadlines(now_ms)

    def _on_interim(self, event: ev.Recognised) -> None:
        if self._closed():
            return
        self._interim = event.text
        if not self._turn_is_open():
            return
        self._actions.append(act.ShowUserText(self._turn, event.text, final=False))
        if event.sign is Sign.EAGER_END and event.text:
            self._bot.prepare(self._turn, " ".join(self._words()))

    def _on_recognizer(self, event: ev.RecognizerChanged, now_ms: float) -> None:
        decided, self._decides_turns = self._decides_turns, event.decides_turns
        self._final_grace_ms = max(self._settings.final_grace_ms, event.final_within_ms)
        pausing = self._caller
        if decided and not event.decides_turns:
            # Nobody says any more whether the guess is right, nor when the turn is over.
            self._bot.drop_guess()
            if isinstance(pausing, Pausing):
                self._ask_final(pausing.sample, pausing.sample, now_ms, opened=pausing.opened)
        elif isinstance(pausing, Pausing) and not pausing.closed:
            if pausing.asked_anew == _MOST_ASKED_ANEW:
                self._end_caller_turn(pausing, now_ms)
            else:
                self._caller = replace(pausing, asked_anew_at_ms=now_ms, asked_anew=pausing.asked_anew + 1)

    def _answers_request(self, event: ev.Recognised) -> bool:
        pausing = self._pausing()
        return pausing is not None and event.final and event.finalize_id == pausing.finalize_id != 0

    def _close_unopened(self, event: ev.Recognised) -> None:
        """No word in the short sound: as if it had never been."""
        if self._answers_request(event) and isinstance(self._caller, Pausing):
            self._caller = Quiet()
            self._actions.append(act.PublishState())

    def _pausing(self) -> Pausing | None:
        """The pause that the caller is in, or was in before stirring."""
        match self._caller:
            case Pausing() as pausing:
                return pausing
            case Stirring(before=Pausing() as pausing):
                return pausing
            case _:
                return None

    def _close_pausing(self, *, words: bool) -> None:
        """Recognition has closed what was before the pause, with words or without."""
        pausing = self._pausing()
        if pausing is not None and pausing.met_before_sound_ms is not None and not words:
            self._change_pausing(closed=True, silence_met_at_ms=pausing.met_before_sound_ms)
        else:
            self._change_pausing(closed=True)

    def _change_pausing(self, **changes: Any) -> None:
        pausing = self._pausing()
        if pausing is not None:
            changed = replace(pausing, **changes)
            self._caller = replace(self._caller, before=changed) if isinstance(self._caller, Stirring) else changed

    def _on_typed(self, event: ev.Typed, now_ms: float) -> None:
        if not event.run_immediately:
            self._typed_ahead.append(event.text)
            return
        if self._turn_is_open():
            # What was being said is the beginning of what is typed.
            self._actions.append(act.UserStopped(self._turn))
        else:
            self._turn += 1
            self._interim = ""
            if self.living is not None:
                # Pages end the bot's message when the caller starts, not when a reply is cut.
                self._actions.append(act.UserStarted(self._turn))
                self._bot.interrupt()
                self._actions.append(act.UserStopped(self._turn))
        self._caller = Quiet()
        self._commit(" ".join([*self._take_words(), event.text]), event.modality, None, now_ms)

    def _on_greet(self, event: ev.Greet, now_ms: float) -> None:
        # Who speaks first has the floor: a caller who is talking already is not greeted.
        if isinstance(self._caller, Quiet) and isinstance(self._bot.state, Silent):
            self._turn += 1
            self._bot.say(self._turn, event.text, now_ms)

    def _open_turn(self) -> None:
        self._turn += 1
        self._uncorrected = None
        self._actions.append(act.UserStarted(self._turn))
        if self._interim:
            # Words of the onset, shown before it was known whose turn they are.
            self._actions.append(act.ShowUserText(self._turn, self._interim, final=False))
        self._bot.interrupt()

    def _turn_is_open(self) -> bool:
        pausing = self._pausing()
        return isinstance(self._caller, Talking) or (pausing is not None and pausing.opened)

    def _closed(self) -> bool:
        return isinstance(self._caller, Pausing) and self._caller.closed

    def _commit_due_ms(self, pausing: Pausing) -> float:
        if pausing.closed:
            return pausing.silence_met_at_ms
        settings = self._settings
        if self._decides_turns:
            return max(pausing.silence_met_at_ms, pausing.asked_anew_at_ms + settings.turn_sign_deadline_ms)
        grace_ms = settings.final_deadline_ms if pausing.opened and not self._interim else self._final_grace_ms
        return max(pausing.silence_met_at_ms, pausing.asked_anew_at_ms) + grace_ms

    def _words(self) -> list[str]:
        return [*self._typed_ahead, *self._finals, *([self._interim] if self._interim else [])]

    def _take_words(self) -> list[str]:
        words = self._words()
        self._finals, self._typed_ahead, self._interim = [], [], ""
        return words

    def _end_caller_turn(self, pausing: Pausing, now_ms: float) -> None:
        if not pausing.opened:
            self._caller = Quiet()
            self._interim = ""
            self._actions.append(act.PublishState())
            return
        if not pausing.closed:
            self._uncorrected = (self._turn, pausing.finalize_id, [*self._typed_ahead, *self._finals])
        heard = bool(self._finals or self._interim)
        self._caller = Quiet()
        if self._interim:
            self._actions.append(act.ShowUserText(self._turn, self._interim, final=True))
        self._actions.append(act.UserStopped(self._turn))
        if heard:
            self._commit(" ".join(self._take_words()), Modality.VOICE, pausing.silence_met_at_ms, now_ms)
        else:
            self._bot.drop_guess()
            self._actions.append(act.PublishState())

    def _commit(self, text: str, modality: Modality, silence_met_at_ms: float | None, now_ms: float) -> None:
        self._actions.append(act.CommitUser(self._turn, text, silence_met_at_ms))
        self._bot.answer(self._turn, text, modality, now_ms)

    def _correct(self, event: ev.Recognised) -> None:
        if self._uncorrected is None or not event.final or event.finalize_id != self._uncorrected[1]:
            return
        turn, _, before = self._uncorrected
        self._uncorrected = None
        if event.text:
            self._actions.append(act.CorrectUser(turn, " ".join([*before, event.text])))

    def _check_deadlines(self, now_ms: float) -> None:
        if isinstance(self._caller, Pausing) and now_ms >= self._commit_due_ms(self._caller):
            self._end_caller_turn(self._caller, now_ms)
        self._bot.check_deadline(now_ms)
