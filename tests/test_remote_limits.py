"""Limits whose state is elsewhere, behind the same protocols: no caller knows."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from redis.asyncio import Redis

from llmstream import LLMClient
from tests.conversations import conftest
from tests.loopback import Loopback, Reply, Request, answer, refuse
from tests.patience import PATIENCE
from tests.remote_limits import RedisLimiter
from tests.test_pauses import HI, queued

redis_port = conftest.redis_port
OK = answer("openai-chat")


async def worker(redis_port: int, server: Loopback, calls: int) -> list[str | None]:
    """How the calls of another process ended."""
    arguments = [str(redis_port), server.url("openai"), str(calls)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.remote_limits", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    ended: list[str | None] = json.loads(out)
    return ended


async def test_workers_share_a_rate(redis_port: int) -> None:
    arrived: list[float] = []

    async def serve(request: Request, reply: Reply) -> None:
        arrived.append(time.monotonic())
        await OK(request, reply)

    async with Redis(port=redis_port) as redis, Loopback(serve) as server:
        await redis.flushdb()
        ended = await asyncio.gather(*(worker(redis_port, server, 15) for _ in range(2)))
    assert ended == [[None] * 15] * 2
    # Slices of two are leased 0.1 s apart: fifteen of them, whoever takes them.
    assert arrived[-1] - arrived[0] >= 1.4 - 0.2


async def test_one_workers_refusal_pauses_all(redis_port: int) -> None:
    refused = asyncio.Event()
    busy = refuse(429, {"error": {"message": "slow down"}}, retry_after="2")

    async def serve(request: Request, reply: Reply) -> None:
        if refused.is_set():
            await OK(request, reply)
            return
        refused.set()
        await busy(request, reply)

    async with (
        Redis(port=redis_port) as redis,
        Loopback(serve) as server,
        RedisLimiter(redis, 1000) as limiter,
        LLMClient(
            "openai:m", api_key="k", base_url=server.url("openai"), limiter=limiter
        ) as client,
    ):
        await redis.flushdb()
        other = asyncio.create_task(worker(redis_port, server, 1))
        await asyncio.wait_for(limiter.heard.wait(), PATIENCE)
        assert len(server.requests) == 1
        events: list[Any] = [event async for event in client.chat_completion(HI)]
        assert events[-1].error is None
        (seconds,) = queued(events)
        assert 0 < seconds <= 2.2
        assert await other == [None]
