"""The turn machine: when the caller's turn begins and ends, what a reply is prepared for, what interrupts it.

Pure: `step(event, now_ms)` gives actions, `deadline_ms` says when it wants a `Tick`. Any order of events is allowed;
what names a dead attempt is ignored.

While a reply lives, the caller is `Quiet`, `Interjecting` or `Weighing`; in all other states none lives.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns import interjections, pauses
from natter_gateway.turns.bot_side import BotSide
from natter_gateway.turns.events import AttemptKey, Modality, Sign
from natter_gateway.turns.pauses import FINAL_TAIL_MS, MOST_ASKED_ANEW, SAMPLES_PER_MS
from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import (
    BotState,
    CallerState,
    Dip,
    Interjecting,
    Pausing,
    Quiet,
    Silent,
    Stirring,
    Talking,
    Weighing,
)
from natter_gateway.turns.turn_words import TurnWords
from natter_gateway.turns.wording import interrupts, same_words

VERSION: Final = "3"
"""Of the machine's decisions; recorded with a call, so that a replay knows whether it may expect the same."""

_NO_ESTIMATE: Final = ev.Estimated(-1, 0.0)
_OLD_WORDS_SAMPLES: Final = 500 * SAMPLES_PER_MS
"""Words that began so long before a sound are none of its own."""
_WORDLESS_MS: Final = 1_000.0
_WORDLESS_IN_A_ROW: Final = 2


@dataclass(frozen=True, slots=True)
class _Said:
    """The newest turn that was spoken, and over: it may be taken back, or corrected."""

    turn: int
    words: tuple[str, ...]
    before: tuple[str, ...]
    """Those of them that were final."""
    owed_id: int
    """Its finalize request, if the turn was taken from an interim; else 0."""


@dataclass(frozen=True, slots=True)
class _TypedWait:
    """Typed text that waits for what is being said."""

    text: str
    modality: Modality
    due_ms: float


class TurnMachine:
    """Decides when a turn begins and ends, and what may be audible."""

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self._caller: CallerState = Quiet()
        self._actions: list[act.Action] = []
        self._bot = BotSide(settings.reply_deadline_ms, self._actions)
        self._recognizer = ev.RecognizerChanged(decides_turns=False, final_grace_ms=settings.final_grace_ms)
        self._words = TurnWords(settings.language)
        self._estimate = _NO_ESTIMATE
        self._turn = 0
        self._finalize_id = 0
        self._said: _Said | None = None
        self._typed: _TypedWait | None = None
        self._guesses = 0
        self._room_for_guesses = True
        self._false_alarms = 0
        self._doubted: Weighing | None = None
        self._wordless = 0

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
        dues_ms: list[float | None] = [self._bot.deadline_ms]
        match self._caller:
            case Pausing() as pausing:
                dues_ms += [self._early_final_ms(pausing), self._guess_ms(pausing), self._commit_due_ms(pausing)]
            case Interjecting() as sound:
                dues_ms += [
                    interjections.interrupts_at_ms(sound, self._false_alarms, self._settings),
                    interjections.forgotten_at_ms(sound, self._settings),
                ]
            case Weighing(due_ms=due_ms):
                dues_ms.append(due_ms)
            case _:
                pass
        if self._typed is not None:
            dues_ms.append(self._typed.due_ms)
        return min((due for due in dues_ms if due is not None), default=None)

    def step(self, event: ev.Event, now_ms: float) -> list[act.Action]:
        """Take one event; returns what is to be done, in order."""
        self._actions.clear()
        match event:
            case ev.Recognised():
                self._on_recognised(event, now_ms)
            case ev.RecognizerChanged():
                self._on_recognizer(event, now_ms)
            case ev.Typed():
                self._on_typed(event, now_ms)
            case ev.Greet():
                self._on_greet(event, now_ms)
            case ev.RoomForGuesses(enough):
                self._room_for_guesses = enough
            case ev.GuessFailed():
                if event.key == self.guess:
                    self._bot.drop_guess()
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
                self._on_detected(event, now_ms)
            case _:
                self._bot.on_reply(event, now_ms)
        self._check_deadlines(now_ms)
        self._leave_reply(now_ms)
        return list(self._actions)

    # --- What the detector finds

    def _on_detected(self, event: ev.DetectorEvent, now_ms: float) -> None:
        match event:
            case ev.Onset():
                self._on_onset(event, now_ms)
            case ev.SpeechConfirmed():
                self._on_speech(event, now_ms)
            case ev.Dipped():
                self._on_dipped(event, now_ms)
            case ev.WentOn():
                self._on_went_on(now_ms)
            case ev.Paused():
                self._on_paused(event, now_ms)
            case ev.OnsetFaded():
                self._on_onset_faded(event, now_ms)
            case ev.Estimated():
                self._estimate = event
                if isinstance(self._caller, Pausing) and self._caller.sample == event.sample:
                    self._caller = replace(self._caller, probability=event.probability)
            case ev.Muted(sample):
                if isinstance(self._caller, Stirring):
                    self._on_onset_faded(ev.OnsetFaded(sample, sample), now_ms)
                else:
                    self._on_paused(ev.Paused(sample, sample, 1.0), now_ms)

    def _on_onset(self, event: ev.Onset, now_ms: float) -> None:
        since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        match self._caller:
            case Quiet() if self.living is not None:
                self._caller = Interjecting(event.sample, since_ms)
                self._actions += [act.PublishState(), act.HoldVoice()]
            case Weighing() as sound:
                self._caller = interjections.goes_on(sound, since_ms)
                self._actions.append(act.PublishState())
            case Quiet() | Pausing() as before:
                self._caller = Stirring(event.sample, before)
                self._actions.append(act.PublishState())
            case _:
                pass

    def _on_speech(self, event: ev.SpeechConfirmed, now_ms: float) -> None:
        if isinstance(self._caller, Weighing) or (isinstance(self._caller, Quiet) and self.living is not None):
            self._on_onset(ev.Onset(event.sample, event.through_sample), now_ms)
        match self._caller:
            case Interjecting() as sound:
                self._caller = replace(sound, confirmed=True)
            case Quiet() | Stirring() | Pausing() as caller:
                if not self._turn_is_open():
                    self._open_turn()
                sample = caller.sample if isinstance(caller, Stirring) else event.sample
                self._talk(sample, now_ms - _span_ms(sample, event.through_sample))
            case _:
                pass

    def _talk(self, sample: int, since_ms: float) -> None:
        self._caller = Talking(sample, since_ms)
        self._actions.append(act.PublishState())

    def _on_dipped(self, event: ev.Dipped, now_ms: float) -> None:
        quiet_since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        match self._caller:
            case Talking() as talking:
                self._caller = self._pausing(talking, event.sample, quiet_since_ms, None)
            case Interjecting() as sound:
                self._caller = replace(sound, dip=Dip(event.sample, quiet_since_ms))
            case _:
                pass

    def _on_went_on(self, now_ms: float) -> None:
        match self._caller:
            case Pausing(firm_at_ms=None) as dip:
                self._caller = Talking(dip.speech_sample, dip.speech_since_ms)
            case Interjecting(dip=Dip() as dip) as sound:
                quiet_ms = max(0.0, now_ms - dip.since_ms)
                self._caller = replace(sound, since_ms=sound.since_ms + quiet_ms, dip=None)
            case _:
                pass

    def _on_paused(self, event: ev.Paused, now_ms: float) -> None:
        quiet_since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        if event.probability:
            self._estimate = ev.Estimated(event.sample, event.probability)
        match self._caller:
            case Talking() as talking:
                self._pause(self._pausing(talking, event.sample, quiet_since_ms, now_ms), event.through_sample)
            case Pausing(firm_at_ms=None) as dip if dip.sample == event.sample:
                probability = event.probability or dip.probability
                self._pause(replace(dip, firm_at_ms=now_ms, probability=probability), event.through_sample)
            case Pausing(firm_at_ms=None) as dip:
                talking = Talking(dip.speech_sample, dip.speech_since_ms)
                self._pause(self._pausing(talking, event.sample, quiet_since_ms, now_ms), event.through_sample)
            case Interjecting() as sound:
                self._weigh(sound, event.sample, event.through_sample, quiet_since_ms)
            case _:
                pass

    def _on_onset_faded(self, event: ev.OnsetFaded, now_ms: float) -> None:
        quiet_since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        match self._caller:
            case Stirring(before=before) as stirring:
                # Nobody is interrupted by it, and it may be a word: a "no", or the last one of a sentence with a pause.
                opened = isinstance(before, Pausing) and before.opened
                talking = Talking(stirring.sample, quiet_since_ms)
                sound = self._pausing(talking, event.sample, quiet_since_ms, now_ms)
                if isinstance(before, Pausing) and opened:
                    sound = replace(sound, before_sound=before.before_sound or before)
                self._pause(replace(sound, opened=opened), event.through_sample)
            case Interjecting() as sound:
                self._weigh(sound, event.sample, event.through_sample, quiet_since_ms)
            case _:
                pass

    def _pausing(self, talking: Talking, sample: int, quiet_since_ms: float, firm_at_ms: float | None) -> Pausing:
        probability = self._estimate.probability if self._estimate.sample == sample else 0.0
        return Pausing(sample, talking.sample, talking.since_ms, quiet_since_ms, firm_at_ms, probability)

    def _pause(self, pausing: Pausing, through_sample: int) -> None:
        """Quiet for long enough to have recognition close what was before, if it is not at it."""
        self._caller = pausing
        self._actions.append(act.PublishState())
        if not pausing.finalize_id:
            self._caller = replace(pausing, finalize_id=self._ask_final(pausing.sample, through_sample))

    def _weigh(self, sound: Interjecting, sample: int, through_sample: int, quiet_since_ms: float) -> None:
        """A sound over the reply has stopped: was it a word?"""
        self._caller = Weighing(
            sound.sample,
            sample,
            sound.since_ms,
            quiet_since_ms,
            interjections.nothing_at_ms(quiet_since_ms, self._settings),
            self._finalize_id + 1,
            sound.confirmed,
        )
        self._actions.append(act.PublishState())
        self._ask_final(sample, through_sample)

    def _ask_final(self, sample: int, through_sample: int) -> int:
        self._finalize_id += 1
        tail = sample + FINAL_TAIL_MS * SAMPLES_PER_MS
        self._actions.append(act.AskFinal(self._finalize_id, min(tail, max(sample, through_sample))))
        return self._finalize_id

    # --- What recognition says

    def _on_recognised(self, event: ev.Recognised, now_ms: float) -> None:
        said = self._said
        if said is not None and event.final and said.owed_id and event.finalize_id == said.owed_id:
            self._correct(said, event, now_ms)
            return
        match self._caller:
            case Quiet():
                self._on_late_word(event, now_ms)
            case Interjecting() | Weighing() as sound:
                self._on_word_over_reply(sound, event, now_ms)
            case _:
                self._on_word(event, now_ms)

    def _on_word_over_reply(self, sound: Interjecting | Weighing, event: ev.Recognised, now_ms: float) -> None:
        if event.from_sample and event.from_sample < sound.sample - _OLD_WORDS_SAMPLES:
            return
        self._words.take_in(event)
        answered = isinstance(sound, Weighing) and event.final and event.finalize_id == sound.finalize_id
        if interrupts(self._words.all):
            self._interrupt(sound, closed=answered)
            if event.sign is Sign.END:
                self._end_caller_turn(now_ms)
        elif answered:
            self._was_nothing()

    def _on_late_word(self, event: ev.Recognised, now_ms: float) -> None:
        """The answer to a request that was not waited for any more."""
        doubted = self._doubted
        if doubted is None or not event.final or event.finalize_id != doubted.finalize_id:
            return
        self._doubted = None
        if self.living is not None and interrupts([event.text]):
            self._words.take_in(event)
            self._interrupt(doubted, closed=True)

    def _on_word(self, event: ev.Recognised, now_ms: float) -> None:
        """In an open turn, or where one may open."""
        if event.sign is Sign.RESUMED:
            self._bot.drop_guess()
        closed = isinstance(self._caller, Pausing) and self._caller.closed
        if not event.final:
            if not closed:
                self._on_interim(event)
            return
        if closed and self._answers_request(event):
            # It is answered already: the words are there.
            return
        ends = event.sign is Sign.END
        if not self._turn_is_open():
            # Also the answer to a request before the newest: two short sounds may be two words.
            asked = event.finalize_id and self._quiet_state() is not None
            if not (event.text and (ends or asked)):
                self._close_unopened(event)
                return
            self._change_quiet_state(opened=True)
            self._open_turn()
        self._words.take_in(event)
        if event.text:
            self._actions.append(act.ShowUserText(self._turn, event.text, final=True))
        if ends:
            self._end_caller_turn(now_ms)
        else:
            if self._answers_request(event) and not self._recognizer.decides_turns:
                self._close_quiet_state(words=bool(event.text))
            self._drop_other_guess()

    def _on_interim(self, event: ev.Recognised) -> None:
        self._words.take_in(event)
        if not self._turn_is_open():
            return
        self._actions.append(act.ShowUserText(self._turn, event.text, final=False))
        if event.sign is Sign.EAGER_END and event.text and not self._bot.has_guess_for(self._words.text):
            self._bot.prepare(self._turn, self._words.text)
        elif not self._recognizer.decides_turns:
            self._drop_other_guess()

    def _drop_other_guess(self) -> None:
        """The words are others by now: nobody will hear what is being prepared."""
        if not self._bot.guess_fits(self._words.text):
            self._bot.drop_guess()

    def _on_recognizer(self, event: ev.RecognizerChanged, now_ms: float) -> None:
        decided = self._recognizer.decides_turns
        grace_ms = max(self._settings.final_grace_ms, event.final_grace_ms)
        self._recognizer = replace(event, final_grace_ms=grace_ms)
        pausing = self._caller
        if decided and not event.decides_turns:
            # Nobody says any more whether the guess is right, nor when the turn is over.
            self._bot.drop_guess()
            if isinstance(pausing, Pausing):
                self._caller = replace(pausing, finalize_id=self._ask_final(pausing.sample, pausing.sample))
        elif isinstance(pausing, Pausing) and not pausing.closed:
            if pausing.asked_anew == MOST_ASKED_ANEW:
                self._end_caller_turn(now_ms)
            else:
                self._caller = replace(pausing, asked_anew_at_ms=now_ms, asked_anew=pausing.asked_anew + 1)

    def _answers_request(self, event: ev.Recognised) -> bool:
        pausing = self._quiet_state()
        return pausing is not None and event.final and event.finalize_id == pausing.finalize_id != 0

    def _close_unopened(self, event: ev.Recognised) -> None:
        """No word in the short sound: as if it had never been."""
        if self._answers_request(event) and isinstance(self._caller, Pausing):
            self._become_quiet()

    def _quiet_state(self) -> Pausing | None:
        """The pause that the caller is in, or was in before stirring."""
        match self._caller:
            case Pausing() as pausing:
                return pausing
            case Stirring(before=Pausing() as pausing):
                return pausing
            case _:
                return None

    def _close_quiet_state(self, *, words: bool) -> None:
        """Recognition has closed what was before the pause, with words or without."""
        pausing = self._quiet_state()
        if pausing is not None and pausing.before_sound is not None and not words:
            # The sound was nothing: the pause before it goes on.
            before = replace(pausing.before_sound, finalize_id=pausing.finalize_id, closed=True)
            self._caller = replace(self._caller, before=before) if isinstance(self._caller, Stirring) else before
        else:
            self._change_quiet_state(closed=True)

    def _change_quiet_state(self, **changes: Any) -> None:
        pausing = self._quiet_state()
        if pausing is not None:
            changed = replace(pausing, **changes)
            self._caller = replace(self._caller, before=changed) if isinstance(self._caller, Stirring) else changed

    # --- What the page and the session say

    def _on_typed(self, event: ev.Typed, now_ms: float) -> None:
        if not event.run_immediately:
            self._words.typed_ahead.append(event.text)
            return
        waiting = self._typed
        text = event.text if waiting is None else f"{waiting.text} {event.text}"
        due_ms = now_ms + self._settings.typed_joins_ms if waiting is None else waiting.due_ms
        self._typed = _TypedWait(text, event.modality, due_ms)
        if not self._turn_is_open():
            self._take_typed(now_ms)

    def _take_typed(self, now_ms: float) -> None:
        """Typed text is a turn, and what was being said is its beginning."""
        typed, self._typed = self._typed, None
        if typed is None:
            return
        if self._turn_is_open():
            self._actions.append(act.UserStopped(self._turn))
        else:
            self._new_turn()
            self._words.clear()
            if self.living is not None:
                # Pages end the bot's message when the caller starts, not when a reply is cut.
                self._actions.append(act.UserStarted(self._turn))
                self._bot.interrupt()
                self._actions.append(act.UserStopped(self._turn))
        self._caller = Quiet()
        words = [*self._words.take(), typed.text]
        self._said = None
        self._commit(" ".join(words), typed.modality, None, now_ms)

    def _on_greet(self, event: ev.Greet, now_ms: float) -> None:
        # Who speaks first has the floor: a caller who is talking already is not greeted.
        if isinstance(self._caller, Quiet) and isinstance(self._bot.state, Silent):
            self._new_turn()
            self._bot.say(self._turn, event.text, now_ms)

    # --- The caller's turn

    def _new_turn(self) -> None:
        self._turn += 1
        self._said = None
        self._doubted = None
        self._guesses = 0
        self._false_alarms = 0

    def _open_turn(self) -> None:
        self._new_turn()
        self._actions.append(act.UserStarted(self._turn))
        if self._words.interim:
            # Words of the onset, shown before it was known whose turn they are.
            self._actions.append(act.ShowUserText(self._turn, self._words.interim, final=False))

    def _interrupt(self, sound: Interjecting | Weighing, *, closed: bool) -> None:
        """It was meant: the caller has the floor, with a new turn, or with the one that was not over yet."""
        said = self._said
        mine = list(self._words.finals)
        if said is not None and self._bot.may_take_back(said.turn):
            self._actions.append(act.UserStarted(said.turn))
            self._bot.take_back()
            self._actions.append(act.ReopenUser(said.turn))
            self._words.reopen(said.words, said.owed_id, len(said.before))
            self._said = None
        else:
            self._new_turn()
            self._actions.append(act.UserStarted(self._turn))
            self._bot.interrupt()
        self._actions += [act.ShowUserText(self._turn, text, final=True) for text in mine]
        if self._words.interim:
            self._actions.append(act.ShowUserText(self._turn, self._words.interim, final=False))
        talking = Talking(sound.sample, sound.since_ms)
        match sound:
            case Interjecting(dip=Dip() as dip):
                self._caller = self._pausing(talking, dip.sample, dip.since_ms, None)
            case Interjecting():
                self._caller = talking
            case Weighing():
                pausing = self._pausing(talking, sound.end_sample, sound.quiet_since_ms, sound.quiet_since_ms)
                self._caller = replace(pausing, finalize_id=sound.finalize_id, closed=closed)
        self._actions.append(act.PublishState())

    def _was_nothing(self) -> None:
        """The reply goes on where it was held."""
        self._words.clear()
        self._caller = Quiet()
        self._false_alarms += 1
        self._actions += [act.PublishState(), act.ResumeVoice()]

    def _leave_reply(self, now_ms: float) -> None:
        """The reply ended under a sound that was being judged: now it may open a turn like any other."""
        if self.living is not None:
            return
        match self._caller:
            case Interjecting(confirmed=False) as sound:
                self._caller = Stirring(sound.sample, Quiet())
            case Interjecting(dip=dip) as sound:
                self._open_turn()
                self._talk(sound.sample, sound.since_ms)
                if dip is not None:
                    talking = Talking(sound.sample, sound.since_ms)
                    self._caller = self._pausing(talking, dip.sample, dip.since_ms, None)
                    self._check_deadlines(now_ms)
            case Weighing() as sound:
                talking = Talking(sound.sample, sound.since_ms)
                pausing = self._pausing(talking, sound.end_sample, sound.quiet_since_ms, sound.quiet_since_ms)
                self._caller = replace(pausing, finalize_id=sound.finalize_id, opened=False)
                self._check_deadlines(now_ms)
            case _:
                pass

    def _turn_is_open(self) -> bool:
        pausing = self._quiet_state()
        return isinstance(self._caller, Talking) or (pausing is not None and pausing.opened)

    def _become_quiet(self) -> None:
        self._caller = Quiet()
        self._words.clear()
        self._actions.append(act.PublishState())

    def _end_caller_turn(self, now_ms: float) -> None:
        """The turn is over, with what is known of it."""
        pausing = self._caller if isinstance(self._caller, Pausing) else None
        if pausing is not None and not pausing.opened:
            self._become_quiet()
            return
        words = self._words
        heard = words.heard
        if words.interim:
            self._actions.append(act.ShowUserText(self._turn, words.interim, final=True))
        self._actions.append(act.UserStopped(self._turn))
        self._caller = Quiet()
        if not heard:
            self._end_without_words(pausing, now_ms)
            return
        self._wordless = 0
        owed_id = pausing.finalize_id if pausing is not None and not pausing.closed else 0
        before = (*words.typed_ahead, *words.finals)
        ended = None if pausing is None else self._ended(pausing, now_ms)
        said = words.take()
        self._said = _Said(self._turn, tuple(said), before, owed_id)
        self._commit(" ".join(said), Modality.VOICE, ended, now_ms)

    def _ended(self, pausing: Pausing, now_ms: float) -> act.SpeechEnd:
        met_ms = max(pausing.firm_at_ms or 0.0, pauses.silence_met_at_ms(pausing, self._words, self._settings))
        return act.SpeechEnd(pausing.sample, min(now_ms, met_ms))

    def _end_without_words(self, pausing: Pausing | None, now_ms: float) -> None:
        self._bot.drop_guess()
        self._actions.append(act.PublishState())
        if pausing is None or pausing.quiet_since_ms - pausing.speech_since_ms < _WORDLESS_MS:
            return
        self._wordless += 1
        if self._wordless >= _WORDLESS_IN_A_ROW and self._settings.not_understood:
            self._wordless = 0
            self._bot.say(self._turn, self._settings.not_understood, now_ms)

    def _commit(self, text: str, modality: Modality, ended: act.SpeechEnd | None, now_ms: float) -> None:
        self._typed = None
        self._actions.append(act.CommitUser(self._turn, text, ended))
        self._bot.answer(self._turn, text, modality, now_ms)

    def _correct(self, said: _Said, event: ev.Recognised, now_ms: float) -> None:
        """The final of a turn that was taken from its interim."""
        words = (*said.before, event.text) if event.text else said.words
        self._said = replace(said, words=words, owed_id=0)
        text = " ".join(words)
        if not event.text:
            return
        again = not same_words(text, " ".join(said.words)) and self._bot.may_take_back(said.turn)
        if again:
            self._bot.take_back()
        self._actions.append(act.CorrectUser(said.turn, text))
        if again:
            self._bot.answer(said.turn, text, Modality.VOICE, now_ms)
            if not isinstance(self._caller, Quiet):
                self._actions.append(act.HoldVoice())

    # --- Time

    def _commit_due_ms(self, pausing: Pausing) -> float:
        settings = self._settings
        if not pausing.firm:
            # A detector that says nothing more.
            return pausing.quiet_since_ms + settings.silence_limit_ms + settings.final_deadline_ms
        if self._recognizer.decides_turns:
            met_ms = pausing.quiet_since_ms + settings.turn_sign_deadline_ms
            return max(met_ms, pausing.asked_anew_at_ms + settings.turn_sign_deadline_ms)
        met_ms = pauses.silence_met_at_ms(pausing, self._words, settings)
        if pausing.closed:
            return met_ms
        waits_for_words = pausing.opened and not self._words.interim
        grace_ms = settings.final_deadline_ms if waits_for_words else self._recognizer.final_grace_ms
        return max(met_ms, pausing.asked_anew_at_ms) + grace_ms

    def _early_final_ms(self, pausing: Pausing) -> float | None:
        return pauses.early_final_at_ms(pausing, self._recognizer)

    def _guess_ms(self, pausing: Pausing) -> float | None:
        settings = self._settings
        if not settings.speculation or not self._room_for_guesses or self._guesses >= settings.guesses_per_turn:
            return None
        if self._recognizer.decides_turns or self._typed is not None or self._bot.has_guess_for(self._words.text):
            return None
        return pauses.guess_at_ms(pausing, self._words, self._recognizer, settings)

    def _check_deadlines(self, now_ms: float) -> None:
        match self._caller:
            case Pausing() as pausing:
                self._check_pause(pausing, now_ms)
            case Interjecting() as sound:
                due_ms = interjections.interrupts_at_ms(sound, self._false_alarms, self._settings)
                forgotten_ms = interjections.forgotten_at_ms(sound, self._settings)
                if due_ms is not None and now_ms >= due_ms:
                    self._interrupt(sound, closed=False)
                elif forgotten_ms is not None and now_ms >= forgotten_ms:
                    self._was_nothing()
            case Weighing(due_ms=due_ms) as sound if now_ms >= due_ms:
                self._was_nothing()
                self._doubted = sound
            case _:
                pass
        if self._typed is not None and now_ms >= self._typed.due_ms:
            self._take_typed(now_ms)
        self._bot.check_deadline(now_ms)

    def _check_pause(self, pausing: Pausing, now_ms: float) -> None:
        early_ms = self._early_final_ms(pausing)
        if early_ms is not None and now_ms >= early_ms:
            through_sample = pausing.sample + int(now_ms - pausing.quiet_since_ms) * SAMPLES_PER_MS
            pausing = replace(pausing, finalize_id=self._ask_final(pausing.sample, through_sample))
            self._caller = pausing
        if self._typed is not None and pausing.opened and pausing.closed:
            self._take_typed(now_ms)
        elif now_ms >= self._commit_due_ms(pausing):
            self._end_caller_turn(now_ms)
        else:
            guess_ms = self._guess_ms(pausing)
            if guess_ms is not None and now_ms >= guess_ms:
                self._guesses += 1
                self._bot.prepare(self._turn, self._words.text)


def _span_ms(from_sample: int, to_sample: int) -> float:
    return max(0, to_sample - from_sample) / SAMPLES_PER_MS
