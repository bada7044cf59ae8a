"""Tools: what a bot says of them, and how the llm worker runs them, each call at most once."""

from natter_llm.tools.definition import BotTool, BotTools, ToolKind
from natter_llm.tools.desk import ToolDesk
from natter_llm.tools.runner import ToolRunner
from natter_llm.tools.toolkit import ToolKit, tool_environment

__all__ = ["BotTool", "BotTools", "ToolDesk", "ToolKind", "ToolKit", "ToolRunner", "tool_environment"]
