"""What a conversation with retries costs: each attempt at its own price, and the bill of all."""

import asyncio

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.pricing import Prices
from llmstream.testing import ScriptedProvider

# US dollars for a million tokens. Vendors' prices come with the extra `pricing`.
catalogue.register("scripted:script", ModelFacts(prices=Prices("2", "10", cache_read="0.2")))

CUT = [Usage(1_000, 0), ErrorInfo("server")]
WHOLE = ["Nothing is free.", Usage(1_000, 50, cache_read_tokens=800)]


async def main() -> None:
    """One question; its first attempt fails, and is on the bill."""
    provider = ScriptedProvider(CUT, WHOLE)
    at_once = RetryPolicy(base_delay=0, max_delay=0)
    async with LLMClient(provider=provider, retry=at_once) as client:
        async for event in client.chat_completion([{"role": "user", "content": "Is it free?"}]):
            if event.type == EventType.TEXT_DELTA:
                print(event.text_delta.content)
            elif event.type == EventType.MESSAGE_COMPLETE:
                for number, attempt in enumerate(event.usage.attempts, 1):
                    print(f"attempt {number}: {attempt.cost:f} dollars")
                print(f"together: {event.usage.cost:f} dollars")


if __name__ == "__main__":
    asyncio.run(main())
