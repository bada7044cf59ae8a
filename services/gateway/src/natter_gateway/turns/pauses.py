"""How long a pause has to be, and what is done in it before it ends the turn: pure."""

from typing import Final

from natter_gateway.turns.ending import Ending
from natter_gateway.turns.events import RecognizerChanged
from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import Pausing
from natter_gateway.turns.turn_words import TurnWords

SAMPLES_PER_MS: Final = 16
FINAL_TAIL_MS: Final = 100
"""Recognition is asked to read this far into the silence: a model needs to hear that the word is over."""
MOST_ASKED_ANEW: Final = 2
"""So many other recognizers get their time in one pause. The caller does not wait for more: what is there has to do."""
LACKING_SAMPLES: Final = 700 * SAMPLES_PER_MS
"""Recognition that has listened only so far from the end of the speech has not heard all of its words."""
_EARLY_FINAL_QUIET_MS: Final = 80.0
"""Quiet between words is shorter than this nearly always."""
_GUESS_QUIET_MS: Final = 100.0
_GUESS_CHANGING_QUIET_MS: Final = 200.0
"""Words that change as more is heard are waited for, until it is known how complete the turn sounds."""
_CHANGING_WORDS_MS: Final = 100.0
"""So much longer has the pause to be: they read complete too often, and the reply to them began later."""
_GUESS_AHEAD_MS: Final = 500.0
"""A reply needs about as long until its voice is there."""
_SURELY_COVERED_SAMPLES: Final = 20 * SAMPLES_PER_MS
_PERHAPS_COVERED_SAMPLES: Final = 160 * SAMPLES_PER_MS
"""The detector hears the last sound of a word longer than recognition needs; no word is this short."""


def quiet_needed_ms(pausing: Pausing, words: TurnWords, settings: TurnSettings) -> float:
    """How much quiet ends the turn: the less complete it sounds and reads, the more."""
    if words.ending is Ending.UNFINISHED:
        return settings.silence_limit_ms
    shortest_ms = settings.end_of_turn_silence_ms + (0.0 if words.trusted else _CHANGING_WORDS_MS)
    if words.ending is Ending.NUMBER:
        shortest_ms = max(shortest_ms, settings.unsure_silence_ms)
    if pausing.probability >= settings.complete_probability:
        return shortest_ms
    longest_ms = settings.unsure_silence_ms if words.ending is Ending.FINISHED else settings.silence_limit_ms
    spared = pausing.probability / settings.complete_probability
    return longest_ms - spared * max(0.0, longest_ms - shortest_ms)


def silence_met_at_ms(pausing: Pausing, words: TurnWords, settings: TurnSettings) -> float:
    """When the silence is long enough."""
    return pausing.quiet_since_ms + quiet_needed_ms(pausing, words, settings)


def early_final_at_ms(pausing: Pausing, recognizer: RecognizerChanged) -> float | None:
    """When recognition is asked to close what was said though it may go on."""
    if pausing.firm or pausing.finalize_id or pausing.early or recognizer.decides_turns or not recognizer.early_final:
        return None
    return pausing.quiet_since_ms + _EARLY_FINAL_QUIET_MS


def guess_at_ms(
    pausing: Pausing, words: TurnWords, recognizer: RecognizerChanged, settings: TurnSettings
) -> float | None:
    """When the words are complete enough to prepare a reply to them; None: not yet."""
    if not pausing.opened or not words.heard:
        return None
    changing = not (recognizer.stable_interims and words.trusted)
    ahead_ms = quiet_needed_ms(pausing, words, settings) - _GUESS_AHEAD_MS
    sounds_unfinished = 0 < pausing.probability < settings.complete_probability
    reads_unfinished = words.ending in (Ending.UNFINISHED, Ending.NUMBER)
    if ahead_ms > (_GUESS_CHANGING_QUIET_MS if changing else _GUESS_QUIET_MS) and (
        sounds_unfinished or reads_unfinished
    ):
        # Probably in vain, until the silence is almost long enough.
        return pausing.quiet_since_ms + ahead_ms if pausing.closed else None
    if pausing.closed or (recognizer.stable_interims and words.reach(pausing.sample - _SURELY_COVERED_SAMPLES)):
        return pausing.quiet_since_ms + (_GUESS_CHANGING_QUIET_MS if changing else 0.0)
    if not changing and words.reach(pausing.sample - _PERHAPS_COVERED_SAMPLES):
        return pausing.quiet_since_ms + _GUESS_QUIET_MS
    return None
