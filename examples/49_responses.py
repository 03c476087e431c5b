"""An agent's loop over OpenAI's Responses API, before any provider: a tool runs, and each turn sends its news alone."""

import asyncio
import json

from openai import AsyncOpenAI
from openai.types.responses import FunctionToolParam

from llmstream import LLMClient, ToolCall
from llmstream.providers import ScriptItem, SimulatorProvider
from llmstream.web import create_app, running

CALL = ToolCall("call-1", "weather", '{"city": "Bern"}', {"city": "Bern"})
script: list[list[ScriptItem]] = [["Let me look. ", CALL], ["It is sunny in Bern."]]
model = LLMClient(provider=SimulatorProvider(script=script))
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def weather(city: str) -> str:
    """The client's own tool."""
    return f"sunny in {city}"


async def converse(client: AsyncOpenAI, name: str) -> None:
    """Ask, run what the model calls, and tell it the result on the same WebSocket."""
    async with client.responses.connect() as socket:
        await socket.response.create(model=name, input="How is the weather?", tools=[WEATHER])
        async for event in socket:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
            elif event.type == "response.completed":
                calls = [item for item in event.response.output if item.type == "function_call"]
                print(f"\nMESSAGE_COMPLETE: {'tool_calls' if calls else 'stop'}")
                if not calls:
                    break
                results = [(call.call_id, weather(**json.loads(call.arguments))) for call in calls]
                print(f"[{', '.join(result for _, result in results)}]")
                await socket.response.create(
                    model=name,
                    previous_response_id=event.response.id,
                    input=[
                        {"type": "function_call_output", "call_id": id, "output": result}
                        for id, result in results
                    ],
                )


async def main() -> None:
    """The server and its client."""
    async with (
        model,
        running(create_app(model)) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="not needed here") as client,
    ):
        models = [each.id async for each in client.models.list()]
        await converse(client, models[0])


if __name__ == "__main__":
    asyncio.run(main())
