"""Let the model call Python functions: `run_tools` runs them and goes on, in one stream.

The simulator plays the model here, by a script, so that this runs without a key; with a key, `LLMClient()` will do.
"""

import asyncio
from collections.abc import Iterator

from llmstream import EventType, LLMClient
from llmstream.messages import ChatRequest, ToolCall, ToolResult
from llmstream.providers import ScriptItem, SimulatorProvider
from llmstream.tools import run_tools, tool


@tool
async def weather(city: str, days: int = 1) -> dict[str, str | int]:
    """The weather in a city.

    :param city: Its name.
    :param days: How many days ahead.
    """
    return {"city": city, "days": days, "sky": "sunny"}


def add(a: float, b: float) -> float:
    """The sum of two numbers."""
    return a + b


def play(request: ChatRequest) -> Iterator[ScriptItem]:
    """What a model would do: call two tools, then tell what they said."""
    results = [part for part in request.messages[-1].parts if isinstance(part, ToolResult)]
    if not results:
        yield "Let me see. "
        yield ToolCall(
            "call-1", "weather", '{"city": "Rome", "days": 2}', input={"city": "Rome", "days": 2}
        )
        yield ToolCall("call-2", "add", '{"a": 19, "b": 23}', input={"a": 19, "b": 23})
    else:
        yield "The tools say: " + " and ".join(str(result.content) for result in results)


async def main() -> None:
    """The loop."""
    messages = [{"role": "user", "content": "How is the weather in Rome, and what is 19 + 23?"}]
    async with LLMClient(provider=SimulatorProvider(script=play)) as client:
        async for event in run_tools(client, messages, [weather, add]):
            if event.type == EventType.TEXT_DELTA:
                print(event.text, end="", flush=True)
            elif event.type == EventType.TOOL_RESULT and event.tool_result:
                print(f"\n[{event.tool_result.name}: {event.tool_result.content}]", flush=True)
            elif event.type == EventType.STATUS and event.status:
                print(f"[{event.status.kind}: {event.status.message}]")
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(
                    f"\n{event.type.name}: {event.finish_reason}, {len(event.messages or [])} new messages"
                )
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")


if __name__ == "__main__":
    asyncio.run(main())
