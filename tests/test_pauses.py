"""A 429 with a delay pauses all calls to its endpoint, which are then let through at the rate it had answered at."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent, Timeouts
from llmstream.clock import LoopClock
from llmstream.events.types import error, text_delta
from llmstream.limits.pauses import PAUSES, SHARE, KnownEndpoint, PausePlace, Pauses, Sends
from llmstream.providers import ProviderTraits
from llmstream.retry import RetryBudget
from llmstream.targets import account
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.grammar_check import check_stream
from tests.loopback import Loopback, Reply, Request, answer, refuse
from tests.patience import PATIENCE

HI = [{"role": "user", "content": "hi"}]
Take = Callable[[float], bool]


def limited(seconds: float, **fields: Any) -> ErrorInfo:
    return ErrorInfo("rate_limit", "slow down", retry_after=seconds, status_code=429, **fields)


def types(events: list[StreamEvent]) -> list[str]:
    return [str(event.type) for event in events]


def queued(events: list[StreamEvent]) -> list[float]:
    """The seconds of each STATUS that says so."""
    return [e.status.data["seconds"] for e in events if e.status and e.status.kind == "queued"]


class Server(ScriptedProvider):
    """An endpoint that many clients ask: `take(now)` says whether a request is answered, and when that is known."""

    def __init__(
        self,
        clock: Any,
        take: Take = lambda now: True,
        *,
        name: str = "a",
        key: str = "k",
        delay: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = name
        self.traits = ProviderTraits(default_model="m", budget_key=key)
        self.clock, self.take, self.delay = clock, take, delay
        self.latency = self.refusal_latency = 0.0
        self.times: list[float] = []
        self.refused: list[float] = []
        self.heard: float | None = None
        """When the first refusal reached the client."""

    async def stream(self, request: Any, call: Any) -> Any:
        self.times.append(now := self.clock.time())
        if not self.take(now):
            self.refused.append(now)
            if self.refusal_latency:
                await self.clock.sleep(self.refusal_latency)
            if self.heard is None:
                self.heard = self.clock.time()
            yield error(limited(self.delay))
            return
        await self.clock.sleep(self.latency)
        yield text_delta("ok")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)


def until(moment: float) -> Take:
    return lambda now: now >= moment


def client_of(server: Any, **options: Any) -> LLMClient:
    options = {"clock": getattr(server, "clock", None), "rng": Random(0), **options}
    return LLMClient(provider=server, **options)


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    return [event async for event in client.chat_completion(HI, **options)]


# --- a batch loses nothing -----------------------------------------------------------------------------------


def bucket(limit: int, seconds: float) -> Take:
    """`limit` at once, which fill again within `seconds`."""
    tokens, last = float(limit), 0.0

    def take(now: float) -> bool:
        nonlocal tokens, last
        tokens = min(limit, tokens + (now - last) * limit / seconds)
        last = now
        if tokens < 1 - 1e-9:
            return False
        tokens -= 1
        return True

    return take


def window(limit: int, seconds: float) -> Take:
    """`limit` in each period of `seconds`."""
    answered: Counter[int] = Counter()

    def take(now: float) -> bool:
        answered[int(now // seconds)] += 1
        return answered[int(now // seconds)] <= limit

    return take


def sliding(limit: int, seconds: float) -> Take:
    """`limit` within any `seconds`."""
    answered: list[float] = []

    def take(now: float) -> bool:
        free = len(answered) < limit or answered[-limit] <= now - seconds
        if free:
            answered.append(now)
        return free

    return take


class Batch(NamedTuple):
    lost: list[str]
    seconds: float
    beyond: int
    """Requests beyond the calls."""
    first: int
    """Refusals of what was sent before anybody had heard of one."""


async def batch(
    server: Any, clients: list[LLMClient], *, calls: int = 1000, at_once: int = 200
) -> Batch:
    lost: list[str] = []
    work = iter(range(calls))

    async def worker(client: LLMClient) -> None:
        for _ in work:
            last = check_stream(await collect(client))
            if last.error is not None:
                lost.append(last.error)

    began = server.clock.time()
    await asyncio.gather(*(worker(clients[number % len(clients)]) for number in range(at_once)))
    first = sum(moment <= server.heard for moment in server.refused)
    return Batch(lost, server.clock.time() - began, len(server.times) - calls, first)


@pytest.mark.parametrize("refusals", ["at once", "sooner than answers", "as late as answers"])
@pytest.mark.parametrize(
    "latency",
    [pytest.param(0.005, marks=pytest.mark.slow), 0.05, pytest.param(0.5, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("limit", [bucket, window, sliding])
async def test_a_batch_loses_nothing_and_sends_little_too_much(
    limit: Any, latency: float, refusals: str
) -> None:
    server = Server(VirtualClock(), limit(100, 1.0))
    server.latency = latency
    server.refusal_latency = {"at once": 0.0, "sooner than answers": 0.002}.get(refusals, latency)
    seed = f"{limit.__name__} {latency} {refusals}"
    done = await batch(server, [client_of(server, rng=Random(seed))])
    assert done.lost == []
    assert done.seconds <= 1.5 * 10
    assert done.beyond <= done.first + 0.02 * 1000


async def test_clients_that_share_a_key_share_the_pause() -> None:
    server = Server(VirtualClock(), bucket(100, 1.0))
    server.latency = 0.05
    done = await batch(server, [client_of(server, rng=Random(seed)) for seed in range(7)])
    assert done.lost == []
    assert done.beyond <= done.first + 0.02 * 1000


async def test_a_long_batch_is_tried_whether_more_is_allowed_and_still_loses_nothing() -> None:
    server = Server(VirtualClock(), window(20, 1.0))
    server.latency = 0.05
    done = await batch(server, [client_of(server)], calls=1000, at_once=50)
    assert done.lost == []
    assert done.seconds <= 1.5 * 50
    assert done.beyond <= done.first + 0.02 * 1000


async def test_a_limit_that_falls_loses_nothing_and_one_that_rises_is_used() -> None:
    slow, fast = bucket(20, 1.0), bucket(200, 1.0)
    server = Server(VirtualClock(), lambda now: (slow if now < 30 else fast)(now))
    server.latency = 0.05
    done = await batch(server, [client_of(server)], calls=3000, at_once=50)
    assert done.lost == []
    assert done.seconds < 75  # at 20 a second it would be 150
    quick, slow = bucket(100, 1.0), bucket(30, 1.0)
    server = Server(VirtualClock(), lambda now: (quick if now < 3 else slow)(now))
    server.latency = 0.05
    done = await batch(server, [client_of(server)], calls=800, at_once=50)
    assert done.lost == []


@pytest.mark.slow
async def test_a_batch_over_real_connections_loses_nothing() -> None:
    """100 a second, as 20 in 0.2 s; the whole takes some two seconds."""
    loop_time = asyncio.get_running_loop().time
    began = loop_time()
    take = bucket(20, 0.2)
    refusals: list[float] = []
    ok = answer("openai-chat")
    busy = refuse(429, {"error": {"message": "slow down"}}, retry_after_ms="200", retry_after="1")

    async def handler(request: Request, reply: Reply) -> None:
        if take(loop_time() - began):
            await asyncio.sleep(0.02)
            await ok(request, reply)
        else:
            refusals.append(loop_time())
            await busy(request, reply)

    heard: list[float] = []
    lost: list[str | None] = []
    work = iter(range(200))
    async with Loopback(handler) as server:
        policy = RetryPolicy(budget=RetryBudget(ratio=0, burst=0))
        async with LLMClient(
            "openai:m", api_key="k", base_url=server.url("openai"), retry=policy
        ) as client:

            async def worker() -> None:
                for _ in work:
                    events = []
                    async for event in client.chat_completion(HI):
                        if event.retry:
                            heard.append(loop_time())
                        events.append(event)
                    if (last := check_stream(events)).error:
                        lost.append(last.error)

            await asyncio.gather(*(worker() for _ in range(40)))
    assert lost == []
    first = sum(moment < heard[0] + 0.2 for moment in refusals)  # until then nothing new is sent
    assert len(server.requests) - 200 <= first + 0.05 * 200  # the machine may be busy


async def test_a_server_that_never_lets_in_ends_every_call_in_its_error() -> None:
    server = Server(VirtualClock(), until(1e9))
    many = await asyncio.gather(*(collect(client_of(server)) for _ in range(20)))
    for events in many:
        last = check_stream(events)
        assert last.error_info.kind == "rate_limit"
        assert last.error_info.attempts == 3
    assert len(server.times) == 60


# --- what is announced ---------------------------------------------------------------------------------------


async def test_the_one_refused_retries_the_others_are_queued() -> None:
    server = Server(VirtualClock(), until(3), delay=4.0)
    first, second = await asyncio.gather(collect(client_of(server)), collect(client_of(server)))
    assert check_stream(first).type is check_stream(second).type is EventType.MESSAGE_COMPLETE
    assert types(first)[:2] == ["retry", "message_start"]
    assert types(second)[:2] == ["status", "message_start"]
    status = second[0].status
    assert status.kind == "queued"
    assert status.data["provider"] == "a"
    assert f"{status.data['seconds']:.1f} s" in status.message
    assert 4 <= first[0].retry.delay <= 4.4
    assert server.times[1:] == pytest.approx(
        [first[0].retry.delay, status.data["seconds"]], rel=0.2
    )
    assert len(server.times) == 3  # none of the waits was an attempt


class SlowMachine(VirtualClock):
    """Each look at the clock takes a while."""

    def time(self) -> float:
        self.now += 0.01
        return self.now


@pytest.mark.parametrize("delay", [0.02, 1.0, 30.0])
async def test_a_slow_machine_announces_no_shorter_wait_than_the_server_asked_for(
    delay: float,
) -> None:
    server = Server(SlowMachine(), lambda now: len(server.times) > 1, delay=delay)
    first = await collect(client_of(server))
    assert delay <= first[0].retry.delay <= 1.1 * delay


async def test_the_wait_goes_on_while_the_consumer_holds_its_announcement() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=4.0)
    async for event in client_of(server).chat_completion(HI):
        if event.retry:
            await clock.sleep(3)
    assert 4 <= server.times[1] <= 4.4


async def test_a_clock_of_ones_own_that_skips_waits_is_taken_at_its_word() -> None:
    class Skipping(LoopClock):
        async def sleep(self, seconds: float) -> None:
            sleeps.append(seconds)

    sleeps: list[float] = []
    provider = ScriptedProvider([limited(30)], [limited(30)], ["ok"])
    events = await collect(client_of(provider, clock=Skipping()))
    assert check_stream(events).type is EventType.MESSAGE_COMPLETE
    assert len(sleeps) == 2


async def test_a_further_pause_is_announced_and_is_no_attempt_of_those_who_wait() -> None:
    server = Server(VirtualClock(), until(6), delay=4.0)
    many = await asyncio.gather(*(collect(client_of(server)) for _ in range(3)))
    assert all(check_stream(events).type is EventType.MESSAGE_COMPLETE for events in many)
    assert types(many[0])[:2] == ["retry", "retry"]
    assert [len(queued(events)) for events in many[1:]] == [2, 2]
    assert len(server.times) == 5


async def test_in_batch_mode_the_wait_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmstream")
    server = Server(VirtualClock(), until(3), delay=4.0)
    first, second = await asyncio.gather(
        *(collect(client_of(server), stream=False) for _ in range(2))
    )
    assert types(first) == types(second) == ["message_complete"]
    assert "a limits the rate: all calls to it wait for 4." in caplog.text
    assert caplog.text.count("status: queued") == 1


async def test_once_nothing_waits_all_go_freely() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=4.0)
    await asyncio.gather(*(collect(client_of(server)) for _ in range(3)))
    began, asked = clock.now, len(server.times)
    many = await asyncio.gather(*(collect(client_of(server)) for _ in range(100)))
    assert {*server.times[asked:]} == {began}
    assert not any(queued(events) for events in many)


# --- whom it concerns ----------------------------------------------------------------------------------------


async def test_another_key_is_not_paused() -> None:
    clock = VirtualClock()
    server, other = Server(clock, until(3)), Server(clock, key="another")
    _, events = await asyncio.gather(collect(client_of(server)), collect(client_of(other)))
    assert types(events)[0] == "message_start"
    assert other.times == [0.0]


async def test_providers_without_a_key_of_their_own_are_not_paused_together() -> None:
    first = ScriptedProvider([limited(30)])
    await collect(client_of(first, retry=RetryPolicy(max_attempts=1)))
    before = account(first)
    del first
    gc.collect()
    second = ScriptedProvider(["ok"])
    assert account(second) not in (before, id(second))
    assert types(await collect(client_of(second)))[0] == "message_start"


@pytest.mark.parametrize(
    "info", [ErrorInfo("rate_limit"), ErrorInfo("overloaded", retry_after=5.0, status_code=529)]
)
async def test_only_a_rate_limit_with_a_delay_pauses_the_others(info: ErrorInfo) -> None:
    provider = ScriptedProvider([info], ["ok"], ["ok"])
    clock = VirtualClock()
    clients = [client_of(provider, clock=clock) for _ in range(2)]
    first, second = await asyncio.gather(*(collect(client) for client in clients))
    assert (types(first)[0], types(second)[0]) == ("retry", "message_start")


async def test_a_delay_beyond_the_limit_pauses_nobody_and_a_shorter_limit_does_not_wait() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=90.0)
    assert check_stream(await collect(client_of(server))).error_info.retry_after == 90
    assert not PAUSES.of("k", clock.time).paused(clock.now)
    patient, hasty = client_of(server, retry=RetryPolicy(max_retry_after=100)), client_of(server)
    first, second = await asyncio.gather(collect(patient), collect(hasty))
    assert check_stream(first).type is EventType.MESSAGE_COMPLETE
    info = check_stream(second).error_info
    assert (info.kind, info.provider, info.attempts, info.retryable) == ("rate_limit", "a", 0, True)
    assert "max_retry_after is 60 s" in info.message
    assert info.retry_after >= 90


async def test_a_call_that_may_not_retry_still_pauses_the_others() -> None:
    server = Server(VirtualClock(), until(3), delay=4.0)
    once = client_of(server, retry=RetryPolicy(max_attempts=1))
    first, second = await asyncio.gather(collect(once), collect(client_of(server)))
    assert types(first) == ["error"]
    assert types(second)[:2] == ["status", "message_start"]


async def test_threads_share_the_pause() -> None:
    """Each has a client, a clock and an event loop of its own."""
    refused = threading.Event()
    events: list[StreamEvent] = []

    class Shared(ScriptedProvider):
        traits = ProviderTraits(default_model="m", budget_key="test_threads_share_the_pause")

    def other() -> None:
        assert refused.wait(PATIENCE)
        events.extend(asyncio.run(collect(LLMClient(provider=Shared(["ok"])))))

    thread = threading.Thread(target=other)
    thread.start()
    client = LLMClient(provider=Shared([limited(0.3)], ["ok"]))
    async for event in client.chat_completion(HI):
        if event.retry:
            refused.set()
            await asyncio.to_thread(thread.join)
    assert types(events) == ["status", "message_start", "text_delta", "message_complete"]
    assert 0 < queued(events)[0] < 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_begins_without_the_pauses_and_locks_of_its_parent() -> None:
    program = """
import os, time
from llmstream.limits.pauses import PAUSES
endpoint = PAUSES.of("k", time.monotonic)
endpoint.refused(0.0, time.monotonic(), 60.0, 60.0)
import threading
held = threading.Event()
def hold():
    with PAUSES._lock, endpoint.lock:
        held.set()
        time.sleep(60)
threading.Thread(target=hold, daemon=True).start()
held.wait()
if not os.fork():
    print(PAUSES.of("k", time.monotonic).paused(time.monotonic()), flush=True)
    print(PAUSES.of("other", time.monotonic).paused(time.monotonic()), flush=True)
    os._exit(0)
os.wait()
os._exit(0)
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]


# --- how a wait ends before its time -------------------------------------------------------------------------


async def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=9.0)
    hasty = client_of(server, timeouts=Timeouts(total=5))
    refused, waits = await asyncio.gather(collect(client_of(server)), collect(hasty))
    assert check_stream(refused).type is EventType.MESSAGE_COMPLETE
    assert types(waits) == ["error"]
    info = check_stream(waits).error_info
    assert (info.kind, info.attempts) == ("rate_limit", 0)
    assert "timeouts.total leaves 5.0 s" in info.message
    assert len(server.times) == 2


async def test_a_refused_call_without_the_time_to_wait_ends_in_its_own_error() -> None:
    server = Server(VirtualClock(), until(3), delay=9.0)
    events = await collect(client_of(server, timeouts=Timeouts(total=5)))
    assert types(events) == ["error"]
    assert check_stream(events).error_info.message == "slow down"


async def test_a_further_pause_beyond_the_deadline_ends_the_wait() -> None:
    clock = VirtualClock()
    server = Server(clock, lambda now: len(server.times) <= 50 or now >= 6, delay=4.0)
    for _ in range(50):
        await collect(client_of(server))
    hasty = client_of(server, timeouts=Timeouts(total=7))
    first, second = await asyncio.gather(collect(client_of(server)), collect(hasty))
    assert check_stream(first).type is EventType.MESSAGE_COMPLETE
    assert types(second) == ["status", "error"]
    assert check_stream(second).error_info.attempts == 0


async def test_calls_that_are_cancelled_in_the_queue_hold_nobody_up() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=4.0)
    client = client_of(server)
    refused = asyncio.create_task(collect(client))
    waiting = [asyncio.create_task(collect(client)) for _ in range(50)]
    while not server.refused:
        await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    late = asyncio.create_task(collect(client))
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*waiting)
    assert (
        check_stream(await refused).type
        is check_stream(await late).type
        is EventType.MESSAGE_COMPLETE
    )
    assert clock.now < 3 * 4
    assert not PAUSES.of("k", clock.time).paused(clock.now)


async def test_a_stream_left_at_its_announcement_gives_its_place_up() -> None:
    clock = VirtualClock()
    server = Server(clock, until(3), delay=4.0)
    client = client_of(server)
    for kind in (EventType.RETRY, EventType.STATUS):
        async with client.stream(HI) as stream:
            assert (await anext(stream)).type is kind
    await clock.sleep(5)
    assert types(await collect(client))[0] == "message_start"
    assert server.times == [0.0, 5.0]


async def test_a_stream_that_is_held_at_its_announcement_does_not_slow_the_others_for_ever() -> (
    None
):
    clock = VirtualClock()
    server = Server(clock, until(3), delay=4.0)
    client = client_of(server)
    held = client.chat_completion(HI)
    assert (await anext(held)).type is EventType.RETRY
    await clock.sleep(20)
    many = await asyncio.gather(*(collect(client) for _ in range(10)))
    assert {*server.times[1:]} == {20.0}
    assert not any(queued(events) for events in many)
    rest = [event async for event in held]
    assert rest[-1].type is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("stream", [True, False])
async def test_closing_the_client_ends_a_call_in_the_queue_at_once(*, stream: bool) -> None:
    class Shared(ScriptedProvider):
        traits = ProviderTraits(default_model="m", budget_key=f"closing {stream}")

    await collect(LLMClient(provider=Shared([limited(30)]), retry=RetryPolicy(max_attempts=1)))
    provider = Shared(["never"])
    client = LLMClient(provider=provider)
    events: list[StreamEvent] = []

    async def read() -> None:
        async for event in client.chat_completion(HI, stream=stream):
            events.append(event)  # noqa: PERF401  # what came is looked at meanwhile

    reading = asyncio.create_task(read())
    attempts = None
    while attempts is None or attempts._wait is None:
        await asyncio.sleep(0)
        attempts = next(iter(client._calls), None)
    await client.aclose()
    await asyncio.wait_for(reading, PATIENCE)
    assert types(events) == [*["status"] * stream, "error"]
    assert events[-1].error_info.code == "closed"
    assert provider.requests == []


# --- fallbacks -----------------------------------------------------------------------------------------------


async def test_a_paused_endpoint_is_skipped_for_a_fallback_that_is_free() -> None:
    clock = VirtualClock()
    first, second = Server(clock, until(3)), Server(clock, name="b", key="other")
    client = client_of(first, fallbacks=[second])
    refused, skipping = await asyncio.gather(collect(client), collect(client))
    for events in (refused, skipping):
        assert check_stream(events).type is EventType.MESSAGE_COMPLETE
        assert [(e.retry.provider, e.retry.delay, e.retry.kind) for e in events if e.retry] == [
            ("b", 0, "rate_limit")
        ]
        assert queued(events) == []
    assert (len(first.times), len(second.times), clock.now) == (1, 2, 0)


async def test_a_fallback_that_is_paused_too_is_not_gone_to() -> None:
    clock = VirtualClock()
    first, second = Server(clock, until(3)), Server(clock, until(3), name="b", key="other")
    await collect(client_of(second, retry=RetryPolicy(max_attempts=1)))
    client = client_of(first, fallbacks=[second])
    refused, waiting = await asyncio.gather(collect(client), collect(client))
    assert types(refused)[0] == "retry"
    assert refused[0].retry.provider == "a"
    assert types(waiting)[0] == "status"
    assert waiting[0].status.data["provider"] == "a"


async def test_another_model_of_the_paused_endpoint_is_no_way_out() -> None:
    clock = VirtualClock()
    server = Server(clock, until(0.5))
    events = await collect(client_of(server, fallbacks=[Server(clock, name="b")]))
    assert [(e.retry.provider, e.retry.attempt) for e in events if e.retry] == [("a", 2)]
    assert check_stream(events).type is EventType.MESSAGE_COMPLETE


async def test_a_continuation_waits_without_dropping_what_was_shown() -> None:
    provider = ScriptedProvider(["one", ErrorInfo("truncated")], [" two"])
    clock = VirtualClock()
    client = client_of(provider, clock=clock, on_interrupt="continue")
    events = []
    async for event in client.chat_completion(HI):
        events.append(event)
        if event.text == "one":
            PAUSES.of(account(provider), clock.time).refused(clock.now, clock.now, 9.0, 9.0)
    assert check_stream(events, going_on=True).message.text == "one two"
    assert types(events)[2:5] == ["retry", "status", "message_start"]
    assert clock.now >= 9


# --- the budget ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [None, RetryBudget(ratio=0, burst=0)])
async def test_a_delay_of_the_servers_draws_on_no_budget(budget: RetryBudget | None) -> None:
    server = Server(VirtualClock(), until(3), delay=4.0)
    events = await collect(client_of(server, retry=RetryPolicy(budget=budget)))
    assert check_stream(events).type is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("kind", ["server", "rate_limit", "overloaded"])
async def test_a_retry_that_the_budget_refuses_says_so(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    policy = RetryPolicy(budget=RetryBudget(ratio=0, burst=0))
    provider = ScriptedProvider([ErrorInfo(kind, "down")], [ErrorInfo(kind, code="theirs")])
    client = client_of(provider, clock=VirtualClock(), retry=policy)
    ours, theirs = [check_stream(await collect(client)) for _ in range(2)]
    assert "down; not tried again: the retry budget" in ours.error
    assert "RetryPolicy.budget" in ours.error
    assert ours.error_info.code == "retry_budget"
    assert "the retry budget" in theirs.error
    assert theirs.error_info.code == "theirs"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["the retry budget" in record.getMessage() for record in warnings] == [True, True]


async def test_a_fallback_that_the_budget_refuses_says_so() -> None:
    clock, budget = VirtualClock(), RetryBudget(ratio=0, burst=1)
    first, second = (
        ScriptedProvider(*[[ErrorInfo("server")]] * 9),
        ScriptedProvider(*[[ErrorInfo("server")]] * 9),
    )
    first.traits = second.traits = ProviderTraits(default_model="m", budget_key="one")
    client = client_of(
        first, clock=clock, fallbacks=[second], retry=RetryPolicy(max_attempts=1, budget=budget)
    )
    assert "budget" not in check_stream(await collect(client)).error
    assert "the retry budget" in check_stream(await collect(client)).error


def test_errors_in_the_budgets_way_have_no_delay_told_twice() -> None:
    """`pause` and `delay` agree about what the server asked for."""
    policy, info = RetryPolicy(), limited(10.0)
    assert policy.pause(info, Random(3)) == policy.delay(1, info, Random(3))
    assert policy.pause(limited(61.0), Random(3)) is None
    assert policy.pause(limited(10.0, retryable=False), Random(3)) is None
    assert policy.pause(limited(0.0), Random(3)) is None


# --- the queue on its own, without a clock -------------------------------------------------------------------


def paused_endpoint(answered: int = 100, *, delay: float = 1.0) -> tuple[KnownEndpoint, float]:
    """One that answered so many in the delay before it refused, and when its pause ends."""
    endpoint = KnownEndpoint()
    for number in range(answered):
        endpoint.sent(delay * (number + 1) / answered)
    endpoint.sent(delay)
    endpoint.failed(delay)
    assert endpoint.refused(delay, delay, delay, delay)
    return endpoint, 2 * delay


def enter(endpoint: KnownEndpoint, now: float) -> PausePlace:
    place = endpoint.enter(now)
    assert place is not None
    return place


def let_through(
    waiting: list[PausePlace], now: float, step: Callable[[], float] = lambda: 0.0
) -> list[float]:
    """When each goes, if they ask whenever they were told to, or as much later as `step` says."""
    due = [(now + place.go(now), number, place) for number, place in enumerate(waiting)]
    gone = []
    while due:
        due.sort()
        when, number, place = due.pop(0)
        now = max(now, when) + step()
        if seconds := place.go(now):
            due.append((now + seconds, number, place))
        else:
            gone.append(now)
    return gone


@pytest.mark.parametrize(("answered", "delay"), [(100, 1.0), (10, 0.1), (30, 20.0), (4000, 1.0)])
def test_they_go_at_95_percent_of_the_rate_before(answered: int, delay: float) -> None:
    endpoint, end = paused_endpoint(answered, delay=delay)
    gone = let_through([enter(endpoint, delay) for _ in range(50)], delay)
    assert gone[0] == pytest.approx(end)
    assert (len(gone) - 1) / (gone[-1] - gone[0]) == pytest.approx(
        SHARE * answered / delay, rel=0.03
    )
    assert endpoint.enter(gone[-1]) is None


def test_each_further_pause_makes_them_a_little_slower() -> None:
    endpoint, _ = paused_endpoint()
    now, paces = 1.0, []
    for _ in range(4):
        waiting = [enter(endpoint, now) for _ in range(200)]
        gone = let_through(waiting[:90], now)
        for moment in gone:
            endpoint.sent(moment)
        paces.append((len(gone) - 1) / (gone[-1] - gone[0]))
        now = gone[-1]
        endpoint.failed(now)
        endpoint.refused(now, now, 1.0, 1.0)
        for place in waiting[90:]:
            place.leave()
        assert endpoint.paused(now)
    for before, after in itertools.pairwise(paces):
        assert 0.8 * before < after < before


def test_a_refusal_that_was_on_its_way_only_prolongs_the_pause() -> None:
    endpoint, end = paused_endpoint()
    waiting = [enter(endpoint, 1.0) for _ in range(20)]
    assert not endpoint.refused(0.9, 1.5, 1.0, 1.0)
    assert not waiting[0].renewed
    gone = let_through(waiting, 1.5)
    assert gone[0] == pytest.approx(end + 0.5)
    assert (len(gone) - 1) / (gone[-1] - gone[0]) == pytest.approx(95, rel=0.03)


def test_with_nothing_answered_before_it_begins_slowly_and_doubles() -> None:
    endpoint, _ = paused_endpoint(0)
    waiting = [enter(endpoint, 1.0) for _ in range(200)]
    assert 7 < max(place.go(1.0) for place in waiting) < 10
    gone = let_through(waiting, 1.0)
    assert [
        sum(second <= moment - gone[0] < second + 1 for moment in gone) for second in (0, 2, 4, 6)
    ] == [pytest.approx(count, abs=2 + count // 4) for count in (1, 4, 16, 64)]


def test_a_loop_that_stands_still_does_not_let_a_crowd_through_afterwards() -> None:
    endpoint, end = paused_endpoint()
    waiting = [enter(endpoint, 1.0) for _ in range(90)]
    for place in waiting:
        place.go(1.0)
    late = end + 0.5
    assert sum(place.go(late) == 0 for place in waiting) <= 0.05 * 100 + 1


@given(st.integers(1, 300), st.lists(st.integers(0, 120), max_size=10), st.integers(0, 2**32))
def test_whoever_leaves_and_however_late_they_wake_all_go_and_never_too_many(
    answered: int, leave: list[int], seed: int
) -> None:
    rng = Random(seed)
    endpoint, end = paused_endpoint(answered)
    waiting = [enter(endpoint, 1.0) for _ in range(120)]
    for number in leave:
        if number < len(waiting):
            waiting.pop(number).leave()
    gone = let_through(waiting, 1.0, lambda: rng.random() ** 8 * 0.2)
    assert len(gone) == len(waiting)
    assert gone[0] >= end - 1e-6
    for moment in gone:
        within = sum(moment <= other < moment + 1 for other in gone if other <= end + 9)
        assert within <= max(answered, 1) + 1
    assert not endpoint.paused(gone[-1] + 1)


def test_what_is_kept_of_an_endpoint_has_a_bound() -> None:
    sends = Sends()
    for number in range(10 * Sends.KEPT):
        sends.add(number / 10)
    assert len(sends._times) == len(sends._counts) <= Sends.KEPT
    last = (10 * Sends.KEPT - 1) / 10
    assert sends.between(last - 10, last) == 100
    sends.take_back(last)
    sends.take_back(-1.0)
    assert sends.between(last - 10, last) == 99


def test_endpoints_without_a_pause_are_forgotten_when_there_are_too_many() -> None:
    pauses = Pauses()
    clock = VirtualClock()
    paused = pauses.of("paused", clock.time)
    paused.refused(0, 0, 9, 9)
    for number in range(3 * Pauses.KEPT):
        pauses.of(number, clock.time)
    assert len(pauses._endpoints) == Pauses.KEPT
    assert pauses.of("paused", clock.time) is paused
    clock.now = 10
    pauses.of("one more", clock.time)
    assert len(pauses._endpoints) == Pauses.KEPT
    assert pauses.of("paused", clock.time) is not paused


def test_threads_take_places_without_an_error_or_a_place_too_many() -> None:
    endpoint, end = paused_endpoint(100)
    gone: list[float] = []
    failed: list[Exception] = []

    def use() -> None:
        try:
            for place in [enter(endpoint, 1.0) for _ in range(50)]:
                now = 1.0
                while seconds := place.go(now):
                    now += seconds
                gone.append(now)
                endpoint.sent(now)
                endpoint.failed(now)
        except Exception as problem:  # noqa: BLE001  # whatever it is
            failed.append(problem)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failed == []
    assert len(gone) == 200
    assert min(gone) >= end - 1e-6
    assert not endpoint.paused(max(gone) + 1)
