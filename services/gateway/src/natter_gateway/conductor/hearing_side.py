"""The caller's side of a session: what detection and recognition report, as events of the turn machine."""

from collections.abc import Iterable
from typing import Final

from natter_gateway.conductor.caller_audio import CallerAudio, sound_from_sample
from natter_gateway.conductor.final_due import FinalDue
from natter_gateway.conductor.frames import CallerSpeech, FrameWriter
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.trouble import TroubleBook
from natter_gateway.leases.board import HeldLease
from natter_gateway.turns import events as ev
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.states import Interjecting, Weighing
from natter_proto import Speech, SpeechEvent, Stage, Transcript, TurnSign, Word

_BEGINNINGS: Final = {
    SpeechEvent.SPEECH_EVENT_ONSET: ev.Onset,
    SpeechEvent.SPEECH_EVENT_RESUME: ev.Onset,
    SpeechEvent.SPEECH_EVENT_SPEECH: ev.SpeechConfirmed,
}
_SIGNS: Final = {
    TurnSign.TURN_SIGN_EAGER_END: ev.Sign.EAGER_END,
    TurnSign.TURN_SIGN_RESUMED: ev.Sign.RESUMED,
    TurnSign.TURN_SIGN_END: ev.Sign.END,
}

_EARLY_WORD_SAMPLES: Final = 300 * 16
"""A word may begin so long before detection is sure of a sound."""

_CATCHES_UP_MS: Final = 700.0
"""A vendor is connected to, and hears the turn so far faster than it was said."""

_SURE: Final = 0.5
"""Confidence of a word that is one. The built-in recognizer tells none: 0."""


class HearingSide:
    """Knows where the caller's speech lies, and what recognition owes."""

    def __init__(self, machine: TurnMachine, frames: FrameWriter, page: Page, trouble: TroubleBook) -> None:
        self._machine = machine
        self._frames = frames
        self._page = page
        self._trouble = trouble
        self._audio = CallerAudio()
        self._final_due = FinalDue()
        self._unheard: str | None = None
        self._final_waits_for_quiet = False
        """Who was asked ends the turn when it is over: not while the caller goes on."""
        self.asked_at_ms = 0.0
        """When recognition was last asked for a final."""
        self.final_at_ms = 0.0
        """When it last answered."""

    @property
    def due_ms(self) -> float | None:
        """When recognition has to have answered."""
        return self._final_due.due_ms

    @property
    def asked(self) -> tuple[int, int]:
        """The last finalize request: its id, and the sample to close through."""
        return self._audio.asked_final

    @property
    def speech(self) -> CallerSpeech:
        """What recognition has to know now."""
        return self._audio.speech(self._machine.caller)

    def replay_from_sample(self, stage: Stage) -> int | None:
        """Where a new vad or stt worker has to begin to read; None: with what comes now."""
        caller = self._machine.caller
        return sound_from_sample(caller) if stage == Stage.STAGE_VAD else self._audio.replay_from_sample(caller)

    @property
    def settled_through_sample(self) -> int:
        """What lies before needs no worker any more."""
        return self._audio.settled_through_sample

    def on_speech(self, frame: Speech) -> ev.Event | None:
        """What detection says; None for what this version does not know."""
        match frame.event:
            case SpeechEvent.SPEECH_EVENT_PAUSE:
                self._audio.speech_to_sample = frame.sample
                return ev.Paused(frame.sample, frame.through_sample, frame.probability)
            case SpeechEvent.SPEECH_EVENT_FALSE_ONSET:
                return ev.OnsetFaded(frame.sample, frame.through_sample)
            case SpeechEvent.SPEECH_EVENT_DIP:
                return ev.Dipped(frame.sample, frame.through_sample)
            case SpeechEvent.SPEECH_EVENT_GOES_ON:
                return ev.WentOn(frame.sample)
            case SpeechEvent.SPEECH_EVENT_ESTIMATE:
                return ev.Estimated(frame.sample, frame.probability)
            case _:
                event = _BEGINNINGS.get(frame.event)
                if event is None:
                    return None
                self._audio.on_speech(frame.sample, self._machine.caller)
                if self._final_waits_for_quiet:
                    self._final_due.forget()
                return event(frame.sample, frame.through_sample)

    def on_transcript(self, frame: Transcript, now_ms: float) -> ev.Event:
        """What recognition says."""
        if frame.final:
            self._audio.on_final(frame.through_sample)
            if self._final_due.answered(frame.finalize_id) or frame.sign == TurnSign.TURN_SIGN_END:
                self._unheard = None
                self.final_at_ms = now_ms
        return ev.Recognised(
            " ".join(word.text for word in self._own_words(frame)),
            frame.final,
            frame.finalize_id,
            _SIGNS.get(frame.sign, ev.Sign.NONE),
            frame.through_sample,
            all(word.confidence >= _SURE for word in frame.words),
        )

    def _own_words(self, frame: Transcript) -> Iterable[Word]:
        """Of a sound over the reply only its own words count: before it, recognition may have heard the bot's echo."""
        caller = self._machine.caller
        if not isinstance(caller, (Interjecting, Weighing)):
            return frame.words
        least = caller.sample - _EARLY_WORD_SAMPLES
        return (word for word in frame.words if not word.from_sample or word.from_sample >= least)

    def ask_final(self, finalize_id: int, through_sample: int, lease: HeldLease | None, now_ms: float) -> None:
        """Ask recognition for what was said before a pause, and see to it that it answers."""
        self._audio.asked_final = (finalize_id, through_sample)
        self.asked_at_ms = now_ms
        self._ask(lease, now_ms)

    def ask_final_again(self, lease: HeldLease, now_ms: float) -> None:
        """Ask a recognizer for what its predecessor owed, once it has connected and caught up."""
        self._ask(lease, now_ms + _CATCHES_UP_MS)

    def _ask(self, lease: HeldLease | None, now_ms: float) -> None:
        self._frames.finalize(*self._audio.asked_final)
        self._final_waits_for_quiet = lease is not None and lease.decides_turns
        if lease is not None and lease.final_within_ms:
            self._final_due.asked(self._audio.asked_final[0], now_ms + lease.final_within_ms)

    def overdue(self, now_ms: float) -> bool:
        """Whether recognition did not answer in time; said once a request."""
        return self._final_due.overdue(now_ms)

    def on_trouble(self, words: str) -> None:
        """Recognition failed: the caller hears of it, if it is not made good before the turn is over."""
        self._unheard = words

    def turn_over(self) -> None:
        """The caller's turn is over: say so if recognition had trouble with it to the end."""
        words = self._trouble.words(Stage.STAGE_STT) or self._unheard
        self._unheard = None
        if words is not None:
            self._page.error(words)
