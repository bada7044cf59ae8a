"""The bot's own voice in the caller's microphone, told from the caller's: it neither holds nor interrupts. Pure."""

from natter_gateway.echo.filter import EchoFilter
from natter_gateway.echo.level import level_dbfs

__all__ = ["EchoFilter", "level_dbfs"]
