"""Serve an answer as server-sent events, and read it as any client would."""

import asyncio
import json

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmstream import EventType, LLMClient, StreamEvent
from llmstream.web import EventStreamResponse, running

client = LLMClient()


async def answer(request: Request) -> Response:
    """The whole endpoint. A reader that leaves stops the model."""
    question = request.query_params.get("q", "What's up?")
    return EventStreamResponse(client.chat_completion([{"role": "user", "content": question}]))


app = Starlette(routes=[Route("/answer", answer)])


async def main() -> None:
    """Serve, ask, and show the frames and what they say."""
    async with (
        client,
        running(app) as url,
        httpx2.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{url}/answer", params={"q": "Say hello."}) as response,
    ):
        print(response.status_code, response.headers["content-type"])
        async for frame in httpx2.EventSource(response):
            event = StreamEvent.from_dict(json.loads(frame.data))
            if event.type == EventType.MESSAGE_COMPLETE:
                print(f"{frame.id}: {event.type.name}: {event.finish_reason}")
            else:
                print(f"{frame.id}: {event}")


if __name__ == "__main__":
    asyncio.run(main())
