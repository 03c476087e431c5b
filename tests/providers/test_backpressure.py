"""Nothing stands between the socket and the consumer: who reads slowly stops the server, and memory stays flat."""

from __future__ import annotations

import asyncio
import re
import socket
import tracemalloc

import pytest

from llmstream import EventType, LLMClient, Timeouts
from llmstream.testing.frame_editor import edit_frame
from llmstream.wire.formats import find_format
from tests.loopback import APIS, CutError, Loopback, Reply, Request, pieces
from tests.patience import PATIENCE

PIECE = "word " * 200  # a thousand bytes
KERNEL = 8 * 1024 * 1024
"""More than the kernel holds for one connection on its own account."""
MEMORY = 3 * 1024 * 1024
"""What an SDK imports in its first request is the most of it."""


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
@pytest.mark.parametrize("provider", list(APIS))
async def test_a_slow_consumer_stops_an_endless_server(provider: str, transport: str) -> None:
    sent = 0
    stopped, stalled = asyncio.Event(), asyncio.Event()

    async def endless(request: Request, reply: Reply) -> None:
        nonlocal sent
        reply.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024
        )
        reply.writer.transport.set_write_buffer_limits(high=0)
        head, *rest = pieces(APIS[provider], "x " * 4)
        await reply.head()
        await reply.send(head)
        word = re.compile(rb'" ?x"')
        framing = find_format(APIS[provider]).framing
        whole = f'"{PIECE}"'.encode()
        delta = edit_frame(framing, rest[1], lambda data: word.sub(whole, data))
        while True:
            writing = asyncio.ensure_future(reply.send(delta))
            while not writing.done():
                idle = stopped.is_set()
                done, _ = await asyncio.wait({writing}, timeout=0.2)
                if idle and not done:
                    stalled.set()
                    writing.cancel()
                    raise CutError
            sent += len(delta)

    options = {"transport": transport, "keep_message": False, "timeouts": Timeouts(total=None)}
    async with (
        Loopback(endless) as server,
        LLMClient(
            f"{provider}:m", api_key="sk-loopback", base_url=server.url(provider), **options
        ) as client,
        client.stream([{"role": "user", "content": "go on"}]) as stream,
    ):
        taken = 0
        tracemalloc.start()
        try:
            async for event in stream:
                taken += len(event.text)
                if taken > 100_000:
                    break
            stopped.set()
            await asyncio.wait_for(stalled.wait(), PATIENCE)
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert event.type is EventType.TEXT_DELTA
    assert sent < KERNEL
    assert grown < MEMORY
