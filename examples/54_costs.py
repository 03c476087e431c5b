"""What a conversation with retries costs: each attempt at its own price, and the bill of all."""

import asyncio

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.pricing import Prices
from llmstream.testing import ScriptedProvider

# US dollars for a million tokens. Vendors' prices come with the extra `pricing`.
catalogue.register("scripted:script", ModelFacts(prices=Prices("2", "10", cache_read="0.2")))


async def main() -> None:
    """One question; its first attempt fails, and is on the bill."""
    provider = ScriptedProvider(
        [Usage(1_000, 0), ErrorInfo("server")],
        ["Nothing is free.", Usage(1_000, 50, cache_read_tokens=800)],
    )
    at_once = RetryPolicy(base_delay=0, max_delay=0)
    async with LLMClient(provider=provider, retry=at_once) as client:
        async for event in client.chat_completion([{"role": "user", "content": "Is it free?"}]):
            if event.type == EventType.TEXT_DELTA:
                print(event.text_delta.content)
            elif event.type == EventType.MESSAGE_COMPLETE:
                used = event.usage or Usage()
                for number, attempt in enumerate(used.attempts, 1):
                    print(f"attempt {number}: {attempt.cost} dollars")
                print(f"together: {used.cost} dollars")
                print(f"{event.type.name}: {event.finish_reason}")


if __name__ == "__main__":
    asyncio.run(main())
