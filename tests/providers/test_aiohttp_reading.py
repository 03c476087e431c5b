"""Over aiohttp requests are those of its own session, and bodies arrive whole, however they are cut and read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
import yarl

from llmstream.providers.http.aiohttp_client import AiohttpClient
from llmstream.providers.http.aiohttp_session import READ_SIZE
from llmstream.providers.http.exchange import HTTPRequest, Trace
from llmstream.providers.http.internals.aiohttp_post import PostAnswer

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


async def read(url: str, *, turns: int = 0, method: str = "POST") -> tuple[bytes, int, str]:
    """All that comes, in how many reads, and how it ended. `turns` of the loop pass before each read."""
    client = AiohttpClient(None)
    response = await client.send(HTTPRequest(method, url, {}, b""), Trace(), 5.0)
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


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_without_a_body_has_none(method: str) -> None:
    head = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with answering(head) as url, asyncio.timeout(20):
        assert await read(url, method=method) == (b"", 0, "whole")


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a server that answers each request, and the requests that it got."""
    found: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(head + await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", found


HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Accept": "text/event-stream", "Content-Type": "application/json", "User-Agent": "ours"},
    {"accept-encoding": "gzip", "authorization": "Bearer k", "x-odd": "caf\u00e9 \u4e2d"},
    {"host": "elsewhere.example", "content-type": "text/plain", "connection": "keep-alive"},
    {"Cookie": 'mine="a b"; other=1', "X-Empty": "", "Content-Length": "5"},
    {"Accept": "a", "accept": "b", "HOST": "x.example", "X": "1", "x": "2"},
    {"content-encoding": "gzip", "expect": "odd", "user-agent": "", "x": "\ttab"},
)


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
@pytest.mark.parametrize("path", ["", "/v1/a%3Ab?beta=true&x=%20#rest"])
async def test_a_request_is_the_one_that_aiohttp_s_session_makes(
    headers: dict[str, str], path: str
) -> None:
    content = b"" if not headers else b"hello"
    async with recording() as (root, found), asyncio.timeout(20):
        url = root + path
        client = AiohttpClient(None)
        response = await client.send(HTTPRequest("POST", url, {**headers}, content), Trace(), 5.0)
        assert isinstance(response.answer, PostAnswer)
        sent = dict(response.sent_headers)
        await response.aclose()
        await client.close()
        async with aiohttp.ClientSession() as session:
            place = yarl.URL(url, encoded=True)
            async with session.post(place, headers=headers, data=content or None) as theirs:
                assert sent == dict(theirs.request_info.headers)
    ours, expected = found
    assert ours == expected


@pytest.mark.parametrize("odd", ["a\r\nb: c", "a\nb", "a\0b"])
@pytest.mark.parametrize("place", ["name", "value"])
async def test_headers_that_would_be_several_are_refused(odd: str, place: str) -> None:
    headers = {odd: "x"} if place == "name" else {"x": odd}
    async with recording() as (url, found), asyncio.timeout(20):
        client = AiohttpClient(None)
        with pytest.raises(ValueError, match="header"):
            await client.send(HTTPRequest("POST", url, headers, b"hello"), Trace(), 5.0)
        await client.close()
    assert found == []
