"""Heads without end, in size, number and time, over both of uvicorn's parsers."""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise

import pytest
import uvicorn
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from llmstream.errors import ConfigurationError
from llmstream.testing.certificates import server_context
from llmstream.web.connections import Bounds
from llmstream.web.server import HTTP
from tests.example_counts import examples
from tests.web.serving import app_of, serving
from tests.web.strangers import (
    http,
    nothing_is_left,
    over_both,
    over_both_in_turn,
    peak_memory,
    program,
    stranger,
)

BEGUN = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
WEBSOCKET = BEGUN + (
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)
ENDLESS = {
    "headers": (BEGUN, b"a: b\r\n" * 2_000),
    "large headers": (BEGUN, b"a: " + b"b" * 9_000 + b"\r\n"),
    "a header's value": (BEGUN + b"a: ", b"b" * 10_000),
    "a header's name": (BEGUN, b"b" * 10_000),
    "folded lines": (BEGUN + b"a: b", b"\r\n b" * 3_000),
    "a path": (b"GET /", b"b" * 10_000),
    "a chunk's extension": (CHUNKED + b"5;", b"b" * 10_000),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n" * 2_000),
    "large trailers": (CHUNKED + b"0\r\n", b"a: " + b"b" * 9_000 + b"\r\n"),
    "a WebSocket's body": (
        WEBSOCKET + b"transfer-encoding: chunked\r\n\r\n",
        b"1000\r\n" + b"b" * 0x1000 + b"\r\n",
    ),
    "a WebSocket's long body": (WEBSOCKET + b"content-length: 4000000000\r\n\r\n", b"b" * 10_000),
    "what follows a WebSocket's odd head": (
        WEBSOCKET + b"a: " + b"b" * 9_000 + b"\r\n\r\n",
        b"b" * 10_000,
    ),
    "what follows a WebSocket's odd method": (
        WEBSOCKET.replace(b"GET", b"PUT") + b"\r\n",
        b"b" * 10_000,
    ),
}


async def read(request: Request) -> Response:
    return PlainTextResponse(f"{len(request.headers)} {len(await request.body())}")


@over_both
@pytest.mark.parametrize("endless", ENDLESS)
async def test_a_head_without_end_is_refused_and_its_connection_closed(parser, endless) -> None:
    opening, piece = ENDLESS[endless]
    async with (
        serving(app_of(read), http=http(parser, drain_time=0.2)) as port,
        stranger(port) as client,
    ):
        client.send(opening)
        await client.flood(piece)
        heard = await client.closed()
    if "WebSocket" not in endless:
        assert heard.split()[1] == (
            b"400" if (parser, endless) == ("httptools", "folded lines") else b"431"
        )
        assert heard.count(b"HTTP/1.1") == 1
    await nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in /proc")
@pytest.mark.slow
@over_both
async def test_heads_without_end_don_t_fill_the_memory(parser) -> None:
    async with program(parser, drain_time=0.2) as (port, pid):
        async with stranger(port) as client:
            client.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await client.hears(b"ok")
        before = peak_memory(pid)
        for opening, piece in ENDLESS.values():
            async with stranger(port) as client:
                client.send(opening)
                await client.flood(piece, 20_000_000)
                await client.closed()
        assert peak_memory(pid) - before < 8_000_000


@over_both
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"".join(b"h%d: b\r\n" % number for number in range(98)), b"200"),
        (b"".join(b"h%d: b\r\n" % number for number in range(100)), b"431"),
        (b"a: " + b"b" * 65_000 + b"\r\n", b"200"),
        (b"a: " + b"b" * 66_000 + b"\r\n", b"431"),
        (b"a: " + b"b" * 200_000 + b"\r\n", b"431"),
    ],
    ids=["98 headers", "100 headers and two", "65 kB", "66 kB", "200 kB"],
)
async def test_the_bounds_are_what_they_say_also_for_a_head_that_comes_whole(
    parser, head, status
) -> None:
    async with (
        serving(app_of(read), http=http(parser, drain_time=0.2)) as port,
        stranger(port) as client,
    ):
        client.send(BEGUN + b"connection: close\r\n" + head + b"\r\n")
        assert (await client.closed()).split()[1] == status


@over_both
async def test_trailers_count_as_headers_but_are_none(parser) -> None:
    trailers = b"".join(b"t%d: b\r\n" % number for number in range(90))
    async with (
        serving(app_of(read), http=http(parser, drain_time=0.2)) as port,
        stranger(port) as client,
    ):
        client.send(CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
        await client.hears(b"2 5")
        client.send(CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"x: y\r\n" * 10 + b"\r\n")
        assert (await client.closed()).split()[1] == b"431"


@over_both
@given(
    cuts=st.lists(st.integers(1, 90_000), max_size=6), size=st.sampled_from([10, 64_000, 70_000])
)
@examples(15)
async def test_it_doesn_t_matter_how_a_head_is_cut_into_pieces(parser, cuts, size) -> None:
    request = BEGUN + b"connection: close\r\na: " + b"b" * size + b"\r\n\r\n"
    places = sorted({0, *(cut for cut in cuts if cut < len(request)), len(request)})
    async with (
        serving(app_of(read), http=http(parser, drain_time=0.2)) as port,
        stranger(port) as client,
    ):
        for begin, end in pairwise(places):
            client.send(request[begin:end])
            await asyncio.sleep(0)
        assert (await client.closed()).split()[1] == (b"200" if size < 65_000 else b"431")


@over_both
@pytest.mark.parametrize("earlier", [0, 1, 2], ids=["first", "second", "third"])
async def test_half_a_head_is_waited_for_only_so_long(parser, earlier) -> None:
    async with (
        serving(app_of(read), http=http(parser, head_time=0.1)) as port,
        stranger(port) as client,
    ):
        for _ in range(earlier):
            client.send(BEGUN + b"\r\n")
            await client.hears(b"1 0")
        client.send(BEGUN)
        heard = await client.closed()
    assert (heard.split()[1], b"connection: close" in heard) == (b"408", True)
    await nothing_is_left()


@over_both
async def test_a_byte_now_and_then_wins_no_time(parser) -> None:
    async with (
        serving(app_of(read), http=http(parser, head_time=0.2)) as port,
        stranger(port) as client,
    ):
        client.send(BEGUN + b"\r\n")
        await client.hears(b"1 0")
        client.send(BEGUN + b"a: ")
        dripping = asyncio.create_task(drip(client))
        assert b" 408 " in await client.closed()
        dripping.cancel()


async def drip(client) -> None:
    while True:
        client.send(b"b")
        await asyncio.sleep(0.02)


@over_both
async def test_a_connection_that_never_speaks_is_closed_without_a_word(parser) -> None:
    async with (
        serving(app_of(read), http=http(parser, head_time=0.1)) as port,
        stranger(port) as client,
    ):
        assert await client.closed() == b""
    await nothing_is_left()


@over_both
async def test_a_kept_connection_may_be_idle_for_longer_than_a_head(parser) -> None:
    async with (
        serving(app_of(read), http=http(parser, head_time=0.05)) as port,
        stranger(port) as client,
    ):
        for _ in range(2):
            client.send(BEGUN + b"\r\n")
            await client.hears(b"1 0")
            with pytest.raises(TimeoutError):
                await client.closed(0.15)


@over_both_in_turn
@pytest.mark.parametrize(
    "speaks",
    [
        pytest.param(True, id="half a head"),
        pytest.param(False, id="no handshake", marks=pytest.mark.slow),
    ],
)
async def test_over_tls_too(parser, speaks) -> None:
    options = {
        "http": http(parser, head_time=0.2),
        "ssl_context_factory": lambda *_: server_context("trusted"),
    }
    async with serving(app_of(read), **options) as port:
        if not speaks:
            async with stranger(port) as client:
                assert await client.closed() == b""
        else:
            import ssl

            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            async with stranger(port, ssl=context) as client:
                client.send(BEGUN)
                assert b" 408 " in await client.closed()
    await nothing_is_left()


@over_both
async def test_requests_that_come_at_once_are_answered_in_order(parser) -> None:
    async with serving(app_of(read), http=http(parser)) as port, stranger(port) as client:
        heads = [
            BEGUN + b"".join(b"h%d: b\r\n" % each for each in range(number)) for number in range(10)
        ]
        client.send(b"".join(head + b"\r\n" for head in heads))
        for number in range(10):
            await client.hears(b"\r\n\r\n%d 0" % (number + 1))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in /proc")
@over_both_in_turn
async def test_requests_that_nobody_waits_for_don_t_fill_the_memory(parser) -> None:
    """httptools parses all that has come: some 3 kB each, whether or not there is time to answer it."""
    request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    async with program(parser, drain_time=0.2) as (port, pid), stranger(port) as client:
        client.send(request)
        await client.hears(b"ok")
        before = peak_memory(pid)
        client.send(
            request * 3_000 + request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        )
        await client.closed()
        assert peak_memory(pid) - before < 3_000_000


async def test_as_many_requests_as_may_wait_are_answered_and_then_the_connection_is_closed() -> (
    None
):
    async with (
        serving(app_of(read), http=http("httptools", pipelined=4)) as port,
        stranger(port) as client,
    ):
        client.send((BEGUN + b"\r\n") * 100)
        assert (await client.closed()).count(b"HTTP/1.1 200") == 5
    await nothing_is_left()


@over_both
@pytest.mark.parametrize("wrong", [b"nonsense\r\n\r\n", BEGUN + b"a: b\r\n" * 200 + b"\r\n"])
async def test_a_wrong_request_behind_a_good_one_spoils_no_answer(parser, wrong) -> None:
    going_on = asyncio.Event()

    async def slow(request: Request) -> Response:
        await going_on.wait()
        return PlainTextResponse("good")

    async with (
        serving(app_of(slow), http=http(parser, drain_time=0.2)) as port,
        stranger(port) as client,
    ):
        client.send(BEGUN + b"\r\n" + wrong)
        await asyncio.sleep(0.05)
        assert client.heard == b""
        going_on.set()
        heard = await client.closed()
    assert heard.startswith(b"HTTP/1.1 200")
    assert b"good" in heard
    await nothing_is_left()


@over_both
async def test_trailers_without_end_while_the_answer_runs_cut_it(parser) -> None:
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(app, http=http(parser, drain_time=0.2)) as port, stranger(port) as client:
        client.send(CHUNKED + b"0\r\n")
        await client.hears(b"begun")
        await client.flood(b"a: b\r\n" * 2_000)
        assert b"HTTP" not in await client.closed()
    await nothing_is_left()


@over_both
async def test_websockets_are_as_they_were(parser) -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", echo), Route("/text", read)])
    async with serving(app, http=http(parser, head_time=0.05)) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
            await asyncio.sleep(0.15)
            await socket.send("hello")
            assert await socket.recv() == "hello"
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://127.0.0.1:{port}/text")
    await nothing_is_left()


@pytest.mark.parametrize(
    "bounds", [{"head_size": 0}, {"head_time": -1}, {"connections": 0}, {"drain_time": 1e999}]
)
def test_a_bound_that_nobody_could_keep_is_refused(bounds) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(bounds))):
        Bounds(**bounds)


def test_http_2_which_has_no_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="zttp"):
        uvicorn.Config(app_of(read), http=HTTP, http2=True).load()
