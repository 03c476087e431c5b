"""SpendLimit: what calls may cost together, whatever runs at the same time and however each of them ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    RetryPolicy,
    StreamEvent,
    Usage,
    catalogue,
)
from llmstream.catalogue import ModelFacts
from llmstream.conversations import ConversationClient
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import text_delta
from llmstream.limits import SpendLimit
from llmstream.messages import ChatRequest, FinishReason, ToolCall
from llmstream.pricing import Prices
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.testing import ScriptedProvider
from llmstream.tools import run_tools
from tests.conversations.talk import begin
from tests.forks import fork, main, run_program, wait
from tests.grammar_check import check_stream
from tests.loopback import Loopback, Reply, Request, pieces

HI = [{"role": "user", "content": "hi"}]
AT_ONCE = RetryPolicy(max_attempts=3, base_delay=0, max_delay=0)
MILLION = "1000000"
"""Dollars for a million tokens: each costs a dollar."""


@pytest.fixture(autouse=True)
def priced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A dollar for each token of an answer. Prompts are free; `bounded` answers in 100 tokens at most."""
    monkeypatch.setattr(catalogue, "_registered", {})
    prices = Prices("0", MILLION)
    catalogue.register("scripted:script", ModelFacts(prices=prices))
    catalogue.register("scripted:bounded", ModelFacts(prices=prices, max_output=100))
    catalogue.register("scripted:free", ModelFacts(prices=Prices(0, 0)))
    catalogue.register("openai:m-1", ModelFacts(prices=prices))
    return


class Clock:
    """Goes on when it's told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def client_of(limit: SpendLimit | None, *attempts: Any, **options: Any) -> LLMClient:
    options = {"retry": AT_ONCE, **options}
    return LLMClient(provider=ScriptedProvider(*attempts), spend_limit=limit, **options)


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    async with client.stream(HI, **options) as stream:
        return [event async for event in stream]


def is_spent(event: StreamEvent) -> bool:
    info = event.error_info
    return info is not None and (info.kind, info.code) == ("quota", "spend_limit")


# --- the ledger ---------------------------------------------------------------------------------------------------


def test_money_is_held_spent_and_forgotten() -> None:
    clock = Clock()
    limit = SpendLimit("10", per=60, time=clock)
    held = limit.reserve(Decimal(6))
    assert held is not None
    assert limit.reserve(Decimal(5)) is None
    assert limit.retry_after is None
    held.settle(Decimal(1))
    held.settle(Decimal(9))
    assert (limit.spent, limit.reserved) == (1, 0)
    clock.now += 30
    unsettled = limit.reserve(Decimal(9))
    assert unsettled is not None
    del unsettled  # as a call that is dropped with its loop: nobody knows what it cost
    assert (limit.spent, limit.reserved, limit.retry_after) == (10, 0, 30)
    clock.now += 30
    assert limit.spent == 9
    clock.now += 30
    assert limit.spent == 0


STEP = st.tuples(
    st.sampled_from(["reserve", "settle", "grow", "wait"]), st.decimals(0, 5, places=2)
)


@given(st.lists(STEP, max_size=40))
def test_in_no_period_more_is_spent_than_the_limit(steps: list[tuple[str, Decimal]]) -> None:
    """Whatever is asked for, as long as attempts cost what was reserved at most."""
    clock = Clock()
    limit = SpendLimit("7.5", per=10, time=clock)
    held: list[tuple[Any, Decimal]] = []
    paid: list[tuple[float, Decimal]] = []
    for step, dollars in steps:
        if step == "reserve":
            place = limit.reserve(dollars)
            held += [] if place is None else [(place, dollars)]
        elif step == "wait":
            clock.now += float(dollars)
        elif held:
            place, most = held.pop(0)
            cost = min(most, dollars)
            place.settle(cost)
            paid.append((clock.now, cost))
        since = clock.now - limit.per
        assert sum(cost for then, cost in paid if then > since) <= limit.spent <= Decimal("7.5")
        assert limit.reserved == sum(most for _, most in held)


def test_a_period_takes_little_room() -> None:
    clock = Clock()
    limit = SpendLimit(10**9, per=100, time=clock)
    for _ in range(10_000):
        clock.now += 0.02
        place = limit.reserve(Decimal(1))
        assert place is not None
        place.settle(Decimal(1))
    assert len(limit._spent) <= 300
    assert 4_950 <= limit.spent <= 5_050


def test_threads_share_a_limit() -> None:
    limit = SpendLimit("1000")

    def spend() -> None:
        for _ in range(500):
            place = limit.reserve(Decimal(1))
            if place is not None:
                place.settle(Decimal(1))

    threads = [Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (limit.spent, limit.reserved) == (1000, 0)


@pytest.mark.parametrize("wrong", ["0", "-1", "much", float("nan"), float("inf"), None, True, []])
def test_a_limit_is_an_amount_of_money(wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_cost must be US dollars above 0"):
        SpendLimit(wrong)


def test_other_numbers_that_are_wrong() -> None:
    with pytest.raises(ValueError, match="SpendLimit: per"):
        SpendLimit("1", per=0)
    with pytest.raises(ValueError, match="warn_at"):
        SpendLimit("1", warn_at=1.5)
    with pytest.raises(TypeError, match="spend_limit must be"):
        LLMClient("simulator", spend_limit="1")  # type: ignore[arg-type]
    assert repr(SpendLimit("1.50")) == "SpendLimit('1.50', per=86400, warn_at=0.8)"


# --- calls --------------------------------------------------------------------------------------------------------


class Words(ScriptedProvider):
    """Answers with a word after another, of one token each, as long as somebody reads."""

    def __init__(self, *, model: str, words: int) -> None:
        super().__init__()
        self.traits = ProviderTraits(default_model=model)
        self.words = words
        self.asked = 0

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        self.asked += 1
        for number in range(self.words):
            yield text_delta("word ")
            if number % 5 == 0:
                await asyncio.sleep(0)
        usage = Usage(5, self.words)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=usage)


@pytest.mark.parametrize("how", ["max_tokens", "the model's limit"])
async def test_where_a_limit_is_known_50_streams_never_overspend(how: str) -> None:
    """A thousand dollars, of which each of 50 answers reserves 100 and costs 60."""
    limit = SpendLimit("1000")
    is_named = how == "max_tokens"
    provider = Words(model="script" if is_named else "bounded", words=60)
    options = {"max_tokens": 100} if is_named else {}
    most = Decimal(0)

    async def one(client: LLMClient) -> StreamEvent:
        nonlocal most
        async with client.stream(HI, **options) as stream:
            async for event in stream:
                most = max(most, limit.spent + limit.reserved)
                last = event
        return last

    async with LLMClient(provider=provider, spend_limit=limit, retry=AT_ONCE) as client:
        ends = await asyncio.gather(*(one(client) for _ in range(50)))
        refused = [end for end in ends if is_spent(end)]
        assert provider.asked == 50 - len(refused) >= 10
        assert "1000 dollars" in refused[0].error
        assert (limit.spent, limit.reserved) == (60 * provider.asked, 0)
        # What wasn't used is there for others.
        while not is_spent(await one(client)):
            pass
    assert most <= 1000
    assert 900 < limit.spent <= 1000


async def test_where_no_limit_is_known_the_answers_that_run_end_with_their_partial() -> None:
    """50 endless answers share a thousand dollars: each ends when the money does."""
    limit = SpendLimit("1000")
    provider = Words(model="script", words=10**6)
    async with LLMClient(provider=provider, spend_limit=limit) as client:
        streams = await asyncio.gather(*(collect(client) for _ in range(50)))
    for events in streams:
        last = check_stream(events)
        assert is_spent(last)
        assert last.error_info.partial.text == "word " * (len(events) - 2)
        assert last.usage.estimated
        assert last.usage.cost == last.usage.output_tokens
    assert limit.reserved == 0
    costs = [events[-1].usage.cost for events in streams]
    assert limit.spent == sum(costs)
    assert 1000 < limit.spent <= 1000 + max(costs) * 50
    assert limit.spent < 1300


async def test_a_stream_that_ended_for_money_is_neither_tried_again_nor_continued() -> None:
    provider = Words(model="script", words=1000)
    free = ScriptedProvider(["free"])
    free.traits = ProviderTraits(default_model="free")
    limit = SpendLimit("20")
    async with LLMClient(
        provider=provider, spend_limit=limit, on_interrupt="continue", fallbacks=[free]
    ) as client:
        events = await collect(client)
    assert is_spent(events[-1])
    assert provider.asked == 1
    assert not free.requests


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_does_not_fit_is_not_sent(*, stream: bool) -> None:
    provider = ScriptedProvider(["hello"])
    client = LLMClient(provider=provider, spend_limit=SpendLimit("20"))
    events = [event async for event in client.chat_completion(HI, stream, max_tokens=30)]
    assert len(events) == 1
    assert is_spent(events[0])
    assert "may cost 30" in events[0].error
    assert "smaller max_tokens" in events[0].error
    assert not events[0].error_info.retryable
    assert not provider.requests


ENDS = {
    "reported": (["hello", Usage(5, 7)], 7),
    "a cost of the provider's": (["hello", Usage(5, 7, cost=Decimal("1.5"))], Decimal("1.5")),
    "silent": (["hello over there"], 3),
    "cut": (["hello over there", ErrorInfo("truncated", retryable=False)], 3),
    "refused": ([ErrorInfo("invalid_request", status_code=400)], 0),
    "a failure that was billed": ([Usage(5, 4), ErrorInfo("server", retryable=False)], 4),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_an_answer_cost_is_counted(name: str, *, stream: bool) -> None:
    script, dollars = ENDS[name]
    limit = SpendLimit("1000")
    client = client_of(limit, script)
    events = []
    async for event in client.chat_completion(HI, stream, max_tokens=100):
        events.append(event)
        if event.type in TERMINAL:  # it is paid before anybody hears that it's over
            assert (limit.spent, limit.reserved) == (dollars, 0)
    cost = events[-1].usage.cost if events[-1].usage else 0
    assert cost == dollars


async def test_an_answer_that_is_left_or_cancelled_is_counted() -> None:
    limit = SpendLimit("1000")
    client = LLMClient(provider=Words(model="bounded", words=50), spend_limit=limit)
    async with aclosing(client.chat_completion(HI)) as events:
        async for event in events:
            if event.text:
                break
    assert (limit.spent, limit.reserved) == (2, 0)


async def test_arguments_that_are_wrong_cost_nothing() -> None:
    class Picky(ScriptedProvider):
        def stream(self, request: ChatRequest, call: Call) -> Any:
            raise ValueError("no")

    limit = SpendLimit("1000")
    client = LLMClient(provider=Picky(), spend_limit=limit)
    with pytest.raises(ValueError, match="no"):
        await collect(client, max_tokens=10)
    assert (limit.spent, limit.reserved) == (0, 0)


async def test_retries_fallbacks_and_rounds_of_tools_count() -> None:
    limit = SpendLimit("1000")
    failed = [Usage(5, 3), ErrorInfo("server")]
    await collect(client_of(limit, failed, failed, ["hello", Usage(5, 7)]))
    assert limit.spent == 13

    second = ScriptedProvider(["hello", Usage(5, 2)])
    client = client_of(
        limit, [Usage(5, 1), ErrorInfo("overloaded", retryable=False)], fallbacks=[second]
    )
    await collect(client)
    assert limit.spent == 16

    def now() -> str:
        """The time."""
        return "noon"

    rounds = (
        [ToolCall("c1", "now", "{}"), Usage(5, 4), FinishReason.TOOL_CALLS],
        ["noon", Usage(9, 1)],
    )
    client = client_of(limit, *rounds)
    assert [event async for event in run_tools(client, HI, tools=[now])][-1].usage.cost == 5
    assert limit.spent == 21


async def test_conversations_count() -> None:
    limit = SpendLimit("10")
    async with ConversationClient(
        client_of(limit, ["a", Usage(5, 6)], ["b", Usage(9, 5)])
    ) as chats:
        conversation = await begin(chats)
        await conversation.chat("hi")
        await conversation.chat("and?")
        assert limit.spent == 11
        with pytest.raises(Exception, match=r"11\.000000 are spent"):
            await conversation.chat("more?")


async def test_from_80_percent_on_each_call_is_told() -> None:
    limit = SpendLimit("10", warn_at=0.5)
    client = client_of(limit, ["a", Usage(5, 5)], ["b", Usage(5, 1)], ["c", Usage(5, 1)])
    assert EventType.STATUS not in [event.type for event in await collect(client)]
    for spent in ("5", "6"):
        (status, *others) = await collect(client)
        assert status.status.kind == "spend_limit"
        assert status.status.data == {"spent": spent, "max_cost": "10", "per": 86_400}
        assert EventType.STATUS not in [event.type for event in others]


async def test_without_a_price_nothing_is_asked() -> None:
    """What has no price can't be limited: neither the model nor any of its fallbacks."""
    limit = SpendLimit("10")
    unpriced = ScriptedProvider(["hello"])
    unpriced.traits = ProviderTraits(default_model="unknown")
    provider = ScriptedProvider(["hello"])
    for client in (
        LLMClient(provider=unpriced, spend_limit=limit),
        LLMClient(provider=provider, spend_limit=limit, fallbacks=[unpriced]),
    ):
        with pytest.raises(ConfigurationError, match="no price is known for 'scripted:unknown'"):
            await collect(client)
    assert not provider.requests


async def test_a_free_model_answers_when_nothing_is_left() -> None:
    limit = SpendLimit("5")
    await collect(client_of(limit, ["a", Usage(5, 9)]))
    free = ScriptedProvider(["hello"])
    free.traits = ProviderTraits(default_model="free")
    events = await collect(LLMClient(provider=free, spend_limit=limit))
    assert events[-1].type is EventType.ERROR  # more was spent than there was
    assert is_spent(events[-1])


async def test_the_error_says_when_to_come_back() -> None:
    clock = Clock()
    limit = SpendLimit("5", per=60, time=clock)
    client = client_of(limit, ["a", Usage(5, 5)], ["b", Usage(5, 1)])
    await collect(client)
    clock.now += 20
    (status, refused) = await collect(client, max_tokens=1)
    assert status.type is EventType.STATUS
    assert refused.error_info.retry_after == 40
    clock.now += 40
    assert (await collect(client, max_tokens=1))[-1].type is EventType.MESSAGE_COMPLETE


async def test_a_real_stream_is_closed_when_the_money_is_spent() -> None:
    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        while True:  # until the connection is closed
            for data in pieces("openai-chat", *["word "] * 9)[:-1]:
                await reply.send(data)
            await asyncio.sleep(0)

    limit = SpendLimit("20")
    async with (
        Loopback(handler) as server,
        LLMClient(
            "openai:m-1", api_key="k", base_url=server.url("openai"), spend_limit=limit
        ) as client,
    ):
        events = await collect(client)
        assert is_spent(events[-1])
        while server.open:
            await asyncio.sleep(0.01)
    assert len(server.requests) == 1


def fork_with_money_reserved() -> None:
    limit = SpendLimit("10")
    for dollars in (1, 8):
        held = limit.reserve(Decimal(dollars))
        assert held is not None
        if dollars == 1:
            held.settle(None)

    def work() -> None:
        nonlocal held
        assert (limit.spent, limit.reserved) == (0, 0)
        held = None  # the parent's
        assert (limit.spent, limit.reserved) == (0, 0)
        assert limit.reserve(Decimal(10)) is not None

    wait(fork(work))
    assert (limit.spent, limit.reserved) == (1, 8)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
async def test_a_forked_worker_begins_anew() -> None:
    await run_program(fork_with_money_reserved)


if __name__ == "__main__":
    main(globals())
