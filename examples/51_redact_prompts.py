"""Keep addresses of people out of prompts: a middleware that sends a changed request."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace

from llmstream import ChatRequest, EventType, LLMClient, Message, StreamEvent, TextPart
from llmstream.middleware import Next
from llmstream.providers import Call

QUESTION = "Write to ada@example.org or charles@example.com: who has the engine?"
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def redact(message: Message) -> Message:
    """The message without addresses. The caller's own stays as it is."""
    parts = [
        replace(part, text=ADDRESS.sub("[address]", part.text))
        if isinstance(part, TextPart)
        else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


async def redactor(
    request: ChatRequest, call: Call, next: Next
) -> AsyncGenerator[StreamEvent, None]:
    """Every attempt gets the changed request, fallbacks too."""
    messages = [redact(message) for message in request.messages]
    async for event in next(replace(request, messages=messages)):
        yield event


async def main() -> None:
    """The simulator repeats what it was asked, so it can be seen."""
    async with LLMClient(middleware=[redactor]) as client:
        async for event in client.chat_completion([{"role": "user", "content": QUESTION}]):
            print(event.text, end="", flush=True)
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")
                sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
