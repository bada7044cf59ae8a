"""Whether a sound from the caller interrupts the reply: pure. Hold first, then decide."""

from typing import Final

from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import Interjecting, Weighing
from natter_gateway.turns.wording import Meaning

QUIET_MS: Final = 250.0
"""Quiet behind a sound before it counts as over."""

_DOUBTED_QUIET_MS: Final = 500.0
"""Quiet behind a doubtful word before the reply goes on: few pauses inside a sentence are longer."""

_LENGTHS: Final = {Meaning.NOTHING: 1.5, Meaning.BACKCHANNEL: 2.0, Meaning.DOUBTFUL: 1.0, Meaning.INTERRUPTS: 0.0}
"""How long it has to be, by what recognition has heard so far."""


def interrupts_at_ms(sound: Interjecting, meaning: Meaning, false_alarms: int, settings: TurnSettings) -> float | None:
    """When it interrupts by its length, if it goes on; None in a short quiet.

    The voice is held all the while, so that waiting for words costs the caller nothing.
    """
    if sound.dip is not None:
        return None
    needed_ms = settings.interruption_speech_ms * _LENGTHS[meaning]
    return sound.since_ms + needed_ms + false_alarms * settings.false_alarm_penalty_ms


def forgotten_at_ms(sound: Interjecting, settings: TurnSettings) -> float | None:
    """When a quiet of which the detector says nothing more counts as the end of a sound that was nothing."""
    return None if sound.dip is None else nothing_at_ms(sound.dip.since_ms, settings)


def nothing_at_ms(quiet_since_ms: float, settings: TurnSettings) -> float:
    """When a sound without a word was nothing."""
    return quiet_since_ms + QUIET_MS + settings.false_alarm_ms


def doubted_until_ms(sound: Weighing) -> float:
    """When a doubtful word behind which nothing came was nothing."""
    return sound.quiet_since_ms + _DOUBTED_QUIET_MS


def goes_on(sound: Weighing, since_ms: float) -> Interjecting:
    """There is another sound, before it is known what the first one was: both count."""
    spoke_ms = max(0.0, sound.quiet_since_ms - sound.since_ms)
    return Interjecting(sound.sample, since_ms - spoke_ms, sound.confirmed)
