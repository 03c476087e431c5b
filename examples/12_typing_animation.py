"""Type the answer word by word, evenly, however the provider cuts and bunches it."""

import asyncio
import sys

from llmstream import EventType, LLMClient
from llmstream.streams import buffer, coalesce

QUESTION = "Tell me about typewriters, evenly please, one word at a time."
PACE = 0.04  # seconds per word


async def main() -> None:
    """The buffer lets the answer come in while we take our time; `asyncio.sleep` lets others run."""
    async with LLMClient() as client:
        events = client.chat_completion([{"role": "user", "content": QUESTION}])
        async for event in coalesce(buffer(events, high=256), by="word"):
            if event.text:
                print(event.text, end="", flush=True)
                await asyncio.sleep(PACE)
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
