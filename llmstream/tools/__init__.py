"""Tools made of Python functions, and the loop that runs what a model calls. Small: no agents, no memory, no graph.

@tool
async def weather(city: str, days: int = 1) -> Forecast: ...

async for event in run_tools(client, messages, [weather]): ...
"""

from llmstream.tools.function import ArgumentsError, FunctionTool, tool
from llmstream.tools.loop import run_tools
from llmstream.tools.runner import Confirm

__all__ = ["ArgumentsError", "Confirm", "FunctionTool", "run_tools", "tool"]
