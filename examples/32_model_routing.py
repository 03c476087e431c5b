"""One of several models for each call: the cheapest that can do it, the others if it fails, the same while people talk.

Two registered simulators play the vendors here, so that this runs without a key; with keys, name models such as
`"openai:gpt-5-mini"`, and say what they cost you.
"""

import asyncio

from llmstream import ErrorInfo, EventType, LLMClient, Message
from llmstream.messages import ImagePart, TextPart
from llmstream.providers import SimulatorProvider, register
from llmstream.router import Candidate, ModelRouter

small = SimulatorProvider(
    script=[
        ["Hello from the small one."],
        ["Still the small one."],
        [ErrorInfo("quota", "no money left")],
    ]
)
large = SimulatorProvider(
    script=[["A red balloon, says the large one."], ["The large one stands in."]]
)

CANDIDATES = [
    Candidate("small:s1", cost=0.2, speed=200, context=32_000),
    Candidate("large:l1", cost=5, speed=60, images=True, context=400_000),
]


async def ask(router: ModelRouter, message: Message, conversation: str) -> None:
    """One call: who is asked, what stands in, and the answer."""
    async for event in router.chat_completion([message], conversation=conversation):
        if event.type == EventType.STATUS and event.status:
            print(f"[{event.status.kind}: {event.status.message}, {event.status.data}]")
        elif event.type == EventType.RETRY and event.retry:
            print(f"[{event.retry.reason}: trying {event.retry.provider}]")
        elif event.type == EventType.TEXT_DELTA:
            print(event.text, end="", flush=True)
        elif event.type == EventType.MESSAGE_COMPLETE:
            print(f"\n{event.type.name}: {event.finish_reason}\n")
        elif event.type == EventType.ERROR:
            print(f"\n{event.type.name}: {event.error}\n")


async def main() -> None:
    """By cost, by what is needed, and by who answered before."""
    small.name, large.name = "small", "large"
    register("small", lambda _: small)
    register("large", lambda _: large)
    async with LLMClient("small:s1") as client:
        router = ModelRouter(client, CANDIDATES)
        text = Message("user", [TextPart("Hello!")])
        image = Message(
            "user", [TextPart("What is this?"), ImagePart(url="https://example.com/balloon.png")]
        )
        await ask(router, text, "monday")
        await ask(router, text, "monday")
        await ask(router, image, "tuesday")
        await ask(router, text, "wednesday")


if __name__ == "__main__":
    asyncio.run(main())
