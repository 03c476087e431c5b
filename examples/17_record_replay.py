"""Record an answer with its timing, and play it again ten times as fast: for demonstrations, tests and bug reports."""

import asyncio
import sys
import tempfile
from pathlib import Path

from llmstream import EventType, LLMClient
from llmstream.streams import collect, record, replay

QUESTION = "Say something worth recording."


async def main() -> None:
    """The file holds what came, never the request or a key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.jsonl"
        async with LLMClient() as client:
            message = await collect(
                record(client.chat_completion([{"role": "user", "content": QUESTION}]), path)
            )
        print(message.text)
        async for event in replay(path, speed=10):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
