"""Ask a model and print the answer as it comes.

With no key in the environment, a small real model runs in this process. Give another question as an argument.
"""

import asyncio
import sys

from llmstream import EventType, LLMClient


async def main() -> None:
    """The loop."""
    question = " ".join(sys.argv[1:]) or "What's up? Answer in two sentences."
    async with LLMClient() as client:
        messages = [{"role": "user", "content": question}]
        async for event in client.chat_completion(messages=messages, stream=True):
            if event.type == EventType.TEXT_DELTA:
                print(event.text, end="", flush=True)
            elif event.type == EventType.RETRY and event.retry:
                print(f"[{event.retry.reason}; again in {event.retry.delay:.0f} s]", flush=True)
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}, {event.usage}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
