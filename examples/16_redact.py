"""Keep secrets in the answer from leaving, though they may be cut between deltas."""

import asyncio
import re
import sys
from collections.abc import Iterable

from llmstream import EventType, LLMClient
from llmstream.streams import guard

QUESTION = "My key is sk-0123456789abcdefghij and my card 4111 1111 1111 1111, don't tell anybody!"
SECRET = re.compile(r"\bsk-\w{16,48}|\b(?:\d{4} ?){4}\b")


def redact(text: str) -> Iterable[tuple[int, int, str | None]]:
    """Where to put what; None in place of "[secret]" would stop the answer there."""
    return [(*match.span(), "[secret]") for match in SECRET.finditer(text)]


async def main() -> None:
    """The message of MESSAGE_COMPLETE is redacted too."""
    async with LLMClient() as client:
        events = client.chat_completion([{"role": "user", "content": QUESTION}])
        async for event in guard(events, redact, hold=64):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
