"""The cells of docs/serving.md's table: each dialect, each format behind it, each feature."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy, Usage
from llmstream.messages import ChatRequest, ReasoningPart, ToolCall, ToolResult
from llmstream.testing import FaultServer, Reply
from llmstream.web import create_app
from llmstream.wire.formats import FORMATS, find_format
from tests.patience import PATIENCE
from tests.web.dialects.grid import PAGE, PNG, SCHEMA, SPEAKERS, Speaker, written
from tests.web.serving import serving

CALLS = [
    ToolCall(f"call_{city}", "weather", f'{{"city":"{city}"}}', {"city": city})
    for city in ("Paris", "Rome")
]
SIGNED = "c2lnbmVk"
UNSIGNED = ("ollama-native", "cohere-v2")
"""Formats whose reasoning has no signature."""


@dataclass
class Behind:
    """A provider of one format behind a gateway; the model that is asked for says what it does."""

    format: str
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.server = FaultServer(self._play)

    async def _play(self, reply: Reply) -> None:
        assert reply.request is not None
        scenario = reply.request.model
        if scenario == "refused":
            await reply.whole(429, reply.error_body("rate_limit_error", "secret"))
        elif scenario == "midway":
            half = reply.script("Half an ")[:-2]
            await reply.stream(*half, reply.error_frame("overloaded", "secret"))
        elif scenario == "stall":
            await reply.head()
            await reply.send(b"".join(reply.script("Half an ")[:-2]))
            try:
                await reply.hang()
            finally:
                self.left.set()
        elif scenario == "tools" and self.asked.messages[-1].role != "tool":
            await reply.stream(*reply.script("Let me look.", *CALLS))
        elif scenario == "reasoning" and len(self.asked.messages) == 1:
            thought = ReasoningPart("Hm, thinking", SIGNED, id="rs_1", format=self.format)
            await reply.stream(*reply.script(thought, "Yes."))
        elif scenario == "schema":
            await reply.stream(*reply.script('{"n": 5}'))
        else:
            await reply.stream(*reply.script("Hello, wörld 🙂", Usage(7, 3)))

    @property
    def asked(self) -> ChatRequest:
        """The last request that it got, read as its format says."""
        last = self.server.requests[-1]
        return find_format(self.format).parse_request({**last.body, "model": last.model})


@asynccontextmanager
async def before(format: str) -> AsyncIterator[tuple[int, Behind]]:
    """The port of a gateway before a provider of this format."""
    behind = Behind(format)
    provider = FORMATS[format].provider
    scenarios = ("text", "tools", "reasoning", "schema", "refused", "midway", "stall")
    async with behind.server as server:
        client = LLMClient(
            f"{provider}:text",
            api_key="k",
            base_url=server.url(provider),
            retry=RetryPolicy(max_attempts=1),
        )
        app = create_app(client, models={name: f"{provider}:{name}" for name in scenarios})
        async with client, serving(app) as port:
            yield port, behind


async def text(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("hi")
    answer = await speaker.ask(port, "text", stream=stream)
    assert (answer.text, answer.failed) == ("Hello, wörld 🙂", None)


async def tools(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("And the weather?")
    answer = await speaker.ask(port, "tools", tools=True, stream=stream)
    assert list(answer.calls.values()) == [call.input for call in CALLS]
    assert [tool.name for tool in behind.asked.tools] == ["weather"]
    speaker.results({id: f"sun in {given['city']}" for id, given in answer.calls.items()})
    await speaker.ask(port, "tools", tools=True, stream=stream)
    sent = [part for message in behind.asked.messages for part in message.parts]
    called = [part for part in sent if isinstance(part, ToolCall)]
    told = {part.tool_call_id: part.content for part in sent if isinstance(part, ToolResult)}
    assert [(call.name, call.input) for call in called] == [
        ("weather", call.input) for call in CALLS
    ]
    assert [told[call.id] for call in called] == ["sun in Paris", "sun in Rome"]


async def reasoning(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("Think.")
    answer = await speaker.ask(port, "reasoning", stream=stream)
    assert (answer.text, answer.reasoning) == ("Yes.", "Hm, thinking")


async def signed(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("Think.")
    await speaker.ask(port, "reasoning", stream=stream)
    speaker.user("Go on.")
    await speaker.ask(port, "reasoning", stream=stream)
    assert len(behind.asked.messages) == 3
    is_back = SIGNED in str(behind.server.requests[-1].body)
    assert is_back or behind.format in UNSIGNED


async def image(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("What is this?", image=True)
    await speaker.ask(port, "text", stream=stream)
    words, picture = behind.asked.messages[0].parts
    assert (words.text, picture.data, picture.media_type) == ("What is this?", PNG, "image/png")


async def schema(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("A number.")
    answer = await speaker.ask(port, "schema", schema=True, stream=stream)
    assert answer.text == '{"n": 5}'
    assert behind.asked.response_format is not None
    assert behind.asked.response_format.schema == SCHEMA


async def usage(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("hi")
    assert (await speaker.ask(port, "text", stream=stream)).usage == (7, 3)


async def error(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("hi")
    assert (await speaker.ask(port, "refused", stream=stream)).failed == "rate_limit"
    midway = (await speaker.ask(port, "midway", stream=stream)).failed
    assert midway is not None
    assert "overloaded" in midway
    assert "secret" not in midway


async def abort(speaker: Speaker, port: int, behind: Behind, *, stream: bool) -> None:
    speaker.user("hi")
    await speaker.leave(port, "stall")
    async with asyncio.timeout(PATIENCE):
        await behind.left.wait()


CELLS = [text, tools, reasoning, signed, image, schema, usage, error, abort]


def every_cell() -> Iterator[Any]:
    """Each dialect, format and feature has its turn in the core; the others are slow together."""
    cells = product(enumerate(SPEAKERS), enumerate(FORMATS), enumerate(CELLS))
    for (column, name), (row, format), (place, feature) in cells:
        is_core = (column + row + place) % len(SPEAKERS) == 0
        marks = () if is_core else (pytest.mark.slow,)
        yield pytest.param(
            name, format, feature, id=f"{name}-{format}-{feature.__name__}", marks=marks
        )


@pytest.mark.parametrize(("name", "format", "feature"), [*every_cell()])
async def test_what_the_table_says_works(name, format, feature):
    if feature.__name__ in SPEAKERS[name]().lacks:
        return
    async with before(format) as (port, behind):
        for stream in (True, False) if SPEAKERS[name]().whole else (True,):
            await feature(SPEAKERS[name](), port, behind, stream=stream)


def test_the_page_has_this_table():
    assert PAGE.read_text() == written(PAGE.read_text()), "run python tests/web/dialects/grid.py"
