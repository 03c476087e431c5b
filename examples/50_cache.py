"""Answer a request that was answered before from memory: a middleware that is keyed by the request."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict, replace
from hashlib import sha256

from llmstream import ChatRequest, EventType, LLMClient, StreamEvent
from llmstream.middleware import Next
from llmstream.providers import Call

QUESTION = "Which answer costs nothing?"


class Cache:
    """Keeps whole answers, never a part of one. Give each tenant its own."""

    def __init__(self) -> None:
        self.hits = 0
        self._answers: dict[str, StreamEvent] = {}

    async def __call__(
        self, request: ChatRequest, call: Call, next: Next
    ) -> AsyncGenerator[StreamEvent, None]:
        """The kept MESSAGE_COMPLETE stands for its pieces: the caller gets a stream of them."""
        key = sha256(json.dumps(asdict(request), default=repr).encode()).hexdigest()
        if key in self._answers:
            self.hits += 1
            yield self._answers[key]
            return
        async for event in next(request):
            if event.type == EventType.MESSAGE_COMPLETE:
                # The next one who gets it pays for no token.
                self._answers[key] = replace(event, usage=None)
            yield event


async def main() -> None:
    """The second answer comes from memory, and looks like the first."""
    cache = Cache()
    async with LLMClient(middleware=[cache]) as client:
        for _ in range(2):
            async for event in client.chat_completion([{"role": "user", "content": QUESTION}]):
                print(event.text, end="", flush=True)
                if event.type == EventType.MESSAGE_COMPLETE:
                    told = f"{event.finish_reason}, {event.usage}, {cache.hits} from memory"
                    print(f"\n{event.type.name}: {told}")
                elif event.type == EventType.ERROR:
                    print(f"\n{event.type.name}: {event.error}")
                    sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
