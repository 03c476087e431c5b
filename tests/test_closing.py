"""Closing the client under its streams: each ends at once, in an ERROR that says so, and nobody is asked again."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from tests.loopback import APIS
from tests.patience import PATIENCE

QUESTION = [{"role": "user", "content": "hi"}]
SOON = 20
"""Seconds within which a stream ends. It must not wait for a retry in 30 s, or for an idle clock of 120 s."""

over = pytest.mark.parametrize("transport", TRANSPORTS)
api = pytest.mark.parametrize("provider", list(APIS))


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def client_of(server: FaultServer, provider: str, transport: str, **options: Any) -> LLMClient:
    return LLMClient(
        f"{provider}:m-1",
        api_key="k",
        base_url=server.url(provider),
        transport=transport,
        **options,
    )


async def read(client: LLMClient, events: list[Any], **options: Any) -> None:
    async for event in client.chat_completion(QUESTION, **options):
        events.append(event)  # noqa: PERF401  # what came is looked at meanwhile


async def close_under(client: LLMClient, reading: asyncio.Task[None], events: list[Any]) -> Any:
    """Close the client, wait for the reader, and give its last event."""
    began = time.monotonic()
    await client.aclose()
    await asyncio.wait_for(reading, PATIENCE)
    assert time.monotonic() - began < SOON
    return check(events)


def check(events: list[Any]) -> Any:
    assert [event.type for event in events].count(EventType.ERROR) == 1
    info = events[-1].error_info
    assert (info.kind, info.code, info.retryable) == ("connection", "closed", False)
    return info


@over
@api
@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_that_waits_for_the_first_byte_ends(
    provider: str, transport: str, *, stream: bool
) -> None:
    async with FaultServer("no-head") as server:
        client, events = client_of(server, provider, transport), list[Any]()
        reading = asyncio.create_task(read(client, events, stream=stream))
        await server.busy(PATIENCE)
        await close_under(client, reading, events)
        await server.left(PATIENCE)
        assert server.played == 1


@over
@api
@pytest.mark.parametrize("fault", ["stall", "endless-answer"])
async def test_a_stream_in_the_middle_ends_and_keeps_what_came(
    provider: str, transport: str, fault: str
) -> None:
    async with FaultServer(fault) as server:
        client, events = client_of(server, provider, transport), list[Any]()
        reading = asyncio.create_task(read(client, events))
        while not any(event.text for event in events):
            await asyncio.sleep(0.005)
        info = await close_under(client, reading, events)
        assert info.partial.text == "".join(event.text for event in events) != ""
        await server.left(PATIENCE)
        assert server.played == 1


@over
async def test_a_stream_whose_consumer_holds_an_event_ends_at_its_next_step(transport: str) -> None:
    async with FaultServer("stall") as server:
        client = client_of(server, "openai", transport, on_interrupt="restart")
        events = client.chat_completion(QUESTION)
        while not (await anext(events)).text:
            pass
        await client.aclose()
        await server.left(PATIENCE)
        rest = [event async for event in events]
        assert check(rest).partial.text.startswith("one")
        assert server.played == 1


@over
async def test_the_client_answers_again_after_it_was_closed(transport: str) -> None:
    async with FaultServer("ok") as server:
        client = client_of(server, "openai", transport)
        for _ in range(2):
            assert (await client.complete(QUESTION)).text
            await client.aclose()
        await server.left(PATIENCE)


async def test_a_wait_before_a_retry_ends() -> None:
    provider = ScriptedProvider([ErrorInfo("rate_limit", retry_after=30)], ["never"])
    client, events = LLMClient(provider=provider), list[Any]()
    reading = asyncio.create_task(read(client, events))
    while not events:
        await asyncio.sleep(0)
    await close_under(client, reading, events)
    assert len(provider.requests) == 1


async def test_nobody_is_asked_after_a_retry_was_announced_and_the_client_closed() -> None:
    clock = VirtualClock()
    provider = ScriptedProvider([ErrorInfo("server")], ["never"])
    client = LLMClient(provider=provider, fallbacks=[ScriptedProvider(["nor this"])], clock=clock)
    events = client.chat_completion(QUESTION)
    assert (await anext(events)).type is EventType.RETRY
    await client.aclose()
    check([event async for event in events])
    assert (len(provider.requests), clock.sleeps) == (1, [])


@pytest.mark.parametrize(
    "provider", [ScriptedProvider(["a", "b"]), SimulatorProvider(script=[["a b c"]], pace=60.0)]
)
async def test_providers_without_connections_end_their_streams(provider: Any) -> None:
    client, events = LLMClient(provider=provider, retry=RetryPolicy(max_attempts=2)), list[Any]()
    stream = client.chat_completion(QUESTION)
    if isinstance(provider, ScriptedProvider):
        await anext(stream)
        await client.aclose()
        check([event async for event in stream])
    else:
        reading = asyncio.create_task(read(client, events))
        await asyncio.sleep(0)
        await close_under(client, reading, events)
