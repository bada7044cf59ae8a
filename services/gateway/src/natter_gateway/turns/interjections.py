"""Whether a sound from the caller interrupts the reply: pure. Hold first, then decide."""

from typing import Final

from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import Interjecting, Weighing

QUIET_MS: Final = 250.0
"""Quiet behind a sound before it counts as over."""


def interrupts_at_ms(sound: Interjecting, false_alarms: int, settings: TurnSettings) -> float | None:
    """When it interrupts by its length alone, if it goes on; None in a short quiet."""
    if sound.dip is not None:
        return None
    return sound.since_ms + settings.interruption_speech_ms + false_alarms * settings.false_alarm_penalty_ms


def forgotten_at_ms(sound: Interjecting, settings: TurnSettings) -> float | None:
    """When a quiet of which the detector says nothing more counts as the end of a sound that was nothing."""
    return None if sound.dip is None else nothing_at_ms(sound.dip.since_ms, settings)


def nothing_at_ms(quiet_since_ms: float, settings: TurnSettings) -> float:
    """When a sound without a word was nothing."""
    return quiet_since_ms + QUIET_MS + settings.false_alarm_ms


def goes_on(sound: Weighing, since_ms: float) -> Interjecting:
    """There is another sound, before it is known what the first one was: both count."""
    spoke_ms = max(0.0, sound.quiet_since_ms - sound.since_ms)
    return Interjecting(sound.sample, since_ms - spoke_ms, sound.confirmed)
