"""A limiter whose state is in Redis, in as few words as will do: what the protocols of limits must allow.

Workers lease slices of a rate (the generic cell rate algorithm, in Redis's own time), and tell each other of pauses.
As a program it is one worker: `python -m tests.remote_limits PORT BASE_URL CALLS`. It prints how each call ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import Any, Self
from uuid import uuid4

from redis.asyncio import Redis

from llmstream import LLMClient
from llmstream.limits import Asking, Endpoint, Limiter, Reservation, Time, Wait
from llmstream.limits.pauses import KnownEndpoint
from llmstream.messages import Usage

_LEASE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local next = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if next > now then return tostring(next - now) end
redis.call('SET', KEYS[1], string.format('%.6f', next + ARGV[1]), 'EX', 60)
return '0'
"""
"""Leases a slice that lasts for ARGV[1] seconds: "0", or the seconds until one is free."""
_PAUSES = "pauses"
_WAIT = Wait("is limited by all workers", "their queue is too long", "rate_limit", skips=False)


class RedisLimiter(Limiter):
    """Holds all workers to so many requests a second. `async with`: it listens to the others meanwhile."""

    def __init__(self, redis: Redis, requests: float, *, slice: int = 2) -> None:
        self.redis, self.slice, self.seconds = redis, slice, slice / requests
        self.heard = asyncio.Event()
        """Another worker was refused."""
        self._me = uuid4().hex
        self._leases: dict[str, Lease] = {}
        self._endpoints: dict[Hashable, RedisEndpoint] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._others = self.redis.pubsub()
        await self._others.subscribe(_PAUSES)
        self.start(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._others.aclose()

    def enter(self, asking: Asking, time: Time) -> Reservation:
        key = f"{asking.account}:{asking.model}"
        return RedisPlace(self._leases.setdefault(key, Lease(self, key)))

    def endpoint(self, account: Hashable, time: Time) -> Endpoint:
        return self._endpoint(account)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the calls: none of them is held up."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, account: Hashable, delay: float, seconds: float) -> None:
        """Tell the other workers of a pause."""
        told = json.dumps([self._me, account, delay, seconds])
        self.start(self._publish(told))

    def _endpoint(self, account: Hashable) -> RedisEndpoint:
        return self._endpoints.setdefault(account, RedisEndpoint(self, account))

    async def _publish(self, told: str) -> None:
        await self.redis.publish(_PAUSES, told)

    async def _listen(self) -> None:
        async for message in self._others.listen():
            if message["type"] != "message":
                continue
            worker, account, delay, seconds = json.loads(message["data"])
            if worker != self._me:
                self._endpoint(account).heard(delay, seconds)
                self.heard.set()


class RedisEndpoint(KnownEndpoint):
    """What this worker knows of an endpoint, and the pauses that others were told."""

    def __init__(self, limiter: RedisLimiter, account: Hashable) -> None:
        super().__init__()
        self._limiter, self._account = limiter, account

    def refused(self, sent: float, now: float, delay: float, seconds: float) -> bool:
        self._limiter.tell(self._account, delay, seconds)
        return super().refused(sent, now, delay, seconds)

    def heard(self, delay: float, seconds: float) -> None:
        now = time.monotonic()
        super().refused(now, now, delay, seconds)


class Lease:
    """What this worker has of one key's rate, and who waits for more."""

    def __init__(self, limiter: RedisLimiter, key: str) -> None:
        self._limiter, self._key = limiter, key
        self.left = 0
        self.ready: float | None = None
        self.waiting: deque[RedisPlace] = deque()
        self._is_asking = False

    def wait(self, place: RedisPlace) -> None:
        """Stand in the queue, and see that somebody asks for it."""
        if place not in self.waiting:
            self.waiting.append(place)
        if not self._is_asking:
            self._is_asking = True
            self._limiter.start(self._ask())

    async def _ask(self) -> None:
        try:
            while self.waiting:
                await self._take_slice()
        finally:
            self._is_asking = False

    async def _take_slice(self) -> None:
        lease = self._limiter.redis.eval(_LEASE, 1, self._key, str(self._limiter.seconds))
        seconds = float(await lease)
        if seconds > 0:
            self.ready = time.monotonic() + seconds
            await asyncio.sleep(seconds)
            return
        self.ready, self.left = None, self.left + self._limiter.slice
        for place in [*self.waiting][: self.left]:
            self.waiting.remove(place)
            self.left -= 1
            place.grant()


class RedisPlace(Reservation):
    """One attempt's place."""

    wait = _WAIT

    def __init__(self, lease: Lease) -> None:
        self.look = 0.0
        self.on_change: Callable[[], None] | None = None
        self._lease = lease
        self._is_granted = self._is_sent = self._told = False

    def go(self, now: float) -> float | None:
        if not self._is_granted and self._lease.left:
            self._lease.left -= 1
            self._is_granted = True
        if self._is_granted:
            return 0.0
        self._lease.wait(self)
        self.look = now + 60.0
        return None if self._lease.ready is None else max(self._lease.ready - now, 0.001)

    def grant(self) -> None:
        self._is_granted = True
        if self.on_change is not None:
            self.on_change()

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        return None

    @property
    def renewed(self) -> bool:
        return not self._told

    def announced(self) -> None:
        self._told = True

    def sent(self) -> None:
        self._is_sent = True

    def heard(self, rate_limits: Mapping[str, str], now: float) -> None:
        """Leases are of requests alone."""

    def settle(self, usage: Usage | None, now: float) -> None:
        """Leases are of requests alone."""

    def leave(self) -> None:
        if self in self._lease.waiting:
            self._lease.waiting.remove(self)
        if self._is_granted and not self._is_sent:
            self._lease.left += 1  # the next one here takes it
        self._is_granted, self._is_sent = False, True


async def work(port: int, base_url: str, calls: int) -> list[str | None]:
    """The errors of so many calls at a time; None for each that came to its end."""
    async with (
        Redis(port=port) as redis,
        RedisLimiter(redis, 20) as limiter,
        LLMClient("openai:m", api_key="k", base_url=base_url, limiter=limiter) as client,
    ):

        async def call() -> str | None:
            hi = [{"role": "user", "content": "hi"}]
            *_, last = [event async for event in client.chat_completion(hi)]
            return last.error

        return [*await asyncio.gather(*(call() for _ in range(calls)))]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
