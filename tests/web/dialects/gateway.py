"""A small app that serves every dialect from scripted answers: the model that a client names is the scenario."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent, Usage
from llmstream.events.types import Status, text_delta
from llmstream.messages import ChatRequest, FinishReason, ReasoningPart, RefusalPart, Source, ToolCall
from llmstream.providers.base import Call
from llmstream.providers.script import Item
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import run_tools
from llmstream.web.dialects import Ask, Dialect, all_dialects, models_document

USAGE = Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2, reasoning_tokens=1)
CALL = ToolCall("call-1", "weather", '{"city":"Paris"}', {"city": "Paris"})
SOURCE = Source(id="s", title="A page", url="https://example.org/a", excerpt="Paris is", start=0, end=5)
OVERLOADED = ErrorInfo("overloaded", "The model is overloaded just now.")
TOLD = "answer 1 of 2"

SCENARIOS: dict[str, list[Sequence[Item]]] = {
    "text": [["Hel", "lo, wörld\u2028 \r\n\n🙂", USAGE]],
    "tools": [["Let me look.", CALL, USAGE]],
    "cut-call": [[ToolCall("call-1", "weather", '{"ci', None, complete=False), FinishReason.LENGTH]],
    "reasoning": [[ReasoningPart("Hm, thinking", "c2ln", format="anthropic-messages"), "Yes."]],
    "sources": [["Paris", SOURCE, USAGE]],
    "refusal": [[RefusalPart("I can't help with that.")]],
    "length": [["Half", FinishReason.LENGTH]],
    "progress": [[StreamEvent(EventType.STATUS, status=Status("progress", TOLD, {"done": 1})), "Done."]],
    "refused": [[ErrorInfo("rate_limit", "Too many requests just now.", retryable=False)]],
    "retry": [[OVERLOADED], ["Hello"]],
    "midway": [["Half an ", OVERLOADED]],
    "cut": [["Half an ", ErrorInfo("truncated", "The answer was cut before its end.")]],
    "restart": [["Half an ", OVERLOADED], ["A whole answer"]],
    "steps": [["Let me look.", CALL, USAGE], ["Sunny.", Usage(input_tokens=20, output_tokens=2)]],
}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@dataclass
class Stall:
    """A provider that says one word and then nothing."""

    name: str = "stall"
    default_model: str = "stall"
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        try:
            yield text_delta("Half an ")
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class Gateway:
    """The running app: its address, and what its clients asked for."""

    url: str = ""
    asks: list[Ask] = field(default_factory=list)
    stall: Stall = field(default_factory=Stall)

    def events(self, ask: Ask) -> AsyncGenerator[StreamEvent, None]:
        scenario = ask.model or "text"
        if scenario == "stall":
            return LLMClient(provider=self.stall).chat_completion(ask.messages, ask.stream)
        client = LLMClient(
            provider=ScriptedProvider(*SCENARIOS[scenario]),
            retry=RetryPolicy(2 if scenario in ("retry", "restart") else 1, budget=None),
            clock=VirtualClock(),
            on_interrupt="restart" if scenario == "restart" else "error",
        )
        if scenario == "steps":
            return run_tools(client, ask.messages, [weather], model=ask.model)
        return client.chat_completion(ask.messages, ask.stream, model=ask.model, **ask.options)

    async def answer(self, dialect: Dialect, request: Request) -> Response:
        try:
            ask = dialect.parse(await request.json())
            if ask.model not in (*SCENARIOS, "stall", None):
                return _refusal(dialect, ErrorInfo("not_found", "There is no such model.", status_code=404))
        except (TypeError, ValueError) as problem:
            return _refusal(dialect, ErrorInfo("invalid_request", str(problem), status_code=400))
        self.asks.append(ask)
        events = self.events(ask)
        first = await anext(events)
        if first.error_info is not None:
            await events.aclose()
            return _refusal(dialect, first.error_info)
        if not ask.stream:
            await events.aclose()
            return JSONResponse(dialect.document(ask, first))
        body = _encode(dialect, ask, first, events)
        return StreamingResponse(body, media_type=dialect.content_type, headers=dict(dialect.headers))


async def _encode(
    dialect: Dialect, ask: Ask, first: StreamEvent, events: AsyncGenerator[StreamEvent, None]
) -> AsyncIterator[bytes]:
    encoder = dialect.encoder(ask)
    async with aclosing(events):
        yield dialect.keep_alive + encoder.feed(first)
        async for event in events:
            yield encoder.feed(event) + dialect.keep_alive


def _refusal(dialect: Dialect, info: ErrorInfo) -> Response:
    status = info.status_code or {"rate_limit": 429, "overloaded": 503}.get(info.kind, 500)
    return JSONResponse(dialect.error(info, "req-1"), status)


async def _models(request: Request) -> Response:
    return JSONResponse(models_document(SCENARIOS, created=86_400))


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    """The app on a loopback port, in this loop."""
    gateway = Gateway()
    routes = [Route(each.path, partial(gateway.answer, each), methods=["POST"]) for each in all_dialects()]
    routes.append(Route("/v1/models", _models))
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # older uvicorns have it
    task = asyncio.create_task(_serve(server))
    while not server.started:
        await asyncio.sleep(0.01)
    gateway.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.should_exit = True
        await task


async def _serve(server: uvicorn.Server) -> None:
    await server._serve()  # `serve` would take the process's signals


async def collect(stream: Any) -> list[Any]:
    """All items of an async iterable."""
    return [item async for item in stream]
