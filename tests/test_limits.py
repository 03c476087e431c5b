"""A limiter holds calls to a rate, in a queue that is fair."""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ErrorInfo,
    EventType,
    LLMClient,
    RetryPolicy,
    Start,
    StreamEvent,
    Timeouts,
    Usage,
)
from llmstream.events.types import error, text_delta
from llmstream.limits import Asking, Limiter, LocalLimiter, Rate, Wait
from llmstream.limits.fair_queue import TENANTS, FairQueue, LimiterPlace
from llmstream.limits.headers import parse_rate_limits
from llmstream.limits.pauses import KnownEndpoint
from llmstream.limits.rate import Steady, TokenWindow
from llmstream.messages import ChatRequest, Message, TextPart
from llmstream.providers import ProviderTraits
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.grammar_check import check_stream
from tests.loopback import Loopback, Reply, Request, answer, refuse
from tests.patience import PATIENCE
from tests.test_pauses import HI, Server, bucket, queued, sliding, window

Take = Callable[[float], bool]


def client_of(server: Any, limiter: Any = None, **options: Any) -> LLMClient:
    options = {"clock": server.clock, "rng": Random(0), "limiter": limiter, **options}
    return LLMClient(provider=server, **options)


async def collect(client: LLMClient, messages: Any = HI, **options: Any) -> list[StreamEvent]:
    events = [event async for event in client.chat_completion(messages, **options)]
    check_stream(events)
    return events


def say(words: object) -> list[dict[str, str]]:
    return [{"role": "user", "content": str(words)}]


class Metered(Server):
    """A server that says what an answer used, in tokens and in headers."""

    usage = Usage(input_tokens=10, output_tokens=20)
    headers: Callable[[float], dict[str, str]] = staticmethod(lambda now: {})

    async def stream(self, request: Any, call: Any) -> Any:
        self.times.append(now := self.clock.time())
        self.requests.append(request)
        if not self.take(now):
            self.refused.append(now)
            yield error(ErrorInfo("rate_limit", retry_after=self.delay, status_code=429))
            return
        start = Start(rate_limits=self.headers(now))
        yield StreamEvent(EventType.MESSAGE_START, start=start)
        yield text_delta("ok")
        await self.clock.sleep(self.latency)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, usage=self.usage)


async def demand(
    client: LLMClient, clock: Any, rate: float, seconds: float, **options: Any
) -> list[list[StreamEvent]]:
    """So many calls a second, ten at a time, each as its own task, whether or not earlier ones are over."""
    calls = []
    for number in range(round(rate * seconds)):
        if number % 10 == 0:
            await clock.sleep(max(0.0, number / rate - clock.time()))
        calls.append(asyncio.ensure_future(collect(client, **options)))
    return await asyncio.gather(*calls)


# --- a rate is held and used ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        bucket,
        pytest.param(window, marks=pytest.mark.slow),
        pytest.param(sliding, marks=pytest.mark.slow),
    ],
)
async def test_at_95_percent_of_the_servers_limit_nothing_is_refused_and_the_rate_is_used(
    limit: Any,
) -> None:
    server = Metered(VirtualClock(), limit(20, 1.0))
    server.latency = 0.05
    client = client_of(server, LocalLimiter(Rate(requests=19, per=1.0), max_wait=100))
    calls = await demand(client, server.clock, rate=30, seconds=60)
    assert server.refused == []
    assert all(events[-1].type is EventType.MESSAGE_COMPLETE for events in calls)
    assert sum(moment <= 60 for moment in server.times) >= 0.95 * 19 * 60


class Stalls:
    """Seconds in which this machine didn't run the event loop, though it had something to do."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            late = time.monotonic() - began - 0.01
            self.seconds += late if late > 0.02 else 0.0


@pytest.mark.slow
async def test_over_real_connections_nothing_is_refused_either() -> None:
    """Ten seconds at 150 % of what the server allows, each call at its own time, whatever became of the others."""
    take, refused, done = bucket(40, 1.0), [], []
    ok = answer("openai-chat")
    busy = refuse(429, {"error": {"message": "slow down"}}, retry_after="1")

    async def serve(request: Request, reply: Reply) -> None:
        if take(time.monotonic() - first):
            await ok(request, reply)
        else:
            refused.append(time.monotonic())
            await busy(request, reply)

    async def call() -> None:
        events = await collect(client)
        assert events[-1].error is None
        done.append(time.monotonic() - first)

    async with Loopback(serve) as server:
        limiter = LocalLimiter(Rate(requests=38, per=1.0), max_wait=100)
        async with (
            LLMClient(
                "openai:m", api_key="k", base_url=server.url("openai"), limiter=limiter
            ) as client,
            Stalls() as stalls,
        ):
            first, calls = time.monotonic(), []
            for number in range(600):
                await asyncio.sleep(max(0.0, first + number / 60 - time.monotonic()))
                calls.append(asyncio.create_task(call()))
            seconds = time.monotonic() - first
            served, waiting = len(done), [each for each in calls if not each.done()]
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
    assert refused == []
    assert served >= 0.95 * 38 * (seconds - stalls.seconds)
    assert len(waiting) > 100
    for each in calls:
        assert each.cancelled() or each.exception() is None


@pytest.mark.parametrize("kind", ["input_tokens", "output_tokens"])
async def test_tokens_are_held_to_their_rate_once_an_answer_has_said_what_it_used(
    kind: str,
) -> None:
    server = Metered(VirtualClock())
    server.usage = Usage(input_tokens=100, output_tokens=100)
    limiter = LocalLimiter(Rate(**{kind: 1000}, per=10.0), max_wait=1000)
    client = client_of(server, limiter)
    for _ in range(30):
        await collect(client, max_tokens=100)
    for start in server.times:
        # What was wrong in the estimate of one that runs can't be known before it ends.
        assert sum(start <= each < start + 9.99 for each in server.times) <= 11
    assert server.clock.time() >= 20


async def test_a_reservation_is_given_back_when_nothing_was_sent() -> None:
    server = Metered(VirtualClock())
    limiter = LocalLimiter(Rate(requests=1, per=100.0), max_wait=1000)
    client = client_of(server, limiter)
    asking = Asking(
        "a", "m", "k", ChatRequest(model="m", messages=[Message("user", [TextPart("hi")])])
    )
    place = limiter.enter(asking, server.clock.time)
    assert place is not None
    assert place.go(0.0) == 0.0
    place.leave()
    again = limiter.enter(asking, server.clock.time)
    assert again is not None
    assert again.go(0.0) == 0.0
    again.sent()
    again.leave()
    third = limiter.enter(asking, server.clock.time)
    assert third is not None
    assert third.go(0.0) == pytest.approx(100.0)
    await client.aclose()


async def test_no_more_than_so_many_run_at_a_time_and_the_next_goes_as_one_ends() -> None:
    server = Metered(VirtualClock())
    server.latency = 2.5
    client = client_of(server, LocalLimiter(Rate(concurrent=2)))
    calls = await asyncio.gather(*(collect(client) for _ in range(5)))
    assert Counter(server.times) == {0.0: 2, 2.5: 2, 5.0: 1}
    words = [event.status.message for events in calls for event in events if event.status]
    assert words == ["a is limited here: this call waits for its turn"] * 3


@pytest.mark.parametrize("ending", ["break", "cancel", "error"])
async def test_each_ending_gives_its_place_back(ending: str) -> None:
    server = Metered(VirtualClock(), lambda now: ending != "error")
    server.latency = 5.0
    client = client_of(server, LocalLimiter(Rate(concurrent=1)), retry=RetryPolicy(max_attempts=1))
    for _ in range(3):
        if ending == "break":
            async with client.stream(HI) as stream:
                async for _event in stream:
                    break
        elif ending == "cancel":
            task = asyncio.ensure_future(collect(client))
            await server.clock.sleep(1.0)
            task.cancel()
            await asyncio.wait([task])
        else:
            server.delay = 0.0
            assert (await collect(client))[-1].error_info.kind == "rate_limit"
    server.take = lambda now: True
    assert not queued(await collect(client))


def test_calls_that_are_dropped_with_their_loop_give_their_places_back() -> None:
    server = Metered(VirtualClock())
    server.clock = None
    limiter = LocalLimiter(Rate(concurrent=1))
    client = LLMClient(provider=ScriptedProvider(*[["ok", "ok"]] * 3), limiter=limiter)

    async def begin() -> Any:
        events = client.chat_completion(HI)
        assert (await events.__anext__()).type is EventType.MESSAGE_START  # not STATUS "queued"
        return events

    for _ in range(3):
        loop = asyncio.new_event_loop()
        events = loop.run_until_complete(begin())
        loop.close()
        del events


async def later(_: Any) -> Any:
    """Not called: a coroutine would be a key of its own for each call."""


def raises(_: Any) -> Any:
    raise KeyError("x-tenant")


@pytest.mark.parametrize(
    "chosen",
    [
        {"key": raises},
        {"tenant": raises},
        {"tenant": lambda asking: []},
        {"key": lambda asking: {}},
        {"rate": raises},
        {"rate": lambda key: 5},
    ],
    ids="-".join,
)
async def test_functions_of_a_limiter_that_raise_end_no_call(chosen, caplog) -> None:
    """Nothing foreign is raised at the consumer: the log has it, and the attempt isn't limited."""
    server = Metered(VirtualClock())
    limiter = LocalLimiter(**{"rate": Rate(requests=10), **chosen})
    events = await collect(client_of(server, limiter))
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert "the limiter raised" in caplog.text


MISTAKEN = [-(10**9), 10**18, math.nan, math.inf, -math.inf, "7", True, [], 10**400]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("count", MISTAKEN, ids=repr)
async def test_a_count_that_cannot_be_true_changes_nothing(count: Any, *, stream: bool) -> None:
    """Neither more nor less goes afterwards than the rate: the estimate stands in its place."""
    server = Metered(VirtualClock())
    rate = Rate(input_tokens=1000, output_tokens=1000, per=10.0)
    client = client_of(server, LocalLimiter(rate, max_wait=1e4))
    server.usage = Usage(input_tokens=count, output_tokens=count)
    await last_of(client, stream=stream)
    server.usage = Usage(input_tokens=400, output_tokens=400)
    for _ in range(7):
        await last_of(client, stream=stream)
    assert server.times == [0.0, 0.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0]


async def test_an_answer_that_is_far_too_long_holds_up_few() -> None:
    server = Metered(VirtualClock())
    client = client_of(server, LocalLimiter(Rate(output_tokens=1000, per=10.0), max_wait=1e4))
    server.usage = Usage(output_tokens=10**8)
    await last_of(client)
    server.usage = Usage(output_tokens=100)
    for _ in range(20):
        await last_of(client)
    assert server.times[-1] <= 50


async def last_of(client: LLMClient, *, stream: bool = True) -> StreamEvent:
    *_, last = [event async for event in client.chat_completion(HI, stream)]
    assert last.type is EventType.MESSAGE_COMPLETE
    return last


# --- who goes first -----------------------------------------------------------------------------------------


def enter(queue: FairQueue, tenant: str, places: int) -> list[LimiterPlace]:
    return [queue.enter(ChatRequest([Message("user", "x")], "m"), tenant) for _ in range(places)]


def test_who_leaves_before_its_turn_has_had_nothing() -> None:
    """Neither its tenant nor those behind it pay for a place that was given up."""
    now = 0.0
    queue = FairQueue(Rate(requests=10, per=1.0), 60.0, lambda: now)
    first = enter(queue, "a", 300)
    for place in first:
        place.leave()
    late = enter(queue, "a", 1)[0]
    assert late.go(now) < 1.0  # not the half minute of those that left
    waiting = {"a": [late, *enter(queue, "a", 199)], "b": enter(queue, "b", 200)}
    for tick in range(200):
        now = tick / 10
        waiting["b"][-1].go(now)
    went = {tenant: sum(place.is_granted for place in places) for tenant, places in waiting.items()}
    assert sum(went.values()) > 190
    assert abs(went["a"] - went["b"]) <= 2


@pytest.mark.parametrize("is_crowded", [False, True])
def test_tenants_that_come_and_go_are_forgotten(*, is_crowded: bool) -> None:
    """Those that wait, and the one that has had more than the others, are not."""
    now = 0.0
    queue = FairQueue(Rate(requests=1000, per=1.0), 1e9, lambda: now)
    for _ in range(50):
        enter(queue, "greedy", 1)[0].go(now)
    waiting = enter(queue, "other", 9000) if is_crowded else []
    for number in range(8 * TENANTS):
        now += 0.001
        (place,) = enter(queue, str(number), 1)
        place.go(now)
    assert len(queue._lines) < 4 * TENANTS
    assert ("other" if waiting else "greedy") in queue._lines


async def test_keys_that_come_and_go_are_forgotten() -> None:
    clock = VirtualClock()
    limiter = LocalLimiter(Rate(requests=5, per=1.0), key=lambda asking: asking.model)
    request = ChatRequest([Message("user", "x")], "m")
    for number in range(5000):
        if number == 4000:
            await clock.sleep(1.1)
        place = limiter.enter(Asking("a", str(number), "k", request), clock.time)
        assert place is not None
        place.leave()
    assert len(limiter._queues) <= 2000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_places_of_one_tenant_go_in_their_order(steps: list[tuple[str, bool]]) -> None:
    """Whoever leaves, and in whatever order tenants come: all who stay go, each tenant's in order."""
    now = 0.0
    queue = FairQueue(Rate(requests=10, per=1.0), 1e9, lambda: now)
    places: dict[str, list[LimiterPlace]] = {}
    went: list[LimiterPlace] = []
    for tenant, stays in steps:
        (place,) = enter(queue, tenant, 1)
        if stays:
            places.setdefault(tenant, []).append(place)
        else:
            place.leave()
    for tick in range(len(steps) + 2):
        now = tick / 5
        for each in itertools.chain.from_iterable(places.values()):
            if each not in went and each.go(now) == 0:
                went.append(each)
    for kept in places.values():
        assert [place for place in went if place in kept] == kept


async def test_five_tenants_get_equal_shares_however_much_each_wants() -> None:
    server = Metered(VirtualClock())
    limiter = LocalLimiter(
        Rate(requests=40, per=1.0), tenant=lambda asking: asking.headers["x-tenant"], max_wait=1e4
    )
    client = client_of(server, limiter)
    served: Counter[int] = Counter()

    async def call(tenant: int) -> None:
        await collect(client, headers={"x-tenant": str(tenant)})
        if server.clock.time() <= 20:
            served[tenant] += 1

    calls = []
    for tenant, share in enumerate([1000, 500, 300, 250, 200]):
        calls += [asyncio.ensure_future(call(tenant)) for _ in range(share)]
    await server.clock.sleep(20)
    for each in calls:
        each.cancel()
    await asyncio.wait(calls)
    total, squares = sum(served.values()), sum(each**2 for each in served.values())
    assert total >= 0.95 * 40 * 20
    assert total**2 / (5 * squares) >= 0.95


def of_model(model: str | None) -> Any:
    """A middleware that asks another model, or none that does."""

    async def middleware(request: Any, call: Any, next: Any) -> Any:
        async for event in next(replace(request, model=model or request.model)):
            yield event

    return middleware


class Noting(Server):
    """Notes the headers that it gets."""

    headers: Any = None

    def stream(self, request: Any, call: Any) -> Any:
        self.headers = {**call.headers}
        return super().stream(request, call)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("middleware", "names"),
    [([], ["a", "b"]), ([of_model(None)], ["a", "b"]), ([of_model("simulator:m")], ["simulator"])],
    ids=["none", "passing", "another model"],
)
async def test_the_tenant_is_known_at_fallbacks_too_which_do_not_get_its_headers(
    middleware: Any, names: list[str], stream: Any
) -> None:
    clock, asked = VirtualClock(), list[Any]()

    def tenant(asking: Asking) -> Any:
        asked.append((asking.provider, asking.headers.get("x-tenant")))
        return asking.headers.get("x-tenant")

    first, second = Noting(clock, lambda now: False, delay=100.0), Noting(clock, name="b", key="2")
    limiter = LocalLimiter(Rate(requests=100), tenant=tenant)
    client = client_of(first, limiter, fallbacks=[second], middleware=middleware)
    async for _ in client.chat_completion(HI, stream, headers={"x-tenant": "t"}):
        pass
    assert asked == [(name, "t") for name in names]
    assert first.headers in (None, {"x-tenant": "t"})
    assert second.headers in (None, {})


async def test_those_of_one_tenant_go_in_the_order_they_came() -> None:
    server = Metered(VirtualClock())
    client = client_of(server, LocalLimiter(Rate(requests=2, per=1.0)))
    await asyncio.gather(*(collect(client, say(number)) for number in range(9)))
    assert [request.messages[0].text for request in server.requests] == [*map(str, range(9))]


async def test_each_key_has_a_rate_of_its_own() -> None:
    server = Metered(VirtualClock())
    rates = {"a": Rate(requests=1, per=10.0), "b": None}
    limiter = LocalLimiter(rates.__getitem__, key=lambda asking: asking.model)
    client = client_of(server, limiter)
    await asyncio.gather(
        *(collect(client, model="a") for _ in range(3)),
        *(collect(client, model="b") for _ in range(3)),
    )
    assert Counter(server.times) == {0.0: 4, 10.0: 1, 20.0: 1}


# --- waits are announced and bounded -------------------------------------------------------------------------


async def test_a_wait_is_announced_as_queued_once() -> None:
    server = Metered(VirtualClock())
    client = client_of(server, LocalLimiter(Rate(requests=1, per=10.0)))
    first, second, third = await asyncio.gather(*(collect(client) for _ in range(3)))
    assert queued(first) == []
    assert queued(second) == [pytest.approx(10.0)]
    assert queued(third) == [pytest.approx(20.0)]
    status = second[0].status
    assert status.message == "a is limited here: this call waits for 10.0 s"
    assert status.data == {"seconds": pytest.approx(10.0), "provider": "a", "why": "limiter"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("middleware", [0, 2])
async def test_a_wait_is_in_the_log_once(stream, middleware, caplog) -> None:
    async def passing(request: Any, call: Any, next: Any) -> Any:
        async for event in next(request):
            yield event

    caplog.set_level("INFO", "llmstream")
    limiter = LocalLimiter(Rate(requests=1, per=10.0))
    client = client_of(Metered(VirtualClock()), limiter, middleware=[passing] * middleware)
    for _ in range(2):
        async for _ in client.chat_completion(HI, stream):
            pass
    assert caplog.text.count("status: queued a is limited here: this call waits for 10.0 s") == 1


async def test_a_wait_beyond_max_wait_or_the_deadline_is_not_begun() -> None:
    server = Metered(VirtualClock())
    client = client_of(server, LocalLimiter(Rate(requests=1, per=10.0), max_wait=15))
    *_, last = await asyncio.gather(*(collect(client) for _ in range(3)))
    assert last[-1].error_info.kind == "rate_limit"
    assert last[-1].error_info.code == "limiter"
    assert "LocalLimiter.max_wait is 15 s" in last[-1].error
    late = await collect(client, timeouts=Timeouts(total=5))
    assert "timeouts.total leaves 5.0 s" in late[-1].error
    assert len(server.times) == 2


async def test_a_slot_that_does_not_come_free_in_time_ends_the_call() -> None:
    server = Metered(VirtualClock())
    server.latency = 1000.0
    client = client_of(server, LocalLimiter(Rate(concurrent=1), max_wait=30))
    first = asyncio.ensure_future(collect(client))
    await server.clock.sleep(1.0)
    began = server.clock.time()
    second = await collect(client, timeouts=Timeouts(total=7))
    assert second[-1].error_info.code == "limiter"
    assert server.clock.time() - began == pytest.approx(7, abs=0.1)
    third = await collect(client)
    assert "LocalLimiter.max_wait is 30 s" in third[-1].error
    first.cancel()
    await asyncio.wait([first])


async def test_a_queue_that_is_too_long_is_left_for_a_fallback() -> None:
    server, other = Metered(VirtualClock()), ScriptedProvider(["other"])
    other.traits = ProviderTraits(default_model="m")
    limiter = LocalLimiter(
        lambda key: Rate(requests=1, per=100.0) if key == "a" else None,
        key=lambda asking: asking.provider,
    )
    client = client_of(server, limiter, fallbacks=[other])
    assert (await collect(client))[-1].message.text == "ok"
    events = await collect(client)
    assert events[-1].message.text == "other"
    assert [str(event.type) for event in events[:2]] == ["retry", "message_start"]


# --- what providers say of their limits ----------------------------------------------------------------------


async def test_less_is_sent_where_the_providers_headers_say_that_less_is_left() -> None:
    server = Metered(VirtualClock(), bucket(10, 1.0))

    def headers(now: float) -> dict[str, str]:
        # Ten in a second, of which the first call finds one left.
        return {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
        }

    server.headers = headers
    client = client_of(server, LocalLimiter(Rate(requests=1000, per=1.0)))
    for _ in range(5):
        await collect(client)
    assert server.times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "30",
                "x-ratelimit-reset-requests": "1m0.5s",
            },
            {"requests": (30, 30 / 60.5, 60.5)},
        ),
        (
            {
                "x-ratelimit-limit-tokens": "6000",
                "x-ratelimit-remaining-tokens": "5997",
                "x-ratelimit-reset-tokens": "30ms",
            },
            {"tokens": (5997, 100, 0.03)},
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "1000",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "1970-01-01T00:01:50Z",
            },
            {"input_tokens": (0, 100, 10)},
        ),
        (
            {
                "x-ratelimit-limit-requests": "-1",
                "x-ratelimit-remaining-requests": "nan",
                "x-ratelimit-reset-requests": "soon",
            },
            {},
        ),
        ({"x-ratelimit-remaining-requests": "0"}, {}),
        (
            {
                "x-ratelimit-limit-requests": "10",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "24h",
                "x-ratelimit-limit-tokens": "10",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "24h1s",
                "anthropic-ratelimit-input-tokens-limit": "10",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "9999-12-31T23:59:59Z",
            },
            {"requests": (0, 10 / 86_400, 86_400)},
        ),
        (
            {
                "x-ratelimit-limit-requests": "120",
                "x-ratelimit-remaining-requests": "119",
                "x-ratelimit-renewalperiod-requests": "60",
                "x-ratelimit-reset-requests": "500",
                "x-ratelimit-limit-tokens": "600",
                "x-ratelimit-remaining-tokens": "590",
                "x-ratelimit-renewalperiod-tokens": "60",
                "x-ratelimit-reset-tokens": "0",
            },
            {"requests": (119, 2, 0.5), "tokens": (590, 10, 1)},
        ),
        (
            {
                "x-endpoint-monthly-call-limit": "1000",
                "x-trial-endpoint-call-limit": "20",
                "x-trial-endpoint-call-remaining": "0",
            },
            {"requests": (0, 1 / 3, 60)},
        ),
        (
            {
                "ratelimitbysize-limit": "500000",
                "ratelimitbysize-remaining": "170000",
                "ratelimitbysize-reset": "33",
            },
            {"tokens": (170_000, 10_000, 33)},
        ),
        (
            {"ratelimit-limit": "400", "ratelimit-remaining": "399", "ratelimit-reset": "19"},
            {"requests": (399, 1 / 19, 19)},
        ),
        (
            {
                "x-ratelimit-limit-requests": "0",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-renewalperiod-requests": "60",
            },
            {"requests": (0, 0, 60)},
        ),
    ],
)
def test_the_headers_are_read(headers: dict[str, str], found: dict[str, Any]) -> None:
    read = parse_rate_limits(headers, 100.0)
    assert {kind: tuple(left) for kind, left in read.items()} == {
        kind: pytest.approx(left) for kind, left in found.items()
    }


@given(
    st.dictionaries(
        st.sampled_from(
            [
                f"x-ratelimit-{word}-{kind}"
                for word in ("limit", "remaining", "reset", "renewalperiod")
                for kind in ("requests", "tokens")
            ]
            + [f"anthropic-ratelimit-requests-{word}" for word in ("limit", "remaining", "reset")]
            + [f"x-trial-endpoint-call-{word}" for word in ("limit", "remaining")]
        ),
        st.text(max_size=12)
        | st.sampled_from(
            ["0", "1e9", "9" * 12, "1s", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"]
        ),
    )
)
def test_any_header_is_read_or_left(headers: dict[str, str]) -> None:
    for left in parse_rate_limits(headers, 0.0).values():
        assert left.remaining >= 0
        assert left.per_second >= 0
        assert left.full_in >= 0


# --- the counts ---------------------------------------------------------------------------------------------


@given(
    st.integers(1, 50),
    st.sampled_from([0.5, 1.0, 60.0]),
    st.lists(st.floats(0, 5), min_size=1, max_size=80),
)
def test_no_period_has_more_requests_than_the_rate(
    limit: int, per: float, gaps: list[float]
) -> None:
    steady, now, sent = Steady(limit, per), 0.0, []
    for gap in gaps:
        now = steady.ready(1, now + gap * per / limit)
        steady.add(1, now)
        sent.append(now)
    for start in sent:
        assert sum(start <= each < start + per * (1 - 1e-6) for each in sent) <= limit


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), min_size=1, max_size=60))
def test_no_period_has_more_tokens_than_the_rate(steps: list[tuple[float, int]]) -> None:
    counted, now, sent = TokenWindow(100, 1.0), 0.0, []
    for gap, amount in steps:
        now += gap
        while (ready := counted.ready(amount, now)) > now:
            now = ready
        counted.add(amount, now)
        sent.append((now, amount))
    for start, _ in sent:
        within = sum(amount for at, amount in sent if start <= at < start + 1 - 1e-5)
        assert within <= 100


FIELDS = ["requests", "input_tokens", "output_tokens", "concurrent", "per"]


@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, math.inf, -math.inf, 10**400], ids=repr)
@pytest.mark.parametrize("name", FIELDS)
def test_a_number_that_is_no_rate_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Rate: {name} must be a number .*, not {value!r}$"):
        Rate(**{"requests": 1, name: value})


@pytest.mark.parametrize("value", [True, False, "5", [5], object, 1j], ids=repr)
@pytest.mark.parametrize("name", FIELDS)
def test_what_is_no_number_is_no_rate(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^Rate: {name} must be a number .*, not "):
        Rate(**{"requests": 1, name: value})


def test_a_rate_must_limit_something_and_whole_calls() -> None:
    with pytest.raises(ValueError, match="must limit something"):
        Rate()
    with pytest.raises(ValueError, match="per"):
        Rate(requests=1, per=0.0001)
    for value in (1.5, 2.0):
        with pytest.raises(ValueError, match="Rate: concurrent must be a whole number, not"):
            Rate(concurrent=value)
    assert Rate(requests=1.5, per=2, concurrent=1).requests == 1.5


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"max_wait": -1}, ValueError),
        ({"max_wait": math.nan}, ValueError),
        ({"max_wait": True}, TypeError),
        ({"max_wait": None}, TypeError),
        ({"key": "model"}, TypeError),
        ({"tenant": None}, TypeError),
        ({"rate": 5}, TypeError),
        ({"rate": Rate}, TypeError),
        ({"rate": later}, TypeError),
        ({"key": later}, TypeError),
        ({"tenant": later}, TypeError),
    ],
)
def test_wrong_arguments_of_a_limiter_are_named(wrong: dict[str, Any], kind: Any) -> None:
    (name,) = wrong
    with pytest.raises(kind, match=f"^{name} must be "):
        LocalLimiter(**{"rate": Rate(requests=1), **wrong})
    LocalLimiter(Rate(requests=1), max_wait=math.inf)


@pytest.mark.parametrize("wrong", [Rate(requests=1), LocalLimiter, "fast", object()])
def test_what_is_no_limiter_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="limiter must be an object such as LocalLimiter"):
        LLMClient(provider=ScriptedProvider(), limiter=wrong)


# --- state that is kept elsewhere ----------------------------------------------------------------------------


class FarPlace:
    """Answers only after somebody else was asked, as a store behind a network does."""

    wait = Wait(
        "is limited elsewhere", "the queue elsewhere is too long", "rate_limit", skips=False
    )
    renewed = True

    def __init__(self, limiter: Far, answers: list[float | None]) -> None:
        self.limiter, self.answers, self.on_change = limiter, answers, None
        self.look = 0.0

    def go(self, now: float) -> float | None:
        self.look = now + 3600
        if self.answers and self.answers[0] is None:
            self.answers.pop(0)
            asyncio.get_running_loop().call_later(0.01, self.arrive)
            return None
        return self.answers[0] if self.answers else 0.0

    def arrive(self) -> None:
        assert self.on_change is not None
        self.on_change()

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        return None

    def announced(self) -> None:
        self.renewed = False
        self.answers.clear()

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.limiter.told.append((name, *args[:1]))


class Far(Limiter):
    def __init__(self, *answers: float | None) -> None:
        self.answers, self.told = answers, []

    def enter(self, asking: Asking, time: Any) -> Any:
        return FarPlace(self, [*self.answers])


@pytest.mark.parametrize(("answers", "waits"), [((None,), []), ((None, None, 0.5), [0.5])])
async def test_a_limiter_that_must_ask_elsewhere_is_waited_for(
    answers: Any, waits: list[float]
) -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    done = StreamEvent(EventType.MESSAGE_COMPLETE, usage=usage)
    limiter = Far(*answers)
    client = LLMClient(provider=ScriptedProvider(["ok", done]), limiter=limiter)
    async with asyncio.timeout(PATIENCE):
        events = await collect(client)
    assert events[-1].message.text == "ok"
    assert queued(events) == waits
    assert [name for name, *_ in limiter.told] == ["sent", "heard", "settle", "leave"]
    assert ("settle", usage) in limiter.told


async def test_a_retry_names_the_servers_delay_while_the_pause_elsewhere_is_not_known() -> None:
    class Endpoint(KnownEndpoint):
        def enter(self, now: float, model: str | None = None) -> Any:
            return FarPlace(limiter, [None]) if self.paused(now) else None

    endpoint, limiter = Endpoint(), Far()
    limiter.endpoint = lambda account, time: endpoint
    refusal = ErrorInfo("rate_limit", retry_after=0.05, status_code=429)
    client = LLMClient(provider=ScriptedProvider([refusal], ["ok"]), limiter=limiter)
    async with asyncio.timeout(PATIENCE):
        events = await collect(client)
    assert [event.retry.delay for event in events if event.retry] == [pytest.approx(0.05, abs=0.02)]
    assert events[-1].message.text == "ok"


async def test_a_limiter_is_cheap() -> None:
    limiter = LocalLimiter(
        Rate(requests=10**6, input_tokens=10**9, output_tokens=10**9, per=1.0, concurrent=10**6)
    )
    asking = Asking(
        "a",
        "m",
        "k",
        ChatRequest(model="m", messages=[Message("user", [TextPart("What is the weather?")])]),
    )
    usage = Usage(input_tokens=10, output_tokens=20)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(100):
            place = limiter.enter(asking, time.monotonic)
            assert place is not None
            assert place.go(time.monotonic()) == 0
            place.sent()
            place.heard({}, time.monotonic())
            place.settle(usage, time.monotonic())
            place.leave()
        best = min(best, (time.perf_counter() - began) / 100)
    assert best <= 50e-6, best


def test_a_place_costs_no_more_behind_a_thousand_tenants() -> None:
    def count(tenants: int) -> int:
        queue = FairQueue(Rate(requests=1, per=60.0), 1e9, lambda: 0.0)
        waiting = [enter(queue, str(tenant), 1) for tenant in range(tenants)]
        ran = 0

        def profile(frame: Any, event: str, argument: Any) -> None:
            nonlocal ran
            ran += event == "call"

        sys.setprofile(profile)
        try:
            waiting.append(enter(queue, "one more", 1))
        finally:
            sys.setprofile(None)
        return ran

    assert count(1500) <= count(50) + 5
