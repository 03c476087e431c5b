"""Show the end of a very long answer, in memory that doesn't grow with it.

`keep_message=False` keeps the client from collecting the answer; the window holds the last characters; `coalesce`
spares the screen a redraw for every token.
"""

import asyncio
import sys

from llmstream import EventType, LLMClient
from llmstream.streams import coalesce

QUESTION = "A long story, please. " * 12
WINDOW = 60  # characters


async def main() -> None:
    """The loop."""
    shown, total = "", 0
    async with LLMClient(keep_message=False) as client:
        events = client.chat_completion([{"role": "user", "content": QUESTION}])
        async for event in coalesce(events, seconds=0.1):
            if event.text:
                total += len(event.text)
                shown = (shown + event.text)[-WINDOW:]
                print(f"\r…{shown:{WINDOW}}", end="", flush=True)
            elif event.type == EventType.RETRY and event.retry and event.retry.discard:
                shown, total = "", 0
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{total} characters\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
