"""A consumer that is slower than the model: read ahead a little, then pause the provider until it has caught up.

While paused nothing is read from the connection, and its flow control does the rest. Nothing is lost or kept twice.
"""

import asyncio
import sys

from llmstream import EventType, LLMClient
from llmstream.streams import buffer

QUESTION = "Count with me: one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."


async def main() -> None:
    """The loop."""
    async with LLMClient() as client:
        events = buffer(
            client.chat_completion([{"role": "user", "content": QUESTION}]),
            high=6,
            low=3,
            on_pause=lambda: print("[pause]", end="", flush=True),
            on_resume=lambda: print("[resume]", end="", flush=True),
        )
        async for event in events:
            if event.text:
                print(event.text, end="", flush=True)
                await asyncio.sleep(0.08)  # slow work
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
