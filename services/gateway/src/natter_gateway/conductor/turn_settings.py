"""What a bot says of turn-taking, for the turn machine."""

from natter_gateway.bots.model import Bot
from natter_gateway.turns.settings import TurnSettings


def turn_settings(bot: Bot) -> TurnSettings:
    """A bot's turn-taking, as the machine needs it."""
    turn = bot.turn
    return TurnSettings(
        end_of_turn_silence_ms=turn.end_of_turn_silence_ms,
        complete_probability=turn.complete_probability,
        unsure_silence_ms=min(turn.unsure_silence_ms, turn.silence_limit_ms),
        silence_limit_ms=turn.silence_limit_ms,
        final_grace_ms=turn.final_grace_ms,
        interruption_speech_ms=turn.interruption_speech_ms,
        false_alarm_ms=turn.false_alarm_ms,
        speculation=turn.speculation,
        guesses_per_turn=turn.speculations_per_turn,
        not_understood=bot.call_words.not_understood,
        language=bot.language,
    )
