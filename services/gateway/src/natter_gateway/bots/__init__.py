"""Bots as YAML: who a bot is, what it runs on, how it takes turns. Only the gateway reads them."""

from natter_gateway.bots.loader import BotError, BotProblem, Bots, UnknownBotError, load_bots
from natter_gateway.bots.model import Bot
from natter_gateway.bots.tools import ToolSection
from natter_gateway.bots.variables import Variable, VariableError

__all__ = [
    "Bot",
    "BotError",
    "BotProblem",
    "Bots",
    "ToolSection",
    "UnknownBotError",
    "Variable",
    "VariableError",
    "load_bots",
]
