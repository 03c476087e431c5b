"""Report progress while a long answer comes, and store it at the same time: two consumers of one stream."""

import asyncio
import sys

from llmstream import EventType, LLMClient, LLMError, StreamEvent
from llmstream.streams import Flow, collect, progress, tee

QUESTION = "Write a long report, and let me know how far you are. " * 4


async def report(events: Flow[StreamEvent]) -> None:
    """Say how far it has come, a few times a second."""
    async for event in progress(events, seconds=0.3):
        if event.type == EventType.STATUS and event.status:
            print(f"[{event.status.kind}] {event.status.message}", flush=True)
        elif event.type == EventType.MESSAGE_COMPLETE:
            print(f"{event.type.name}: {event.finish_reason}")


async def main() -> None:
    """Both at once; each at its own speed."""
    async with LLMClient() as client:
        shown, stored = tee(client.chat_completion([{"role": "user", "content": QUESTION}]))
        try:
            _, message = await asyncio.gather(report(shown), collect(stored))
        except LLMError as error:
            print(f"ERROR: {error}")
            sys.exit(1)
        print(f"{len(message.text)} characters stored")


if __name__ == "__main__":
    asyncio.run(main())
