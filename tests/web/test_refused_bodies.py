"""Bodies that go on after their request was answered, over both of uvicorn's parsers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from llmstream.web import Access, Limits
from llmstream.web.connections import Bounds
from tests.web.serving import app_of, serving
from tests.web.strangers import BACKLOG, http, nothing_is_left, over_both, stranger
from tests.web.test_app import app_with

KEY = b"authorization: Bearer llmstream-canary-body\r\n"
LONG = b"content-length: 4000000000\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
PIECES = {LONG: b"x" * 0x4000, CHUNKED: b"4000\r\n" + b"x" * 0x4000 + b"\r\n"}
HEADS = {
    b"401": b"POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\n",
    b"403": b"POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: https://evil.example\r\n",
    b"404": b"POST /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n" + KEY,
    b"405": b"PUT /chat HTTP/1.1\r\nhost: 127.0.0.1\r\n" + KEY,
    b"413": b"POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\n" + KEY,
    b"200": b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n",
}
HEADS |= {status + b" and close": head + b"connection: close\r\n" for status, head in HEADS.items()}
HEADS[b"401 of HTTP/1.0"] = HEADS[b"401"].replace(b"1.1", b"1.0")
CASES = [(kind, framing) for kind in HEADS for framing in PIECES if (kind, framing) != (b"401 of HTTP/1.0", CHUNKED)]


def guarded():
    access = Access(keys=["llmstream-canary-body"])
    return app_with(access=access, limits=Limits(max_body=100_000))[0]


def counting(parser: str, taken: list[int], **bounds):
    """The protocol class, which writes down how much it read."""

    class Counting(http(parser, **bounds)):
        def data_received(self, data: bytes) -> None:
            taken.append(len(data))
            super().data_received(data)

    return Counting


@over_both
@pytest.mark.parametrize(("kind", "framing"), CASES, ids=repr)
async def test_a_refused_body_without_end_is_read_a_little_and_its_client_hears_why(parser, kind, framing) -> None:
    taken: list[int] = []
    async with serving(guarded(), http=counting(parser, taken, drain_time=0.1)) as port, stranger(port) as client:
        client.send(HEADS[kind] + framing)
        assert await client.flood(PIECES[framing]) < BACKLOG
        heard = await client.closed()
    assert heard.split()[1] == kind[:3]
    assert heard.count(b"HTTP/1.1") == 1
    most = 100_000 if b"413" in kind and framing is CHUNKED else 0  # are read before the app sees that it is too much
    assert sum(taken) <= most + Bounds().drain_size + 3 * 0x40000  # three reads of asyncio's
    await nothing_is_left()


@over_both
async def test_a_refused_body_that_stops_is_waited_for_only_so_long(parser) -> None:
    async with serving(guarded(), http=http(parser, drain_time=0.1)) as port, stranger(port) as client:
        client.send(HEADS[b"401"] + LONG + b"x")
        assert (await client.closed()).split()[1] == b"401"
    await nothing_is_left()


@over_both
async def test_a_small_rest_lets_the_connection_be_kept(parser) -> None:
    async with serving(guarded(), http=http(parser), timeout_keep_alive=0.2) as port, stranger(port) as client:
        for _ in range(3):
            client.send(HEADS[b"401"] + b"content-length: 30000\r\n\r\n")
            await client.hears(b" 401 ")
            client.send(b"x" * 30_000)
        client.send(HEADS[b"200"] + b"\r\n")
        await client.hears(b'{"status":"ok"}')
        client.send(HEADS[b"401"] + b"content-length: 5\r\n\r\n")
        await client.hears(b" 401 ")
        client.send(b"x" * 5)
        await client.closed(1.5)  # uvicorn's own clock for idle connections, which it forgets in this case
    await nothing_is_left()


@over_both
async def test_a_body_that_is_wanted_may_be_large_and_may_take_its_time(parser) -> None:
    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    bounds = {"head_time": 0.05, "drain_time": 0.05, "drain_size": 10}
    async with serving(app_of(read), http=http(parser, **bounds)) as port, stranger(port) as client:
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\n\r\n")
            for _ in range(20):
                client.send(b"x" * 100_000)
                await asyncio.sleep(0.01)
            await client.hears(b"2000000")


@over_both
@pytest.mark.parametrize("size", [500_000, 20_000_000])
async def test_a_client_that_sends_all_before_it_reads_hears_why(parser, size) -> None:
    """As long as its system keeps what came before the connection broke, which asyncio's transports don't."""
    app = app_with(limits=Limits(max_body=1000))[0]
    async with serving(app, http=http(parser, drain_time=0.3)) as port:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"

        def ask() -> httpx2.Response:
            return httpx2.post(url, content=b"x" * size, timeout=20)

        answers = [await asyncio.to_thread(ask)]
        if size < 1_000_000:
            async with httpx2.AsyncClient(timeout=20) as client:
                answers.append(await client.post(url, content=b"x" * size))
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]["type"]) == (413, "invalid_request_error")


@over_both
@pytest.mark.parametrize("kind", [b"401", b"404", b"413"])
async def test_who_asks_before_it_sends_is_refused_without_being_asked_for_more(parser, kind) -> None:
    async with serving(guarded(), http=http(parser, drain_time=30)) as port, stranger(port) as client:
        client.send(HEADS[kind] + b"expect: 100-continue\r\n" + LONG)
        client.writer.write_eof()
        heard = await client.closed()
    assert (heard.split()[1], b"100" in heard.split(b"\r\n")[0]) == (kind, False)
    await nothing_is_left()


@over_both
async def test_who_asks_before_it_sends_is_asked_for_a_body_that_is_wanted(parser) -> None:
    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async with serving(app_of(read), http=http(parser)) as port, stranger(port) as client:
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n")
            await client.hears(b"HTTP/1.1 100 Continue\r\n\r\n")
            client.send(b"x" * 7)
            await client.hears(b"\r\n\r\n7")


GONE = """
import sys, warnings
import uvicorn.protocols.http.h11_impl as h11_impl, uvicorn.protocols.http.httptools_impl as httptools_impl
del h11_impl.H11Protocol.{name}, httptools_impl.HttpToolsProtocol.{name}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import llmstream.web.server as server
    import llmstream.web.server
own = [each for each in said if "llmstream" in str(each.message)]
print(len(own), "{name}" in str(own[0].message), server.HTTP.__module__.split(".")[0])
"""


@pytest.mark.parametrize("name", ["send_400_response", "timeout_keep_alive_handler"])
def test_a_uvicorn_with_other_insides_serves_without_bounds_and_says_so_once(name) -> None:
    program = [sys.executable, "-c", GONE.format(name=name)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.split() == ["1", "True", "uvicorn"]
