"""What a conversation with retries costs: each attempt at its own price, the bill of all, and a limit."""

import asyncio

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.limits import SpendLimit
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

    # No more than a cent, whatever is asked. A call that doesn't fit isn't sent.
    limit = SpendLimit("0.01")
    provider = ScriptedProvider(["Thrift."], ["More."])
    async with LLMClient(provider=provider, spend_limit=limit) as client:
        for max_tokens in (100, 10_000):
            question = [{"role": "user", "content": "What is wealth?"}]
            async for event in client.chat_completion(
                question, stream=False, max_tokens=max_tokens
            ):
                if event.type == EventType.ERROR:
                    print(event.error)
                else:
                    print(f"{event.text}: {limit.spent} of {limit.max_cost} dollars are spent")


if __name__ == "__main__":
    asyncio.run(main())
