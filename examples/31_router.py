"""Route requests: classify each, hand it to its handler, and stream what the handler answers.

Keywords decide first, then a model that can name nothing but a route. The simulator plays the models here, by a script,
so that this runs without a key; with a key, `LLMClient()` will do. The endpoint needs `pip install
"llmstream-core[server]"`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator

import httpx2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from llmstream import EventType, LLMClient
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.providers import ScriptItem, SimulatorProvider
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes, by_model, rules
from llmstream.web import running


class AllowedValues(Routes):
    """What can be asked."""

    BILLING = "billing", "Invoices, payments and refunds"
    TAXES = "taxes", "Tax regimes and rates"
    NOT_DEFINED = "not_defined"


def play(request: ChatRequest) -> Iterator[ScriptItem]:
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
    [
        rules({AllowedValues.BILLING: ["invoice", "refund", "payment"]}),
        by_model(client, AllowedValues),
    ],
    dispatcher,
)


async def streaming_chat(request: Request) -> StreamingResponse:
    """The whole endpoint: the answer as plain text, cut where it failed.

    The status is always 200; `return respond(request, await router_w.route_request(text))` can answer with a 4xx too.
    """
    text = (await request.json())["request"]
    if not text.strip():
        raise HTTPException(400, "Request cannot be empty.")
    events = await router_w.route_request(text)
    return StreamingResponse(events, media_type="text/plain")  # type: ignore[arg-type]  # it calls `encode()` on each


app = Starlette(routes=[Route("/streaming_chat", streaming_chat, methods=["POST"])])


async def ask(http: httpx2.AsyncClient, url: str, text: str) -> None:
    """Any client: it reads text as it comes."""
    print(f"> {text}")
    async with http.stream("POST", f"{url}/streaming_chat", json={"request": text}) as response:
        print(f"{response.status_code} {response.headers['content-type']}: ", end="")
        async for words in response.aiter_text():
            print(words, end="", flush=True)
    print("\n")


async def show(text: str) -> None:
    """The same without a server: all events, which say how the request was routed and how the answer ended."""
    print(f"> {text}")
    async for event in await router_w.route_request(text):
        if event.type == EventType.STATUS and event.status:
            print(f"[{event.status.kind}: {event.status.message}]")
        elif event.type == EventType.TEXT_DELTA:
            print(event.text, end="", flush=True)
        elif event.type == EventType.MESSAGE_COMPLETE:
            print(f"\n{event.type.name}: {event.finish_reason}")
        elif event.type == EventType.ERROR:
            print(f"\n{event.type.name}: {event.error}")


async def main() -> None:
    """One request for each way that one can go."""
    async with client, running(app) as url, httpx2.AsyncClient(timeout=60) as http:
        await ask(http, url, "Where is my invoice?")
        await ask(http, url, "Explain the tax regimes in Mexico for technology companies")
        await ask(http, url, "What is love?")
        await ask(http, url, " ")
    await show("Where is my invoice?")


if __name__ == "__main__":
    asyncio.run(main())
