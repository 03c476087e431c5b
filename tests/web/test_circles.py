"""Nothing of a request leads back to itself: all of it goes with its end, without the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llmstream import LLMClient
from llmstream.testing import FaultServer
from llmstream.web import create_app
from tests.patience import PATIENCE
from tests.web.serving import Client, fetch, serving
from tests.web.strangers import PARSERS

OURS = (
    "llmstream.answer",
    "llmstream.attempt",
    "llmstream.client",
    "llmstream.events",
    "llmstream.providers",
    "llmstream.web",
    "llmstream.wire",
    "uvicorn.protocols",
)
"""The modules whose objects may not be left."""
THEIRS = ("llmstream.providers.http.internals",)
"""Of these they may: aiohttp's connection and an answer on it that nobody read lead back to each other."""
PATHS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/chat": {"prompt": "hi"},
}


@contextmanager
def collected() -> Iterator[set[str]]:
    """The names of our classes of which the collector finds something that became garbage in the block."""
    found: set[str] = set()
    gc.collect()
    gc.freeze()  # what there was isn't looked at again
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = {type(each) for each in gc.garbage}
        ours = {kind for kind in kinds if kind.__module__.startswith(OURS)}
        found |= {kind.__qualname__ for kind in ours if not kind.__module__.startswith(THEIRS)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


async def all_done(before: int) -> None:
    """Wait until the server has no more tasks than before."""
    async with asyncio.timeout(PATIENCE):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.001)


async def ask_all(port: int) -> None:
    """Streamed and whole answers, and refusals."""
    for path, body in PATHS.items():
        for stream, model, wanted in ((True, "m", 200), (False, "m", 200), (True, "n", 404)):
            asked = {**body, "stream": stream, "model": f"openai:{model}"}
            status, *_ = await fetch(port, path, "POST", json.dumps(asked).encode())
            assert status == wanted
    for path in ("/", "/healthz", "/nowhere"):
        await fetch(port, path)


async def ask_on_one_connection(port: int) -> None:
    """Two requests."""
    body = json.dumps(PATHS["/chat"]).encode()
    head = f"POST /chat HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
    client = await Client.ask(port, "/chat", "POST", body, connection="keep-alive")
    assert await client.head() == 200
    await client.body()
    client.writer.write(head.encode() + body)
    assert await client.head() == 200
    await client.body()
    client.leave()


async def leave_early(port: int) -> None:
    """A client that has left after the first piece, and one that has before it."""
    body = json.dumps(
        {**PATHS["/v1/chat/completions"], "stream": True, "model": "openai:m"}
    ).encode()
    client = await Client.ask(port, "/v1/chat/completions", "POST", body)
    assert await client.head() == 200
    await client.chunk()
    client.leave()
    (await Client.ask(port, "/v1/chat/completions", "POST", body)).leave()


async def leave_a_queue(port: int) -> None:
    """A client that has left while its second request waits behind its first."""
    body = json.dumps({**PATHS["/chat"], "stream": True}).encode()
    head = f"POST /chat HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
    client = await Client.ask(port, "/chat", "POST", body, connection="keep-alive")
    client.writer.write(head.encode() + body)
    assert await client.head() == 200
    client.leave()


async def break_off(port: int) -> None:
    """What the parser refuses."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"no HTTP\r\n\r\n")
    writer.transport.abort()


PLAYS = {
    "httptools": [ask_all, ask_on_one_connection, leave_early, leave_a_queue, break_off],
    "h11": [
        ask_all,
        ask_on_one_connection,
        leave_early,
        leave_a_queue,
    ],  # its own exceptions refer to themselves
}


@pytest.mark.slow
@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_nothing_of_a_request_is_left_to_the_collector(parser: str) -> None:
    async with FaultServer() as upstream:
        client = LLMClient(
            "openai:m", base_url=upstream.url("openai"), api_key="k", transport="aiohttp"
        )
        app = create_app(client)
        async with client, serving(app, http=PARSERS[parser]) as port:
            before = len(asyncio.all_tasks())
            for play in PLAYS[parser]:
                await play(port)  # what it loads and keeps isn't garbage
            await all_done(before)
            with collected() as found:
                for play in PLAYS[parser]:
                    await play(port)
                await all_done(before)
            assert found == set()
