"""EventBatches: a stream of single events for everybody, of batches for the client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from llmstream import EventType, LLMClient
from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent, error, text_delta
from llmstream.observe import Observer
from llmstream.providers.event_batches import EventBatches
from llmstream.providers.provider import Call
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from llmstream.wire.openai_chat.request import parse_request

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Source:
    """Batches of texts, and what became of their generator."""

    def __init__(self, *batches: str) -> None:
        self._batches = batches
        self.is_closed = False

    async def __call__(self) -> AsyncGenerator[Sequence[StreamEvent], None]:
        try:
            for batch in self._batches:
                try:
                    yield [text_delta(character) for character in batch]
                except OSError as problem:
                    yield [error(ErrorInfo("connection", str(problem)))]
        finally:
            self.is_closed = True


async def test_each_event_comes_once_and_in_order():
    source = Source("ab", "c", "def")
    events = EventBatches(source())
    assert [event.text async for event in events] == list("abcdef")
    assert source.is_closed


async def test_a_stream_that_is_closed_in_the_middle_of_a_batch_is_over():
    source = Source("ab", "c")
    events = EventBatches(source())
    assert (await anext(events)).text == "a"
    await events.aclose()
    assert source.is_closed
    assert [event async for event in events] == []


async def test_what_is_raised_in_it_is_raised_where_it_waits():
    events = EventBatches(Source("ab", "c")())
    assert (await events.asend(None)).text == "a"
    answer = await events.athrow(OSError("gone"))
    assert answer.error == "connection: gone"
    assert [event.text async for event in events] == ["c"]


class Outcomes(Observer):
    """How calls ended."""

    def __init__(self) -> None:
        self.told: list[str | None] = []

    def end(self, call) -> None:
        self.told.append(call.outcome)


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_a_reader_that_leaves_amid_a_batch_has_stopped_the_call(transport):
    """The whole answer may have come in one read: nobody took its end."""
    outcomes = Outcomes()
    async with FaultServer("ok") as server:
        url = server.url("openai")
        options = {"api_key": "k", "base_url": url, "transport": transport}
        async with LLMClient("openai:m", observers=[outcomes], **options) as client:
            async with client.stream([{"role": "user", "content": "hi"}]) as stream:
                async for event in stream:
                    if event.type == EventType.TEXT_DELTA:
                        break
            assert (await client.complete([{"role": "user", "content": "hi"}])).text == ANSWER
    assert outcomes.told == ["stopped", "complete"]


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_a_provider_over_http_is_read_event_by_event_too(transport):
    """As a third party's wrapper reads it."""
    async with FaultServer("ok") as server:
        url = server.url("openai")
        async with LLMClient("openai:m", api_key="k", base_url=url, transport=transport) as client:
            provider = client.target(None).provider
            events = [event async for event in provider.stream(parse_request(ASKED), Call())]
    assert "".join(event.text for event in events) == ANSWER
    assert [event.type for event in events if event.type != EventType.TEXT_DELTA] == [
        EventType.MESSAGE_START,
        EventType.MESSAGE_COMPLETE,
    ]
