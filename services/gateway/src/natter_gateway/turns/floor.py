"""Who has the floor: the state that the parts of the turn machine share, and how turns begin and end."""

from dataclasses import dataclass, replace
from typing import Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns import pauses
from natter_gateway.turns.bot_side import BotSide
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.pauses import FINAL_TAIL_MS, SAMPLES_PER_MS
from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import (
    CallerState,
    Dip,
    Interjecting,
    Pausing,
    Quiet,
    Stirring,
    Talking,
    Weighing,
)
from natter_gateway.turns.turn_words import TurnWords
from natter_gateway.turns.wording import Meaning

_NO_ESTIMATE: Final = ev.Estimated(-1, 0.0)
_WORDLESS_MS: Final = 1_000.0
_WORDLESS_IN_A_ROW: Final = 2


@dataclass(frozen=True, slots=True)
class Said:
    """The newest turn that was spoken, and over: it may be taken back, or corrected."""

    turn: int
    words: tuple[str, ...]
    before: tuple[str, ...]
    """Those of them that were final."""
    owed_id: int
    """Its finalize request, if the turn was taken from an interim; else 0."""


@dataclass(frozen=True, slots=True)
class TypedWait:
    """Typed text that waits for what is being said."""

    text: str
    modality: Modality
    due_ms: float


class Floor:
    """Shared by the parts of one machine; what it wants done goes to `actions`."""

    def __init__(self, settings: TurnSettings, turn: int = 0) -> None:
        self.settings: Final = settings
        self.actions: Final[list[act.Action]] = []
        self.bot: Final = BotSide(settings.reply_deadline_ms, self.actions)
        self.words: Final = TurnWords(settings.language)
        self.caller: CallerState = Quiet()
        self.turn = turn
        """Number of the newest turn; 0 before the first."""
        self.recognizer = ev.RecognizerChanged(decides_turns=False, final_grace_ms=settings.final_grace_ms)
        self.estimate = _NO_ESTIMATE
        """The newest."""
        self.said: Said | None = None
        self.typed: TypedWait | None = None
        self.doubted: Weighing | None = None
        """A sound that was nothing because nobody said in time what it was."""
        self.false_alarms = 0
        """Sounds over the living reply that were nothing."""
        self.guesses = 0
        """Replies prepared for this turn."""
        self.room_for_guesses = True
        self._finalize_id = 0
        self._wordless = 0

    @property
    def living(self) -> AttemptKey | None:
        """The committed attempt that is alive: at most one."""
        return self.bot.living

    def new_turn(self) -> None:
        self.turn += 1
        self.said = None
        self.doubted = None
        self.guesses = 0
        self.false_alarms = 0

    def open_turn(self) -> None:
        self.new_turn()
        self.actions.append(act.UserStarted(self.turn))
        if self.words.interim:
            # Words of the onset, shown before it was known whose turn they are.
            self.actions.append(act.ShowUserText(self.turn, self.words.interim, final=False))

    def pausing(self, talking: Talking, sample: int, quiet_since_ms: float, firm_at_ms: float | None) -> Pausing:
        probability = self.estimate.probability if self.estimate.sample == sample else 0.0
        return Pausing(sample, talking.sample, talking.since_ms, quiet_since_ms, firm_at_ms, probability)

    def pause(self, pausing: Pausing, through_sample: int) -> None:
        """Quiet for long enough to have recognition close what was before, if it is not at it."""
        self.caller = pausing
        self.actions.append(act.PublishState())
        if not pausing.finalize_id:
            self.caller = replace(pausing, finalize_id=self.ask_final(pausing.sample, through_sample))

    def ask_final(self, sample: int, through_sample: int) -> int:
        self._finalize_id += 1
        tail = sample + FINAL_TAIL_MS * SAMPLES_PER_MS
        self.actions.append(act.AskFinal(self._finalize_id, min(tail, max(sample, through_sample))))
        return self._finalize_id

    def turn_is_open(self) -> bool:
        pausing = self.quiet_state()
        return isinstance(self.caller, Talking) or (pausing is not None and pausing.opened)

    def quiet_state(self) -> Pausing | None:
        """The pause that the caller is in, or was in before stirring."""
        match self.caller:
            case Pausing() as pausing:
                return pausing
            case Stirring(before=Pausing() as pausing):
                return pausing
            case _:
                return None

    def become_quiet(self) -> None:
        self.caller = Quiet()
        self.words.clear()
        self.actions.append(act.PublishState())

    @property
    def may_guess(self) -> bool:
        """Whether a reply may be prepared in vain."""
        wanted = self.settings.speculation and self.guesses < self.settings.guesses_per_turn
        # Typed text that waits will join the words.
        return wanted and self.room_for_guesses and self.typed is None

    def prepare(self) -> None:
        """Prepare a reply to what was said so far."""
        self.guesses += 1
        self.bot.prepare(self.turn, self.words.text)

    @property
    def may_take_back(self) -> bool:
        """Whether the reply can still go without a trace."""
        return self.said is not None and self.bot.may_take_back(self.said.turn)

    def is_meant(self) -> bool:
        """Whether the words over the reply want the floor. Who goes on right behind a turn probably has more to say."""
        meaning = self.words.meaning
        return meaning is Meaning.INTERRUPTS or (meaning is Meaning.DOUBTFUL and self.may_take_back)

    def interrupt(self, sound: Interjecting | Weighing, *, closed: bool) -> None:
        """It was meant: the caller has the floor, with a new turn, or with the one that was not over yet."""
        said = self.said
        mine = list(self.words.finals)
        if said is not None and self.may_take_back:
            self.actions.append(act.UserStarted(said.turn))
            self.bot.take_back()
            self.actions.append(act.ReopenUser(said.turn))
            self.words.reopen(said.words, said.owed_id, len(said.before))
            self.said = None
        else:
            self.new_turn()
            self.actions.append(act.UserStarted(self.turn))
            self.bot.interrupt()
        self.actions.extend(act.ShowUserText(self.turn, text, final=True) for text in mine)
        if self.words.interim:
            self.actions.append(act.ShowUserText(self.turn, self.words.interim, final=False))
        talking = Talking(sound.sample, sound.since_ms)
        match sound:
            case Interjecting(dip=Dip() as dip):
                self.caller = self.pausing(talking, dip.sample, dip.since_ms, None)
            case Interjecting():
                self.caller = talking
            case Weighing():
                pausing = self.pausing(talking, sound.end_sample, sound.quiet_since_ms, sound.quiet_since_ms)
                self.caller = replace(pausing, finalize_id=sound.finalize_id, closed=closed)
        self.actions.append(act.PublishState())

    def fall_silent(self) -> None:
        """Whatever goes on ends: nobody has the floor."""
        if self.turn_is_open():
            self.actions.append(act.UserStopped(self.turn))
        self.typed = None
        self.words.clear()
        self.bot.drop_guess()
        self.bot.interrupt()
        self.caller = Quiet()

    def was_nothing(self) -> None:
        """The reply goes on where it was held."""
        self.words.clear()
        self.caller = Quiet()
        self.false_alarms += 1
        self.actions.extend((act.PublishState(), act.ResumeVoice()))

    def end_caller_turn(self, now_ms: float) -> None:
        """The turn is over, with what is known of it."""
        pausing = self.caller if isinstance(self.caller, Pausing) else None
        if pausing is not None and not pausing.opened:
            self.become_quiet()
            return
        words = self.words
        heard = words.heard
        if words.interim:
            self.actions.append(act.ShowUserText(self.turn, words.interim, final=True))
        self.actions.append(act.UserStopped(self.turn))
        self.caller = Quiet()
        if not heard:
            self._end_without_words(pausing, now_ms)
            return
        self._wordless = 0
        owed_id = pausing.finalize_id if pausing is not None and not pausing.closed else 0
        before = (*words.typed_ahead, *words.finals)
        ended = None if pausing is None else self._ended(pausing, now_ms)
        said = words.take()
        self.said = Said(self.turn, tuple(said), before, owed_id)
        self.commit(" ".join(said), Modality.VOICE, ended, now_ms)

    def _ended(self, pausing: Pausing, now_ms: float) -> act.SpeechEnd:
        met_ms = max(pausing.firm_at_ms or 0.0, pauses.silence_met_at_ms(pausing, self.words, self.settings))
        return act.SpeechEnd(pausing.sample, min(now_ms, met_ms))

    def _end_without_words(self, pausing: Pausing | None, now_ms: float) -> None:
        self.bot.drop_guess()
        self.actions.append(act.PublishState())
        if pausing is None or pausing.quiet_since_ms - pausing.speech_since_ms < _WORDLESS_MS:
            return
        self._wordless += 1
        if self._wordless >= _WORDLESS_IN_A_ROW and self.settings.not_understood:
            self._wordless = 0
            self.bot.say(self.turn, self.settings.not_understood, now_ms)

    def commit(self, text: str, modality: Modality, ended: act.SpeechEnd | None, now_ms: float) -> None:
        self.typed = None
        self.actions.append(act.CommitUser(self.turn, text, ended))
        self.bot.answer(self.turn, text, modality, now_ms)
