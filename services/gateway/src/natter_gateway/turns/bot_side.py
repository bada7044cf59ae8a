"""The bot's side of the turn machine: the attempt that lives, and the guess beside it."""

from dataclasses import replace

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey, Modality
from natter_gateway.turns.states import BotState, Guess, Silent, Speaking, Thinking
from natter_gateway.turns.wording import same_words


class BotSide:
    """At most one attempt that the caller may hear, and one that is only prepared. Actions go to `actions`."""

    def __init__(self, reply_deadline_ms: float, actions: list[act.Action]) -> None:
        self._reply_deadline_ms = reply_deadline_ms
        self._actions = actions
        self._state: BotState = Silent()
        self._guess: Guess | None = None
        self._last: AttemptKey = (0, 0)

    @property
    def state(self) -> BotState:
        return self._state

    @property
    def living(self) -> AttemptKey | None:
        """The committed attempt."""
        return None if isinstance(self._state, Silent) else self._state.key

    @property
    def guess(self) -> AttemptKey | None:
        """The attempt that is prepared for a turn which is not over."""
        return None if self._guess is None else self._guess.key

    def may_take_back(self, turn: int) -> bool:
        """Whether the reply answers `turn` and can still go without a trace."""
        return not isinstance(self._state, Silent) and self._state.key[0] == turn and not self._state.settled

    def has_guess_for(self, text: str) -> bool:
        """Whether a reply to these words is prepared."""
        return self._guess is not None and same_words(self._guess.text, text)

    def guess_fits(self, text: str) -> bool:
        """Whether nothing is prepared, or a reply to these words."""
        return self._guess is None or same_words(self._guess.text, text)

    @property
    def deadline_ms(self) -> float | None:
        state = self._state
        if isinstance(state, Thinking) and not state.acting:
            return state.progress_at_ms + self._reply_deadline_ms
        return None

    def say(self, turn: int, text: str, now_ms: float) -> None:
        """Say a text as it is."""
        key = self._next_key(turn)
        self._state = Thinking(key, Modality.VOICE, now_ms)
        self._actions.append(act.PublishState())
        self._actions.append(act.StartVerbatim(key, text))

    def prepare(self, turn: int, text: str) -> None:
        """Prepare a reply to `text`; what was prepared before is dropped."""
        self.drop_guess()
        self._guess = Guess(self._next_key(turn), text)
        self._actions.append(act.PublishState())
        self._actions.append(act.StartGuess(self._guess.key, text))

    def answer(self, turn: int, text: str, modality: Modality, now_ms: float) -> None:
        """Answer a turn that is over: with the guess where it fits."""
        guess = self._guess
        if guess is not None and guess.key[0] == turn and modality is Modality.VOICE and same_words(guess.text, text):
            self._guess = None
            self._state = Thinking(guess.key, modality, now_ms)
            self._actions.append(act.PublishState())
            self._actions.append(act.AdoptGuess(guess.key))
            return
        self.drop_guess()
        key = self._next_key(turn)
        self._state = Thinking(key, modality, now_ms)
        self._actions.append(act.PublishState())
        self._actions.append(act.StartAttempt(key, text, modality))

    def drop_guess(self) -> None:
        """The turn was not over, or its words were others."""
        guess, self._guess = self._guess, None
        if guess is not None:
            self._actions.append(act.DropGuess(guess.key))
            self._actions.append(act.PublishState())

    def interrupt(self) -> None:
        if self.living is not None:
            self._end(act.Outcome.INTERRUPTED)

    def take_back(self) -> None:
        """The reply answers what was not the whole turn, or not its words: it leaves no trace."""
        if self.living is not None:
            self._end(act.Outcome.REOPENED)

    def on_reply(self, event: ev.ReplyEvent, now_ms: float) -> None:
        """A report of the living attempt; of any other it is ignored."""
        state = self._state
        if isinstance(state, Silent) or event.key != state.key:
            return
        match event:
            case ev.ReplyProgress():
                if isinstance(state, Thinking):
                    self._state = replace(state, progress_at_ms=now_ms)
            case ev.ReplyAudible():
                self._state = Speaking(state.key, state.acting, state.settled)
            case ev.ReplyEstablished() | ev.ToolsActed():
                self._state = replace(state, settled=True)
            case ev.ReplyDry():
                self._state = Thinking(state.key, Modality.VOICE, now_ms, state.acting, state.settled)
            case ev.ToolsBegan():
                self._state = replace(state, acting=True)
            case ev.ToolsOver():
                over = replace(state, acting=False)
                self._state = replace(over, progress_at_ms=now_ms) if isinstance(over, Thinking) else over
            case ev.ReplyComplete():
                self._end(act.Outcome.COMPLETE)
            case ev.ReplyFailed():
                self._end(act.Outcome.FAILED)
                self._actions.append(act.Complain(event.words))

    def check_deadline(self, now_ms: float) -> None:
        deadline_ms = self.deadline_ms
        if deadline_ms is not None and now_ms >= deadline_ms:
            self._end(act.Outcome.FAILED)
            self._actions.append(act.Complain("The answer took too long. Please try again."))

    def _end(self, outcome: act.Outcome) -> None:
        key = self.living
        if key is not None:
            self._state = Silent()
            self._actions.append(act.PublishState())
            self._actions.append(act.EndAttempt(key, outcome))

    def _next_key(self, turn: int) -> AttemptKey:
        self._last = (turn, self._last[1] + 1 if self._last[0] == turn else 1)
        return self._last
