"""Token by token, as chat services do it: the whole app, asked by OpenAI's own client and by a plain one."""

import asyncio
import json

import httpx2
from openai import AsyncOpenAI

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.errors import ErrorInfo
from llmstream.providers import ScriptItem, SimulatorProvider
from llmstream.web import create_app, running

QUESTION = [{"role": "user", "content": "Tell me about streams."}]
script: list[list[ScriptItem]] = [
    [ErrorInfo("rate_limit", "slow down", retry_after=0.2)],
    ["Streams begin small, and grow on the way."],
]
model = LLMClient(provider=SimulatorProvider(script=script), retry=RetryPolicy(max_attempts=3))


async def natively(url: str) -> None:
    """The events of the app's own endpoint: a retry is told before its wait."""
    async with httpx2.AsyncClient(timeout=60) as http:
        body = {"messages": QUESTION, "stream": True}
        async with http.stream("POST", f"{url}/chat", json=body) as response:
            async for frame in httpx2.EventSource(response):
                event = StreamEvent.from_dict(json.loads(frame.data))
                if event.type == EventType.RETRY and event.retry:
                    print(f"[{event.retry.reason} Again in {event.retry.delay:.1f} s]")
                elif event.type == EventType.TEXT_DELTA:
                    print(event.text, end="", flush=True)
                elif event.type == EventType.MESSAGE_COMPLETE:
                    print(f"\n{event.type.name}: {event.finish_reason}")


async def as_openai(url: str) -> None:
    """The same server for a client that knows nothing of it."""
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="not needed here") as client:
        models = [each.id async for each in client.models.list()]
        stream = await client.chat.completions.create(
            model=models[0], messages=[{"role": "user", "content": "Once more."}], stream=True
        )
        async for chunk in stream:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        print(f"\nsaid by {models[0]}")


async def main() -> None:
    """Both."""
    async with model, running(create_app(model)) as url:
        await natively(url)
        await as_openai(url)


if __name__ == "__main__":
    asyncio.run(main())
