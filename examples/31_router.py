"""Route requests: classify each, hand it to its handler, and stream what the handler answers.

Keywords decide first, then a model that can name nothing but a route. The simulator plays the models here, by a script,
so that this runs without a key; with a key, `LLMClient()` will do.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator

from llmstream import EventType, LLMClient
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.providers.simulator import SimulatorProvider
from llmstream.providers.simulator_script import Item
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes, by_model, rules


class AllowedValues(Routes):
    """What can be asked."""

    BILLING = "billing", "Invoices, payments and refunds"
    TAXES = "taxes", "Tax regimes and rates"
    NOT_DEFINED = "not_defined"


def play(request: ChatRequest) -> Iterator[Item]:
    """What a model would do: name a route when asked for one, else answer."""
    asked = request.messages[-1].text
    if request.messages[0].role == "system":
        yield json.dumps({"value": "taxes" if "regime" in asked else "not_defined"})
    else:
        yield f"There are several answers to “{asked}”, none of them short."


client = LLMClient(provider=SimulatorProvider(script=play))
dispatcher = Dispatcher(AllowedValues)


@dispatcher.handler(AllowedValues.BILLING)
async def billing(request: str) -> AsyncGenerator[str, None]:
    """A handler that writes its own text, a piece at a time."""
    yield f"About your request, “{request}”: "
    await asyncio.sleep(0.02)  # a database, say
    yield "the last invoice is paid, "
    yield "the next one comes on Friday."


@dispatcher.handler(AllowedValues.TAXES)
def taxes(request: str) -> AsyncGenerator[StreamEvent, None]:
    """A handler that lets a model answer."""
    return client.chat_completion([{"role": "user", "content": request}])


router_w = RouterWithDispatcher(
    AllowedValues,
    [rules({AllowedValues.BILLING: ["invoice", "refund", "payment"]}), by_model(client, AllowedValues)],
    dispatcher,
)


async def streaming_chat(request: str) -> None:
    """What an endpoint would do: refuse what is empty, else stream the answer."""
    print(f"> {request}")
    try:
        response_stream = await router_w.route_request(request)
    except ValueError as error:
        print(f"400: {error}\n")
        return
    async for event in response_stream:
        if event.type == EventType.STATUS and event.status:
            print(f"[{event.status.kind}: {event.status.message}]")
        elif event.type == EventType.TEXT_DELTA:
            print(event.text, end="", flush=True)
        elif event.type == EventType.MESSAGE_COMPLETE:
            print(f"\n{event.type.name}: {event.finish_reason}\n")
        elif event.type == EventType.ERROR:
            print(f"\n{event.type.name}: {event.error}\n")


async def main() -> None:
    """One request for each way that one can go."""
    async with client:
        await streaming_chat("Where is my invoice?")
        await streaming_chat("Explain the tax regimes in Mexico for technology companies")
        await streaming_chat("What is love?")
        await streaming_chat(" ")


if __name__ == "__main__":
    asyncio.run(main())
