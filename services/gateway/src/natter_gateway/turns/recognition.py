"""What recognition says: words of the turn, of a sound over the reply, or of a turn that is over."""

from dataclasses import replace
from typing import Any, Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns import interjections
from natter_gateway.turns.events import Modality, Sign
from natter_gateway.turns.floor import Floor, Said
from natter_gateway.turns.pauses import MOST_ASKED_ANEW, SAMPLES_PER_MS
from natter_gateway.turns.states import Interjecting, Pausing, Quiet, Stirring, Weighing
from natter_gateway.turns.wording import Meaning, same_words


class Recognition:
    """One machine's part that listens to the recognizer."""

    def __init__(self, floor: Floor) -> None:
        self._floor: Final = floor

    def on(self, event: ev.Recognised, now_ms: float) -> None:
        said = self._floor.said
        if said is not None and event.final and said.owed_id and event.finalize_id == said.owed_id:
            self._correct(said, event, now_ms)
            return
        match self._floor.caller:
            case Quiet():
                self._on_late_word(event, now_ms)
            case Interjecting() | Weighing() as sound:
                self._on_word_over_reply(sound, event, now_ms)
            case _:
                self._on_word(event, now_ms)

    def _on_word_over_reply(self, sound: Interjecting | Weighing, event: ev.Recognised, now_ms: float) -> None:
        self._floor.words.take_in(event)
        answered = isinstance(sound, Weighing) and event.final and event.finalize_id == sound.finalize_id
        if self._floor.is_meant():
            self._floor.interrupt(sound, closed=answered)
            if event.sign is Sign.END:
                self._floor.end_caller_turn(now_ms)
        elif answered and isinstance(sound, Weighing) and self._floor.words.meaning is Meaning.DOUBTFUL:
            # More may follow, and then both were meant.
            self._floor.caller = replace(sound, due_ms=interjections.doubted_until_ms(sound))
        elif answered:
            self._floor.was_nothing()

    def _on_late_word(self, event: ev.Recognised, now_ms: float) -> None:
        """The answer to a request that was not waited for any more."""
        doubted = self._floor.doubted
        if doubted is None or not event.final or event.finalize_id != doubted.finalize_id:
            return
        self._floor.doubted = None
        if self._floor.living is None:
            return
        self._floor.words.take_in(event)
        if self._floor.is_meant():
            self._floor.interrupt(doubted, closed=True)
        else:
            self._floor.words.clear()

    def _on_word(self, event: ev.Recognised, now_ms: float) -> None:
        """In an open turn, or where one may open."""
        if event.sign is Sign.RESUMED:
            self._floor.bot.drop_guess()
        closed = isinstance(self._floor.caller, Pausing) and self._floor.caller.closed
        if not event.final:
            if not closed:
                self._on_interim(event)
            return
        if closed and self._answers_request(event):
            # It is answered already: the words are there.
            return
        ends = event.sign is Sign.END
        if not self._floor.turn_is_open():
            # Also the answer to a request before the newest: two short sounds may be two words.
            asked = event.finalize_id and self._floor.quiet_state() is not None
            if not (event.text and (ends or asked)):
                self._close_unopened(event)
                return
            self._change_quiet_state(opened=True)
            self._floor.open_turn()
        self._floor.words.take_in(event)
        if event.text:
            self._floor.actions.append(act.ShowUserText(self._floor.turn, event.text, final=True))
        if ends:
            self._floor.end_caller_turn(now_ms)
        else:
            if self._answers_request(event) and not self._floor.recognizer.decides_turns:
                self._on_answer(event)
            self._drop_other_guess()

    def _on_interim(self, event: ev.Recognised) -> None:
        news = event.text != self._floor.words.interim
        self._floor.words.take_in(event)
        if not self._floor.turn_is_open():
            return
        if news:
            self._floor.actions.append(act.ShowUserText(self._floor.turn, event.text, final=False))
        eager = event.sign is Sign.EAGER_END and bool(event.text)
        if eager and self._floor.may_guess and not self._floor.bot.has_guess_for(self._floor.words.text):
            self._floor.prepare()
        elif eager or not self._floor.recognizer.decides_turns:
            self._drop_other_guess()

    def _drop_other_guess(self) -> None:
        """The words are others by now: nobody will hear what is being prepared."""
        if not self._floor.bot.guess_fits(self._floor.words.text):
            self._floor.bot.drop_guess()

    def on_recognizer(self, event: ev.RecognizerChanged, now_ms: float) -> None:
        decided = self._floor.recognizer.decides_turns
        grace_ms = max(self._floor.settings.final_grace_ms, event.final_grace_ms)
        self._floor.recognizer = replace(event, final_grace_ms=grace_ms)
        pausing = self._floor.caller
        if decided and not event.decides_turns:
            # Nobody says any more whether the guess is right, nor when the turn is over.
            self._floor.bot.drop_guess()
            if isinstance(pausing, Pausing):
                # Like any other it reads into the silence, and it has its time from now on.
                through_sample = pausing.sample + int(now_ms - pausing.quiet_since_ms) * SAMPLES_PER_MS
                finalize_id = self._floor.ask_final(pausing.sample, through_sample)
                self._floor.caller = replace(pausing, finalize_id=finalize_id, asked_anew_at_ms=now_ms)
        elif isinstance(pausing, Pausing) and not pausing.closed:
            if pausing.asked_anew == MOST_ASKED_ANEW:
                self._floor.end_caller_turn(now_ms)
            else:
                self._floor.caller = replace(pausing, asked_anew_at_ms=now_ms, asked_anew=pausing.asked_anew + 1)

    def _answers_request(self, event: ev.Recognised) -> bool:
        pausing = self._floor.quiet_state()
        return pausing is not None and event.final and event.finalize_id == pausing.finalize_id != 0

    def _on_answer(self, event: ev.Recognised) -> None:
        pausing = self._floor.quiet_state()
        if pausing is not None and pausing.early and 0 < event.through_sample < pausing.sample:
            # Asked so early that the last word was not over for it: it has to be asked again.
            self._change_quiet_state(finalize_id=0)
            if pausing.firm:
                self._change_quiet_state(finalize_id=self._floor.ask_final(pausing.sample, pausing.sample), early=False)
        else:
            self._close_quiet_state(words=bool(event.text))

    def _close_unopened(self, event: ev.Recognised) -> None:
        """No word in the short sound: as if it had never been."""
        if self._answers_request(event) and isinstance(self._floor.caller, Pausing):
            self._floor.become_quiet()

    def _close_quiet_state(self, *, words: bool) -> None:
        """Recognition has closed what was before the pause, with words or without."""
        pausing = self._floor.quiet_state()
        if pausing is not None and pausing.before_sound is not None and not words:
            # The sound was nothing: the pause before it goes on.
            self._put_quiet_state(replace(pausing.before_sound, finalize_id=pausing.finalize_id, closed=True))
        else:
            self._change_quiet_state(closed=True)

    def _change_quiet_state(self, **changes: Any) -> None:
        pausing = self._floor.quiet_state()
        if pausing is not None:
            self._put_quiet_state(replace(pausing, **changes))

    def _put_quiet_state(self, pausing: Pausing) -> None:
        caller = self._floor.caller
        self._floor.caller = replace(caller, before=pausing) if isinstance(caller, Stirring) else pausing

    def _correct(self, said: Said, event: ev.Recognised, now_ms: float) -> None:
        """The final of a turn that was taken from its interim."""
        words = (*said.before, event.text) if event.text else said.words
        self._floor.said = replace(said, words=words, owed_id=0)
        text = " ".join(words)
        if not event.text:
            return
        again = not same_words(text, " ".join(said.words)) and self._floor.bot.may_take_back(said.turn)
        if again:
            self._floor.bot.take_back()
        self._floor.actions.append(act.CorrectUser(said.turn, text))
        if again:
            self._floor.bot.answer(said.turn, text, Modality.VOICE, now_ms)
            if not isinstance(self._floor.caller, Quiet):
                self._floor.actions.append(act.HoldVoice())
