"""A bot's turn-taking: what the turn machine goes by. Times in milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """All of it has defaults; bots set what they want otherwise."""

    end_of_turn_silence_ms: float = 500.0
    """Silence that ends a turn which sounds complete."""
    complete_probability: float = 0.5
    """From here on it sounds complete."""
    unsure_silence_ms: float = 900.0
    """Silence that ends a turn which reads complete but does not sound so at all; the more it does, the less."""
    silence_limit_ms: float = 1_600.0
    """Silence that ends any turn."""
    final_grace_ms: float = 300.0
    """How long recognition may take beyond that before the interim counts, if it asks for no more."""
    final_deadline_ms: float = 5_000.0
    """Where there is no interim either: give up on the words."""
    turn_sign_deadline_ms: float = 3_600.0
    """Silence that ends a turn though a recognizer that decides about turns says nothing."""
    reply_deadline_ms: float = 8_000.0
    """How long a reply may make no progress while nothing is audible."""
    interruption_speech_ms: float = 600.0
    """Speech this long interrupts, whatever its words."""
    false_alarm_ms: float = 400.0
    """Behind a sound that stopped: without a word this long after recognition was asked, it was nothing."""
    false_alarm_penalty_ms: float = 200.0
    """So much more speech is asked for after each sound that was nothing, for the rest of the reply."""
    speculation: bool = True
    """Whether replies are prepared for turns that are probably over."""
    guesses_per_turn: int = 3
    """At most so many."""
    typed_joins_ms: float = 1_000.0
    """Typed text waits this long for words that are being spoken."""
    not_understood: str = "Sorry, I didn't catch that."
    """Said after the second speech in a row in which recognition found no word; empty for nothing."""
    language: str = "en"
