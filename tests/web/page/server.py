"""A real server for the chat page.

The test is the model: it takes each question as an `Asked`, answers it event by event, and sees when the page leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmstream import EventType, StreamEvent
from llmstream.events.types import Start, text_delta
from llmstream.messages import FinishReason
from llmstream.web import respond
from llmstream.web.page import chat_page
from tests.web.serving import serving

END = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


@dataclass
class Asked:
    """One POST /chat. `left` is set when its events were closed, for whatever reason."""

    body: dict[str, Any]
    headers: dict[str, str]
    events: asyncio.Queue[StreamEvent | Response | None] = field(default_factory=asyncio.Queue)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *items: str | StreamEvent) -> None:
        """Send these next; a string is a piece of text."""
        for item in items:
            self.events.put_nowait(text_delta(item) if isinstance(item, str) else item)

    def start(self, *items: str | StreamEvent, model: str = "scripted-1") -> None:
        """Begin an answer."""
        self.say(StreamEvent(EventType.MESSAGE_START, start=Start("m1", model, "scripted")), *items)

    def end(self, *items: str | StreamEvent) -> None:
        """End an answer properly."""
        self.say(*items, END)

    def refuse(self, response: Response) -> None:
        """Answer with an HTTP error of a server's own."""
        self.events.put_nowait(response)

    async def stream(self, first: StreamEvent) -> AsyncGenerator[StreamEvent, None]:
        """The answer's events, as a client would give them."""
        try:
            item: Any = first
            while item is not None:
                yield item
                if item.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR):
                    return
                item = await self.events.get()
        finally:
            self.left.set()


class PageServer:
    """The page at `url`, with the models of `models`."""

    def __init__(self, *models: str) -> None:
        self.models = models
        self.paths: list[str] = []
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()
        self.url = ""

    async def asked(self) -> Asked:
        """The next question."""
        return await asyncio.wait_for(self._asked.get(), 10)

    async def _chat(self, request: Request) -> Response:
        self.paths.append(request.url.path)
        asked = Asked(await request.json(), dict(request.headers))
        self._asked.put_nowait(asked)
        first = await asked.events.get()
        if isinstance(first, Response):
            return first
        assert first is not None
        return respond(request, asked.stream(first))

    async def _models(self, request: Request) -> Response:
        self.paths.append(request.url.path)
        if not self.models:
            return JSONResponse({"error": "not here"}, 404)
        return JSONResponse(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
        )

    async def _other(self, request: Request) -> Response:
        self.paths.append(request.url.path)
        return Response(status_code=404)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PageServer]:
        """Serve until the block is left."""
        routes = [
            Route("/", chat_page),
            Route("/chat", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/{rest:path}", self._other, methods=["GET", "POST"]),
        ]
        async with serving(Starlette(routes=routes)) as port:
            self.url = f"http://127.0.0.1:{port}/"
            yield self
