"""However calls end that wait for a limiter, each end is told once, and nothing of the rate is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy, Timeouts
from llmstream.limits import Asking, LocalLimiter, Rate
from llmstream.limits.fair_queue import FairQueue
from llmstream.messages import ChatRequest, Message, TextPart
from llmstream.providers import ProviderTraits
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.patience import PATIENCE
from tests.test_limits import Metered
from tests.test_observe import Recorder
from tests.test_pauses import HI, queued

ENDINGS = ["read", "break", "drop", "cancel", "double cancel", "client closed", "total"]
RATES = [
    Rate(concurrent=1),
    Rate(requests=1, per=10.0),
    Rate(output_tokens=500, per=10.0),
    Rate(requests=1, output_tokens=500, concurrent=1, per=10.0),
]
ASKING = Asking("a", "m", "k", ChatRequest([Message("user", [TextPart("hi")])], "m"))


async def passing(request: Any, call: Any, next: Any) -> Any:
    async for event in next(request):
        yield event


async def read(events: Any) -> None:
    async for _ in events:
        pass


async def leave(events: Any, *, close: bool) -> None:
    """Read the first event, and no further."""
    await anext(events)
    if close:
        await events.aclose()


def check_nothing_is_held(queue: FairQueue) -> None:
    assert (queue._running, queue._waiting) == (0, 0)
    assert queue._unheard.requests == queue._unheard.tokens == 0
    assert all(line.cost == pytest.approx(0) for line in queue._lines.values())


@given(
    rate=st.sampled_from(RATES),
    endings=st.lists(
        st.tuples(st.sampled_from(ENDINGS), st.booleans(), st.sampled_from("ab")),
        min_size=1,
        max_size=4,
    ),
    max_wait=st.sampled_from([1.5, 1e6]),
    middleware=st.integers(0, 2),
    fails=st.booleans(),
)
def test_each_ending_in_the_queue_is_told_once_and_holds_nothing(
    rate, endings, max_wait, middleware, *, fails
) -> None:
    """Somebody has the rate for five seconds. The others end in the queue after two; or, "read", after their turn."""

    async def story() -> None:
        clock = VirtualClock()
        server = Metered(clock, lambda now: not fails or len(server.times) % 2 == 0)
        limiter = LocalLimiter(
            rate,
            key=lambda _: 0,
            tenant=lambda asking: asking.headers.get("tenant"),
            max_wait=max_wait,
        )
        options: dict[str, Any] = {
            "provider": server,
            "clock": clock,
            "limiter": limiter,
            "middleware": [passing] * middleware,
            "retry": RetryPolicy(max_attempts=2, budget=None),
        }
        holder = limiter.enter(ASKING, clock.time)
        assert holder is not None
        assert holder.go(0.0) == 0
        holder.sent()
        clock.call_later(5.0, holder.leave)
        observers, tasks = [], []
        for ending, stream, tenant in endings:
            observers.append(Recorder())
            client = LLMClient(observers=observers[-1:], **options)
            timeouts = Timeouts(total=1.0 if ending == "total" else None)
            source = client.chat_completion(
                HI, stream, headers={"tenant": tenant}, timeouts=timeouts
            )
            is_left = ending in ("break", "drop")
            way = leave(source, close=ending == "break") if is_left else read(source)
            task = asyncio.create_task(way)
            tasks.append(task)
            if "cancel" in ending:
                clock.call_later(2.0, task.cancel)
            if ending == "double cancel":
                clock.call_later(2.0, task.cancel)
            if ending == "client closed":
                closing = client.aclose
                clock.call_later(2.0, lambda c=closing: tasks.append(asyncio.create_task(c())))
            del source, way, task
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, PATIENCE)
        tasks.clear()
        gc.collect(0)
        for observer in observers:
            await asyncio.wait_for(observer.ended.wait(), PATIENCE)
            observer.check()
        server.take = lambda now: True
        await clock.sleep(100.0)
        (queue,) = limiter._queues.values()
        check_nothing_is_held(queue)
        events = [event async for event in LLMClient(**options).chat_completion(HI)]
        assert not queued(events)
        check_nothing_is_held(queue)

    asyncio.run(story())


# --- threads and forks -----------------------------------------------------------------------------------------


def test_threads_share_a_limiter() -> None:
    """Each has a client and an event loop of its own."""
    lock, running, most, done = threading.Lock(), 0, 0, []

    class Counting(ScriptedProvider):
        traits = ProviderTraits(default_model="m", budget_key="test_threads_share_a_limiter")

        async def stream(self, request: Any, call: Any) -> Any:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            try:
                async for event in super().stream(request, call):
                    await asyncio.sleep(0)
                    yield event
            finally:
                with lock:
                    running -= 1

    limiter = LocalLimiter(Rate(concurrent=3, requests=100_000))

    async def ask() -> None:
        client = LLMClient(provider=Counting(*[["a", "b"]] * 25), limiter=limiter)
        await asyncio.gather(*(read(client.chat_completion(HI)) for _ in range(25)))
        done.append(25)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(interval)
    assert done == [25] * 4
    assert most == 3
    (queue,) = limiter._queues.values()
    check_nothing_is_held(queue)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_has_a_rate_of_its_own() -> None:
    """Though its parent's is used up, and a thread of its parent held the locks: dropping a place doesn't hang."""
    program = """
import os, threading, time
from llmstream.limits import LocalLimiter, Rate
from tests.test_limiter_endings import ASKING
limiter = LocalLimiter(Rate(concurrent=1))
place = limiter.enter(ASKING, time.monotonic)
waiting = limiter.enter(ASKING, time.monotonic)
print(place.go(0), waiting.go(0) > 0, flush=True)
(queue,) = limiter._queues.values()
held = threading.Event()
def hold():
    with limiter._lock, queue._lock:
        held.set()
        time.sleep(60)
threading.Thread(target=hold, daemon=True).start()
held.wait()
if not os.fork():
    del queue, place, waiting
    own = limiter.enter(ASKING, time.monotonic)
    print(own.go(0), limiter.enter(ASKING, time.monotonic).go(0) > 0, flush=True)
    os._exit(0)
print(os.wait()[1], flush=True)
os._exit(0)
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.split() == ["0.0", "True", "0.0", "True", "0"]
