"""check_provider: our own providers keep its rules, and it finds those that don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, error, text_delta
from llmstream.messages import ChatRequest
from llmstream.providers import ProviderTraits, answer_reader, registry
from llmstream.providers.config import ProviderConfig
from llmstream.providers.http import error_response
from llmstream.providers.provider import Call, Provider
from llmstream.testing import FAULTS, check_provider, providers
from llmstream.wire.formats import FORMATS
from tests.testing.test_conformance import KNOWN

FEW = ("ok", "stall", "clean-end-without-an-end", "status-500", "closed-between-chunks")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_reader, "FINISH_SILENCE", 0.2)
    monkeypatch.setattr(error_response, "ERROR_BODY_SECONDS", 0.2)


def ours(api: str, **options: Any) -> Any:
    return lambda base_url: registry.create(ProviderConfig(api, "a-test-key", base_url, **options))


ONE = "openai-chat"
"""The format whose provider is tried in each run; the lane `slow` has the others: a second or two for each."""


@pytest.mark.parametrize(
    "format",
    [pytest.param(name, marks=() if name == ONE else pytest.mark.slow) for name in FORMATS],
)
async def test_our_providers_keep_the_rules(format: str) -> None:
    """With the faults of a server and a connection; test_conformance.py plays those of the wild to our decoders."""
    known = {name for name, transport in KNOWN if transport == "httpx2"}
    faults = [name for name in FAULTS if name not in known and FAULTS[name].theme != "wild"]
    await check_provider(ours(FORMATS[format].provider), format, faults=faults)


async def test_a_machine_that_is_slower_than_the_clock_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(providers, "LIMITS", (1e-6, *providers.LIMITS))
    await check_provider(ours("openai"), "openai-chat", faults=("no-head", "stall"))


class Wrong:
    """A provider that does what ours does, but for one thing."""

    name = "wrong"
    traits = ProviderTraits()

    def __init__(self, base_url: str) -> None:
        self.right: Provider = ours("openai")(base_url)

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        return self.right.stream(request, call)

    async def aclose(self) -> None:
        await self.right.aclose()


class Raises(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async for event in self.right.stream(request, call):
            if event.error_info is not None:
                raise OSError(event.error)
            yield event


class TimesOut(Wrong):
    """It has clocks of its own, and raises when one has run out."""

    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
        yield text_delta("never")


class GoesOn(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async for event in self.right.stream(request, call):
            yield event
        yield text_delta("more")


class Completes(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        from llmstream.messages import FinishReason

        async for event in self.right.stream(request, call):
            failed = event.error_info is not None and event.error_info.kind == "truncated"
            yield (
                StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
                if failed
                else event
            )


class Misnames(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async for event in self.right.stream(request, call):
            yield error(ErrorInfo("internal")) if event.error_info is not None else event


class Retries(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async for event in self.right.stream(request, call):
            if event.error_info is not None and event.error_info.status_code == 500:
                break
            yield event
        else:
            return
        async for event in self.right.stream(request, call):
            yield event


class HasNoClocks(Wrong):
    def stream(self, request: ChatRequest, call: Call) -> Any:
        return self.right.stream(request, Call())


class Leaks(Wrong):
    """What is closed early goes on in a task of its own."""

    async def stream(self, request: ChatRequest, call: Call) -> Any:
        events: asyncio.Queue[StreamEvent] = asyncio.Queue(10)

        async def read() -> None:
            async for event in self.right.stream(request, call):
                await events.put(event)

        self.task = asyncio.create_task(read())
        while True:
            event = await events.get()
            yield event
            if event.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR):
                return

    async def aclose(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
        await super().aclose()


class Swallows(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        try:
            async for event in self.right.stream(request, call):
                yield event
        except asyncio.CancelledError:
            yield error(ErrorInfo("connection", "cancelled"))


class SharesItsState(Wrong):
    async def stream(self, request: ChatRequest, call: Call) -> Any:
        self.current = self.right.stream(request, call)
        while True:
            try:
                event = await anext(self.current)
            except StopAsyncIteration:
                return
            yield event


class NeverCloses(Wrong):
    async def aclose(self) -> None:
        pass


class NeverStops(Wrong):
    """Without ever giving the event loop a turn."""

    async def stream(self, request: ChatRequest, call: Call) -> Any:
        while True:
            yield text_delta("more")


class IsSlow(Wrong):
    """It takes its time for each event, and is right in all else."""

    async def stream(self, request: ChatRequest, call: Call) -> Any:
        async for event in self.right.stream(request, call):
            await asyncio.sleep(SLOW)
            yield event


SLOW = 0.1
"""Seconds before each event."""


async def test_a_provider_that_is_slow_but_goes_on_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmstream.testing.providers.SILENCE", 10 * SLOW)
    began = asyncio.get_running_loop().time()
    await check_provider(IsSlow, "openai-chat", faults=["ok"])
    assert asyncio.get_running_loop().time() - began > 10 * SLOW


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Raises, "status-500: raises OSError"),
        (TimesOut, "ok: raises TimeoutError"),
        (GoesOn, "ok: text_delta follows the terminal event message_complete"),
        (Completes, "clean-end-without-an-end: ends in complete, not truncated"),
        (Misnames, "status-500: ends in internal, not server"),
        (Retries, "status-500: 2 requests in one attempt"),
        (HasNoClocks, "stall: hangs"),
        (NeverStops, "ok: doesn't stop: 10,000 events, and more"),
        (Leaks, "closed early: the connection outlives its stream"),
        (Swallows, "cancelled in a stall: the cancellation is swallowed"),
        (SharesItsState, "side by side: "),
        (NeverCloses, "closed under a stream: aclose.. does not end it"),
        (NeverCloses, "ok: aclose.. leaves a connection open"),
    ],
)
async def test_a_provider_that_breaks_a_rule_is_found(
    make: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "LIMITS", (0.2,))
    monkeypatch.setattr(providers, "SILENCE", 1.0)
    monkeypatch.setattr(providers, "AT_ONCE", 0.3)
    made = []
    with pytest.raises(AssertionError, match=problem):
        await check_provider(
            lambda url: made.append(make(url)) or made[-1], "openai-chat", faults=FEW
        )
    for provider in made:
        await provider.right.aclose()


async def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="format must be one of"):
        await check_provider(Wrong, "openai")
    with pytest.raises(ValueError, match="no fault 'stalll'"):
        await check_provider(Wrong, "openai-chat", faults=["stalll"])
