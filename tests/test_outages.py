"""An endpoint that is down is asked by one call at a time; what counts as down; the others wait or fall back."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent, Timeouts
from llmstream.events.types import error, text_delta
from llmstream.limits.pauses import KnownEndpoint
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.test_limits import client_of, collect, demand, say
from tests.test_pauses import Server, queued


class Down(Server):
    """Refuses connections until it is back."""

    async def stream(self, request: Any, call: Any) -> Any:
        self.times.append(now := self.clock.time())
        if not self.take(now):
            self.refused.append(now)
            yield error(ErrorInfo("connection", "nobody is there"))
            return
        await self.clock.sleep(self.latency)
        yield text_delta("ok")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)


@pytest.mark.parametrize("rate", [20, pytest.param(100, marks=pytest.mark.slow)])
async def test_a_minutes_outage_is_probed_once_a_second(rate: int) -> None:
    server = Down(VirtualClock(), lambda now: not 5 <= now < 65)
    server.latency = 0.1
    client = client_of(server, retry=RetryPolicy(max_attempts=3, budget=None))
    calls = await demand(client, server.clock, rate=rate, seconds=70)
    probes = [moment for moment in server.refused if moment >= 6]
    assert len(probes) <= 60
    assert all(later - sooner >= 1 - 1e-3 for sooner, later in itertools.pairwise(probes))
    assert min(moment for moment in server.times if moment >= 65) <= 67
    waiting = [events for events in calls if queued(events)]
    assert len(waiting) > 40 * rate
    status = next(event.status for event in waiting[0] if event.status)
    assert "is down" in status.message
    assert status.data["why"] == "down"


class Hanging(Down):
    """Refuses for five seconds, then takes requests and is silent until it is back."""

    async def stream(self, request: Any, call: Any) -> Any:
        async for event in super().stream(request, call):
            if event.type is EventType.ERROR and self.clock.time() >= 10:
                await self.clock.sleep(300)
            yield event


@pytest.mark.slow
async def test_a_probe_that_hangs_does_not_keep_others_from_asking() -> None:
    server = Hanging(VirtualClock(), lambda now: not 5 <= now < 65)
    server.latency = 0.1
    client = client_of(server, retry=RetryPolicy(max_attempts=3, budget=None))
    await demand(client, server.clock, rate=20, seconds=75)
    probes = [moment for moment in server.refused if moment >= 6]
    assert len(probes) <= 60
    assert min(moment for moment in server.times if moment >= 65) <= 67
    assert sum(moment >= 65 for moment in server.times) >= 10


async def test_once_it_answers_no_more_than_twice_as_many_go_in_each_second() -> None:
    server = Down(VirtualClock(), lambda now: now >= 5)
    server.latency = 1.0
    client = client_of(server, retry=RetryPolicy(max_attempts=30, budget=None))
    calls = [asyncio.ensure_future(collect(client)) for _ in range(40)]
    done = await asyncio.gather(*calls)
    assert all(events[-1].error is None for events in done)
    back = Counter(round(moment) for moment in server.times if moment >= 5)
    counts = [count for _, count in sorted(back.items())]
    assert sum(counts) == 40
    assert all(later <= 2 * sooner + 1 for sooner, later in itertools.pairwise(counts))


async def test_with_a_fallback_the_others_do_not_wait() -> None:
    clock = VirtualClock()
    server = Down(clock, lambda now: False)
    other = Server(clock, name="b", key="other")
    client = client_of(server, fallbacks=[other], retry=RetryPolicy(max_attempts=1))
    for _ in range(200):
        events = await collect(client)
        assert not queued(events)
        assert events[-1].error is None
    assert len(server.times) <= 12
    assert len(other.times) == 200


async def test_a_probe_that_is_given_up_lets_another_ask() -> None:
    server = Down(VirtualClock(), lambda now: now >= 1)
    client = client_of(server, retry=RetryPolicy(max_attempts=1, budget=None))
    for _ in range(10):
        await collect(client)
    await server.clock.sleep(2.0)
    server.latency = 1000.0
    probe = asyncio.ensure_future(collect(client))
    await server.clock.sleep(0.5)
    waiting = asyncio.ensure_future(collect(client))
    await server.clock.sleep(0.5)
    assert len(server.times) == 11
    server.latency = 0.0
    probe.cancel()
    events = await waiting
    assert events[-1].error is None
    assert queued(events)


async def test_a_wait_for_the_end_of_an_outage_ends() -> None:
    server = Down(VirtualClock(), lambda now: False)
    client = client_of(server, retry=RetryPolicy(max_attempts=1, max_retry_after=20, budget=None))
    calls = await asyncio.gather(*(collect(client) for _ in range(60)))
    assert server.clock.time() <= 22
    last = calls[-1][-1].error_info
    assert last.kind in ("connection", "overloaded")
    timed = await collect(client, timeouts=Timeouts(total=0.5))
    assert timed[-1].error is not None


@pytest.mark.parametrize("kind", ["invalid_request", "authentication", "rate_limit"])
async def test_who_answers_with_a_refusal_is_not_down(kind: str) -> None:
    clock = VirtualClock()
    refusal = ErrorInfo(kind, "no", status_code=400)
    provider = ScriptedProvider(*[[refusal]] * 30)
    client = LLMClient(provider=provider, clock=clock, retry=RetryPolicy(max_attempts=1))
    for _ in range(30):
        assert not queued(await collect(client))
    assert len(provider.requests) == 30


POISON = say("poison")


def failing(kind: str, status: int | None = None, code: str | None = None) -> ErrorInfo:
    return ErrorInfo(kind, "no", status_code=status, code=code)


class Failing(Server):
    """Each request that `take` refuses fails in this way."""

    failure = failing("server", 500)
    poison = "poison"

    async def stream(self, request: Any, call: Any) -> Any:
        self.times.append(now := self.clock.time())
        if not self.take(now) or request.messages[-1].text == self.poison:
            self.refused.append(now)
            await self.clock.sleep(self.refusal_latency)
            yield error(self.failure)
            return
        yield text_delta("ok")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "failure",
    [
        failing("server", 500),
        failing("server"),  # in the stream
        failing("timeout", code="first_token"),
        failing("timeout", code="idle"),
    ],
    ids=str,
)
async def test_one_poisoned_prompt_takes_no_endpoint_down(failure, stream) -> None:
    server = Failing(VirtualClock())
    server.failure = failure
    client = client_of(server, retry=RetryPolicy(max_attempts=3, budget=None))
    for _ in range(10):
        events = [event async for event in client.chat_completion(POISON, stream)]
        assert events[-1].error_info.kind == failure.kind
    assert len(server.times) == 30
    assert not queued(await collect(client))


@pytest.mark.parametrize(("request_alone", "waits"), [("poison", False), (None, True)])
def test_a_poisoned_prompt_does_not_slow_the_return_after_an_outage(request_alone, waits) -> None:
    endpoint = KnownEndpoint()
    for _ in range(10):
        endpoint.unreachable(0.0, 0.0, None, None)
    first, second, third = (endpoint.enter(0.0) for _ in range(3))
    assert first.go(1.0) == 0
    endpoint.answered(1.0)
    endpoint.unreachable(1.0, 1.1, None, request_alone)
    assert second.go(1.1) == 0
    assert (third.go(1.7) > 0) is waits


@pytest.mark.parametrize(
    ("failure", "alike"),
    [
        (failing("connection"), True),
        (failing("overloaded", 503), True),
        (failing("overloaded", 529), True),
        (failing("overloaded"), True),
        (failing("server", 502), True),
        (failing("server", 504), True),
        (failing("timeout", 504), True),
        (failing("timeout", code="connect"), True),
        (failing("server", 500), False),
        (failing("timeout", code="first_token"), False),
    ],
    ids=str,
)
async def test_ten_failures_that_are_the_endpoints_say_that_it_is_down(failure, alike) -> None:
    """Those of one prompt where no prompt is to blame; those of ten in any case."""
    server = Failing(VirtualClock(), lambda now: False)
    server.failure = failure
    client = client_of(server, retry=RetryPolicy(max_attempts=1, budget=None, max_retry_after=0.1))
    for number in range(10):
        assert not queued(await collect(client, POISON if alike else say(number)))
    assert (await collect(client))[-1].error_info.code == "down"
    assert len(server.times) == 10


@pytest.mark.parametrize(
    ("failure", "waits"),
    [
        (failing("overloaded", 529), False),
        (failing("overloaded"), False),
        (failing("server", 503), False),
        (failing("timeout", code="first_token"), False),
        (failing("connection"), True),
        (failing("server", 502), True),
    ],
    ids=str,
)
async def test_a_model_that_is_down_does_not_hold_up_another_at_its_endpoint(
    failure, waits
) -> None:
    server = Failing(VirtualClock(), lambda now: False)
    server.failure = failure
    client = client_of(server, retry=RetryPolicy(max_attempts=1, budget=None))
    for number in range(10):
        await collect(client, say(number))
    assert queued(await collect(client))
    server.take = lambda now: True
    assert bool(queued(await collect(client, model="another"))) is waits


@pytest.mark.parametrize("code", ["closed", "host_refused", "total"])
async def test_what_we_ended_ourselves_says_nothing_of_the_endpoint(code: str) -> None:
    server = Failing(VirtualClock(), lambda now: False)
    server.failure = ErrorInfo("connection", "no", code=code, retryable=False)
    client = client_of(server)
    for _ in range(12):
        assert (await collect(client))[-1].error_info.code == code
    assert len(server.times) == 12


async def test_failures_of_requests_from_before_the_last_answer_do_not_count() -> None:
    server = Failing(VirtualClock(), lambda now: now >= 1)
    server.failure, server.refusal_latency = failing("connection"), 3.0
    client = client_of(server, retry=RetryPolicy(max_attempts=1, budget=None))
    stale = [asyncio.ensure_future(collect(client)) for _ in range(30)]
    await server.clock.sleep(2.0)
    assert (await collect(client))[-1].error is None
    await asyncio.gather(*stale)
    assert not queued(await collect(client))
    assert len(server.refused) == 30


async def test_a_single_answer_in_between_says_that_it_is_up() -> None:
    server = Down(VirtualClock())
    failures = iter(([False] * 9 + [True]) * 5)
    server.take = lambda now: next(failures)
    client = client_of(server, retry=RetryPolicy(max_attempts=1, budget=None))
    for _ in range(50):
        assert not queued(await collect(client))
