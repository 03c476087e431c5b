"""The app, answering from scripts: the model that a client names is the scenario."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import uvicorn

from llmstream import ErrorInfo, EventType, LLMClient, Message, RetryPolicy, StreamEvent, Usage
from llmstream.events.types import Status, text_delta
from llmstream.messages import (
    ChatRequest,
    FinishReason,
    ReasoningPart,
    RefusalPart,
    Source,
    ToolCall,
)
from llmstream.options import NAMES
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.providers.simulator_script import ScriptItem
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import run_tools
from llmstream.web import create_app

HEARTBEAT = 0.05
USAGE = Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2, reasoning_tokens=1)
CALL = ToolCall("call-1", "weather", '{"city":"Paris"}', {"city": "Paris"})
SOURCE = Source(
    id="s", title="A page", url="https://example.org/a", excerpt="Paris is", start=0, end=5
)
OVERLOADED = ErrorInfo("overloaded", "The model is overloaded just now.")
TOLD = "answer 1 of 2"

SCENARIOS: dict[str, list[Sequence[ScriptItem]]] = {
    "text": [["Hel", "lo, wörld\u2028 \r\n\n🙂", USAGE]],
    "tools": [["Let me look.", CALL, USAGE]],
    "cut-call": [
        [ToolCall("call-1", "weather", '{"ci', None, complete=False), FinishReason.LENGTH]
    ],
    "reasoning": [[ReasoningPart("Hm, thinking", "c2ln", format="anthropic-messages"), "Yes."]],
    "json": [['{"city": ', '"Paris"}', USAGE]],
    "sources": [["Paris", SOURCE, USAGE]],
    "cited": [["Paris", SOURCE, " and Rome", Source(url="https://example.org/b")]],
    "refusal": [[RefusalPart("I can't help with that.")]],
    "length": [["Half", FinishReason.LENGTH]],
    "progress": [
        [StreamEvent(EventType.STATUS, status=Status("progress", TOLD, {"done": 1})), "Done."]
    ],
    "refused": [[ErrorInfo("rate_limit", "Too many requests just now.", retryable=False)]],
    "retry": [[OVERLOADED], ["Hello"]],
    "midway": [["Half an ", OVERLOADED]],
    "cut": [["Half an ", ErrorInfo("truncated", "The answer was cut before its end.")]],
    "restart": [["Half an ", OVERLOADED], ["A whole answer"]],
    "steps": [["Let me look.", CALL, USAGE], ["Sunny.", Usage(input_tokens=20, output_tokens=2)]],
}
MODELS = [*SCENARIOS, "stall", "slow"]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@dataclass
class Stall:
    """A provider that says one word and then nothing; in the scenario "slow" for a few heartbeats only."""

    name: str = "stall"
    traits: ClassVar = ProviderTraits(default_model="stall")
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        try:
            yield text_delta("Half an ")
            await asyncio.sleep(3 * HEARTBEAT if request.model == "slow" else 60)
            yield text_delta("hour.")
            yield StreamEvent(EventType.MESSAGE_COMPLETE)
        finally:
            if request.model == "stall":
                self.closed.set()

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class Asked:
    """What the app's client was asked for."""

    messages: list[Message]
    model: str
    options: dict[str, Any]
    """Only those that were given."""


class Scripted(LLMClient):
    """The client of the app: every call is answered from the scenario that its model names."""

    def __init__(self) -> None:
        self.stall = Stall()
        self.asked: list[Asked] = []
        super().__init__(provider=self.stall)

    async def chat_completion(
        self,
        request: ChatRequest,
        stream: bool = True,  # noqa: FBT001, FBT002  # as it is
    ):
        options = {name: getattr(request, name) for name in (*NAMES, "format_options")}
        given = {name: value for name, value in options.items() if value not in (None, [], {})}
        self.asked.append(Asked(request.messages, request.model, given))
        options = {name: value for name, value in given.items() if name != "format_options"}
        events = self._events(request.messages, stream, request.model or "text", options)
        async with aclosing(events):
            async for event in events:
                yield event

    def _events(self, messages: Any, stream: bool, scenario: str, options: dict[str, Any]) -> Any:  # noqa: FBT001  # as above
        if scenario in ("stall", "slow"):
            return super().chat_completion(messages, stream, model=scenario)
        client = LLMClient(
            provider=ScriptedProvider(*SCENARIOS[scenario]),
            retry=RetryPolicy(2 if scenario in ("retry", "restart") else 1, budget=None),
            clock=VirtualClock(),
            on_interrupt="restart" if scenario == "restart" else "error",
        )
        if scenario == "steps":
            return run_tools(client, messages, [weather], model=scenario)
        return client.chat_completion(messages, stream, model=scenario, **options)


@dataclass
class Gateway:
    """The running app: its address and its client."""

    url: str
    client: Scripted

    @property
    def asks(self) -> list[Asked]:
        return self.client.asked

    @property
    def stall(self) -> Stall:
        return self.client.stall


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    """The app on a loopback port, in this loop."""
    client = Scripted()
    app = create_app(client, models=MODELS, heartbeat=HEARTBEAT)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    task = asyncio.create_task(_serve(server))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Gateway(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", client)
    finally:
        server.should_exit = True
        await task


async def _serve(server: uvicorn.Server) -> None:
    await server._serve()  # `serve` would take over the process's signals


async def collect(stream: Any) -> list[Any]:
    """All items of an async iterable."""
    return [item async for item in stream]
