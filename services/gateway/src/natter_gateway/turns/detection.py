"""What the detector finds, as states of the caller."""

from dataclasses import replace
from typing import Final

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns import interjections
from natter_gateway.turns.floor import Floor
from natter_gateway.turns.pauses import SAMPLES_PER_MS
from natter_gateway.turns.states import Dip, Interjecting, Pausing, Quiet, Stirring, Talking, Weighing


class Detection:
    """One machine's part that listens to the detector."""

    def __init__(self, floor: Floor) -> None:
        self._floor: Final = floor

    def on(self, event: ev.DetectorEvent, now_ms: float) -> None:
        """Take in what it found."""
        match event:
            case ev.Onset():
                self._on_onset(event, now_ms)
            case ev.SpeechConfirmed():
                self._on_speech(event, now_ms)
            case ev.Dipped():
                self._on_dipped(event, now_ms)
            case ev.WentOn():
                self._on_went_on(event, now_ms)
            case ev.Paused():
                self._on_paused(event, now_ms)
            case ev.OnsetFaded():
                self._on_onset_faded(event, now_ms)
            case ev.Estimated():
                self._on_estimated(event)
            case ev.Muted(sample):
                if isinstance(self._floor.caller, Stirring):
                    self._on_onset_faded(ev.OnsetFaded(sample, sample), now_ms)
                else:
                    self._on_paused(ev.Paused(sample, sample, 1.0), now_ms)

    def _on_onset(self, event: ev.Onset, now_ms: float) -> None:
        floor = self._floor
        if self._is_known(event.sample):
            return
        since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        match floor.caller:
            case Quiet() if floor.living is not None:
                floor.caller = Interjecting(event.sample, since_ms)
                floor.actions.extend((act.PublishState(), act.HoldVoice()))
            case Weighing() as sound:
                floor.caller = interjections.goes_on(sound, since_ms)
                floor.actions.append(act.PublishState())
            case Quiet() | Pausing() as before:
                floor.caller = Stirring(event.sample, since_ms, before)
                floor.actions.append(act.PublishState())
            case _:
                pass

    def _is_known(self, sample: int) -> bool:
        """Whether a sound lies before the quiet that goes on: another detector finds it a second time."""
        match self._floor.caller:
            case Pausing(sample=quiet_from) | Weighing(end_sample=quiet_from):
                return sample < quiet_from
            case _:
                return False

    def _on_speech(self, event: ev.SpeechConfirmed, now_ms: float) -> None:
        floor = self._floor
        if self._is_known(event.sample):
            return
        if isinstance(floor.caller, Weighing) or (isinstance(floor.caller, Quiet) and floor.living is not None):
            self._on_onset(ev.Onset(event.sample, event.through_sample), now_ms)
        match floor.caller:
            case Interjecting() as sound:
                floor.caller = replace(sound, confirmed=True)
            case Stirring() as stirring:
                self._talk(Talking(stirring.sample, stirring.since_ms))
                if stirring.dip is not None:
                    # It was long enough at its end only.
                    self._dip(stirring.dip)
            case Quiet():
                self._talk(Talking(event.sample, now_ms - _span_ms(event.sample, event.through_sample)))
            case Pausing(firm_at_ms=float()):
                self._talk(Talking(event.sample, now_ms - _span_ms(event.sample, event.through_sample)))
            case _:
                pass

    def _talk(self, talking: Talking) -> None:
        floor = self._floor
        if not floor.turn_is_open():
            floor.open_turn()
        floor.caller = talking
        floor.actions.append(act.PublishState())

    def _on_dipped(self, event: ev.Dipped, now_ms: float) -> None:
        floor = self._floor
        dip = Dip(event.sample, now_ms - _span_ms(event.sample, event.through_sample))
        match floor.caller:
            case Talking():
                self._dip(dip)
            case Stirring() | Interjecting() as sound:
                floor.caller = replace(sound, dip=dip)
            case _:
                pass

    def _dip(self, dip: Dip) -> None:
        floor = self._floor
        if isinstance(floor.caller, Talking):
            floor.caller = floor.pausing(floor.caller, dip.sample, dip.since_ms, None)

    def _on_went_on(self, event: ev.WentOn, now_ms: float) -> None:
        floor = self._floor
        if self._is_known(event.sample):
            return
        match floor.caller:
            case Pausing(firm_at_ms=None) as dip:
                floor.caller = Talking(dip.speech_sample, dip.speech_since_ms)
            case Stirring() as sound:
                floor.caller = replace(sound, dip=None)
            case Interjecting(dip=Dip() as dip) as sound:
                quiet_ms = max(0.0, now_ms - dip.since_ms)
                floor.caller = replace(sound, since_ms=sound.since_ms + quiet_ms, dip=None)
            case _:
                pass

    def _on_paused(self, event: ev.Paused, now_ms: float) -> None:
        floor = self._floor
        quiet_since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        if event.probability:
            floor.estimate = ev.Estimated(event.sample, event.probability)
        match floor.caller:
            case Talking() as talking:
                floor.pause(floor.pausing(talking, event.sample, quiet_since_ms, now_ms), event.through_sample)
            case Pausing(firm_at_ms=None) as dip if dip.sample == event.sample:
                probability = event.probability or dip.probability
                floor.pause(replace(dip, firm_at_ms=now_ms, probability=probability), event.through_sample)
            case Pausing(firm_at_ms=None) as dip:
                talking = Talking(dip.speech_sample, dip.speech_since_ms)
                floor.pause(floor.pausing(talking, event.sample, quiet_since_ms, now_ms), event.through_sample)
            case Stirring():
                # That it was speech was not heard here.
                self._on_speech(ev.SpeechConfirmed(event.sample, event.sample), now_ms)
                self._on_paused(event, now_ms)
            case Interjecting() as sound:
                self._weigh(sound, event.sample, event.through_sample, quiet_since_ms)
            case _:
                pass

    def _on_onset_faded(self, event: ev.OnsetFaded, now_ms: float) -> None:
        floor = self._floor
        quiet_since_ms = now_ms - _span_ms(event.sample, event.through_sample)
        match floor.caller:
            case Stirring(before=before) as stirring:
                # Nobody is interrupted by it, and it may be a word: a "no", or the last one of a sentence with a pause.
                opened = isinstance(before, Pausing) and before.opened
                talking = Talking(stirring.sample, stirring.since_ms)
                sound = floor.pausing(talking, event.sample, quiet_since_ms, now_ms)
                if isinstance(before, Pausing) and opened:
                    sound = replace(sound, before_sound=before.before_sound or before)
                floor.pause(replace(sound, opened=opened), event.through_sample)
            case Talking() | Pausing(firm_at_ms=None):
                # Another detector heard only its end.
                self._on_paused(ev.Paused(event.sample, event.through_sample, 0.0), now_ms)
            case Interjecting() as sound:
                self._weigh(sound, event.sample, event.through_sample, quiet_since_ms)
            case _:
                pass

    def _on_estimated(self, event: ev.Estimated) -> None:
        floor = self._floor
        floor.estimate = event
        if isinstance(floor.caller, Pausing) and floor.caller.sample == event.sample:
            floor.caller = replace(floor.caller, probability=event.probability)

    def _weigh(self, sound: Interjecting, sample: int, through_sample: int, quiet_since_ms: float) -> None:
        """A sound over the reply has stopped: was it a word?"""
        floor = self._floor
        floor.actions.append(act.PublishState())
        floor.caller = Weighing(
            sound.sample,
            sample,
            sound.since_ms,
            quiet_since_ms,
            interjections.nothing_at_ms(quiet_since_ms, floor.settings),
            floor.ask_final(sample, through_sample),
            sound.confirmed,
        )


def _span_ms(from_sample: int, to_sample: int) -> float:
    return max(0, to_sample - from_sample) / SAMPLES_PER_MS
