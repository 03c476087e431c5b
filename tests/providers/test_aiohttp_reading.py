"""Bodies over aiohttp arrive whole, however they are cut into HTTP chunks and however slowly they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from llmstream.providers.http.aiohttp_client import AiohttpClient
from llmstream.providers.http.aiohttp_session import READ_SIZE
from llmstream.providers.http.exchange import HTTPRequest, Trace

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@asynccontextmanager
async def answering(*writes: bytes) -> AsyncIterator[str]:
    """The address of a server that answers with these bytes, each in a write of its own, and then hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for write in writes:
            writer.write(write)
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        is_over.set()

    is_over = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
        await is_over.wait()


async def read(url: str, *, turns: int = 0) -> tuple[bytes, int, str]:
    """All that comes, in how many reads, and how it ended. `turns` of the loop pass before each read."""
    client = AiohttpClient(None)
    response = await client.send(HTTPRequest("GET", url, {}, b""), Trace(), 5.0)
    found: list[bytes] = []
    ended = "whole"
    try:
        async for data in response.body():
            found.append(data)
            for _ in range(turns):
                await asyncio.sleep(0)
    except Exception as problem:  # noqa: BLE001  # its name is what the test looks at
        ended = type(problem).__name__
    await response.aclose()
    await client.close()
    return b"".join(found), len(found), ended


def chunked(data: bytes, size: int) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@pytest.mark.parametrize("turns", [0, 5])
@pytest.mark.parametrize(
    ("amount", "size"),
    [
        (1, 1),
        (READ_SIZE, 7),
        (READ_SIZE + 1, READ_SIZE),
        (40_000, 1),  # so many chunks that aiohttp pauses the connection
        (1_500_000, 65_536),  # so many bytes
    ],
)
async def test_all_of_it_arrives(amount: int, size: int, turns: int) -> None:
    data = bytes(at % 251 for at in range(amount))
    async with answering(HEAD, chunked(data, size) + END) as url, asyncio.timeout(20):
        found, _, ended = await read(url, turns=turns)
    assert found == data
    assert ended == "whole"


@pytest.mark.parametrize("turns", [0, 5])
async def test_what_came_before_a_cut_arrives(turns: int) -> None:
    data = b"x" * 1000
    async with answering(HEAD, chunked(data, 100), b"64\r\ncut") as url, asyncio.timeout(20):
        found, _, ended = await read(url, turns=turns)
    assert found == data + b"cut"
    assert ended == "ClientPayloadError"


async def test_an_answer_without_a_body_has_none() -> None:
    head = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with answering(head) as url, asyncio.timeout(20):
        assert await read(url) == (b"", 0, "whole")
