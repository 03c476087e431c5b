"""How many connections a server holds, and which of them go first."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from llmstream import LLMClient
from llmstream.testing import ScriptedProvider
from llmstream.testing.certificates import server_context
from llmstream.web import create_app
from llmstream.web.client_writer import ClientWriter
from llmstream.web.connections import MOST_CONNECTIONS, Bounds, Connections
from llmstream.web.gate import HttpRequest
from llmstream.web.http_delivery import HttpDelivery
from llmstream.web.protocol import Bounded, _WatchedTransport
from tests.web.serving import app_of, serving
from tests.web.strangers import (
    http,
    nothing_is_left,
    open_connections,
    over_both,
    over_both_in_turn,
    program,
    stranger,
)

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is this machine"
)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def endless(request: Request) -> Response:
    async def body():
        yield "begun"
        await asyncio.Event().wait()

    return StreamingResponse(body())


@over_both
async def test_the_connection_that_has_been_idle_longest_makes_room_for_a_new_one(parser) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            serving(app_of(hello), http=http(parser, connections=4))
        )
        silent = await stack.enter_async_context(stranger(port))
        half = await stack.enter_async_context(stranger(port))
        half.send(GET[:20])
        kept = [await stack.enter_async_context(stranger(port)) for _ in range(3)]
        for client in kept:
            client.send(GET)
            await client.hears(b"hello")
        assert await silent.closed() == b""
        kept[0].send(GET)
        await kept[0].hears(b"hello")
        newcomer = await stack.enter_async_context(stranger(port))
        newcomer.send(GET)
        await newcomer.hears(b"hello")
        assert await half.closed() == b""
        assert open_connections() == 4
    await nothing_is_left()


@over_both
async def test_streams_are_never_closed_for_others_who_are_told_that_there_is_no_room(
    parser,
) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            serving(app_of(endless), http=http(parser, connections=2))
        )
        streams = [await stack.enter_async_context(stranger(port)) for _ in range(2)]
        for client in streams:
            client.send(GET)
            await client.hears(b"begun")
        for _ in range(5):
            newcomer = await stack.enter_async_context(stranger(port))
            newcomer.send(GET)
            heard = await newcomer.closed()
            assert heard.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in heard
        await streams[0].leave()
        while open_connections() > 2:
            await asyncio.sleep(0.01)
        newcomer = await stack.enter_async_context(stranger(port))
        newcomer.send(GET)
        await newcomer.hears(b"begun")
        with pytest.raises(TimeoutError):
            await streams[1].closed(0.05)
    await nothing_is_left()


@linux
@over_both
async def test_one_address_can_t_have_all_but_a_proxy_can(parser) -> None:
    async def fill(port: int, address: str, count: int) -> list[bytes]:
        """Begin streams; gives how each was answered."""
        heard = []
        for _ in range(count):
            client = await stack.enter_async_context(stranger(port, local_addr=(address, 0)))
            client.send(GET)
            heard.append(
                (
                    await client.hears(
                        b" 200 " if len(heard) < 4 or address == "127.0.0.1" else b" 503 "
                    )
                )[-4:]
            )
        return heard

    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            serving(app_of(endless), http=http(parser, connections=8))
        )
        assert await fill(port, "127.0.0.2", 6) == [b"200 "] * 4 + [b"503 "] * 2
        assert await fill(port, "127.0.0.3", 3) == [b"200 "] * 3
    await nothing_is_left()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            serving(app_of(endless), http=http(parser, connections=8))
        )
        assert await fill(port, "127.0.0.1", 8) == [b"200 "] * 8
    await nothing_is_left()


@linux
@over_both
async def test_a_client_that_reads_nothing_makes_the_model_wait_before_megabytes_do(parser) -> None:
    """Linux would take 4 MB of an answer for it."""
    sent, over = 0, asyncio.Event()

    async def flood(request: Request) -> Response:
        async def body():
            nonlocal sent
            while not over.is_set():
                yield b"x" * 10_000
                sent += 10_000
                await asyncio.sleep(0)

        return StreamingResponse(body())

    async with serving(app_of(flood), http=http(parser)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()
        writer.write(GET)
        before = -1
        while before < sent:
            before = sent
            await asyncio.sleep(0.1)
        over.set()
        writer.transport.abort()
    assert 0 < before < 1_500_000
    await nothing_is_left()


@pytest.mark.parametrize("kind", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_addresses_are_those_that_uvicorn_finds_by_itself(kind, loop, tmp_path) -> None:
    """uvicorn asks the socket; the transport knows them without."""
    place = {socket.AF_INET: ("127.0.0.1", 0), socket.AF_INET6: ("::1", 0)}
    seen: list[tuple[object, object]] = []

    class Compared(asyncio.Protocol):
        close = is_closing = None

        def connection_made(self, transport: Any) -> None:
            watched = _WatchedTransport(transport, self)
            finders = (get_remote_addr, get_local_addr, is_ssl)
            seen.extend((find(watched), find(transport)) for find in finders)
            transport.close()

    async def connect() -> None:
        with socket.socket(kind) as listener, socket.socket(kind) as client:
            listener.bind(place.get(kind, str(tmp_path / "socket")))
            server = await asyncio.get_running_loop().create_server(Compared, sock=listener)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
            await asyncio.get_running_loop().sock_recv(client, 1)
            server.close()

    with asyncio.Runner(loop_factory=pytest.importorskip(loop).new_event_loop) as runner:
        runner.run(connect())
    assert [ours for ours, _ in seen] == [theirs for _, theirs in seen]
    assert len(seen) == 3


OURS = {_WatchedTransport, ClientWriter, HttpDelivery, HttpRequest}
ASKED = b'{"model": "scripted:m", "messages": [{"role": "user", "content": "hi"}], "stream": true}'
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
REQUESTS = (
    (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", b"200"),
    (CHAT + b"content-length: %d\r\n\r\n%b" % (len(ASKED), ASKED), b"[DONE]"),
    (2 * (CHAT + b"content-length: %d\r\n\r\n%b" % (len(ASKED), ASKED)), b"[DONE]"),
    (CHAT + b"content-length: 2\r\n\r\n{}", b"400"),
    (b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n", b"404"),
)
BROKEN = (b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"400")


def find_ours() -> list[object]:
    """What belongs to a connection or a request."""
    return [each for each in gc.get_objects() if type(each) in OURS or isinstance(each, Bounded)]


@over_both
async def test_a_connection_that_is_over_leaves_nothing_to_the_garbage_collector(parser) -> None:
    """Its objects led back to each other, so the collector had thousands of them to look through."""
    app = create_app(LLMClient(provider=ScriptedProvider(*[["Hello ", "there"]] * 9), model="m"))
    # h11's own exceptions lead back to the frames that raised them.
    requests = (*REQUESTS, BROKEN) if parser == "httptools" else REQUESTS
    gc.collect()
    before = find_ours()
    gc.disable()
    try:
        async with serving(app, http=http(parser)) as port:
            for request, words in requests:
                async with stranger(port) as client:
                    client.send(request)
                    await client.hears(words)
            await nothing_is_left()
            left = [each for each in find_ours() if each not in before]
        assert left == []
    finally:
        gc.enable()


@over_both
async def test_websockets_count_and_leave(parser) -> None:
    async def patient(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    app = Starlette(routes=[WebSocketRoute("/ws", patient), Route("/", hello)])
    async with serving(app, http=http(parser, connections=2)) as port:
        sockets = [await websockets.connect(f"ws://127.0.0.1:{port}/ws") for _ in range(2)]
        async with stranger(port) as client:
            assert (await client.closed()).startswith(b"HTTP/1.1 503")
        for socket in sockets:
            await socket.close()
        while open_connections():
            await asyncio.sleep(0.01)
        async with stranger(port) as client:
            client.send(GET)
            await client.hears(b"hello")
    await nothing_is_left()


@over_both
async def test_handshakes_that_are_never_made_count_over_tls(parser) -> None:
    options = {
        "http": http(parser, connections=2),
        "ssl_context_factory": lambda *_: server_context("trusted"),
    }
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(app_of(hello), **options))
        silent = [await stack.enter_async_context(stranger(port)) for _ in range(3)]
        assert await silent[0].closed() == b""
        assert open_connections() == 2
    await nothing_is_left()


@linux
@over_both_in_turn
async def test_silent_connections_lock_nobody_out_where_few_files_may_be_open(parser) -> None:
    async with AsyncExitStack() as stack:
        port, _ = await stack.enter_async_context(program(parser, files=256))
        for _ in range(400):
            await stack.enter_async_context(stranger(port))
        newcomer = await stack.enter_async_context(stranger(port))
        begun = time.monotonic()
        newcomer.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await newcomer.hears(b"ok")
        assert time.monotonic() - begun < 5  # half of what the head's clock would need to make room


def test_the_default_bounds_leave_half_of_the_files_to_others_and_half_of_the_connections_to_other_addresses() -> (
    None
):
    program = (
        "import resource\n"
        "from llmstream.web.connections import Bounds\n"
        "for files in (256, 1024):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "    print(Bounds().most_connections)\n"
    )
    if sys.platform == "win32":
        assert Bounds().most_connections == MOST_CONNECTIONS
    else:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["128", "512"]
    held = Connections(Bounds(connections=8))
    for host in ("192.0.2.1", "192.0.2.2"):
        entered = [number for number in range(8) if enter_busy(held, f"{host} {number}", host)]
        assert entered == [0, 1, 2, 3]


def enter_busy(held: Connections, key: str, host: str) -> bool:
    entered = held.enter(key, host, int)
    if entered:
        held.occupy(key)
    return entered


@pytest.mark.parametrize(
    ("hosts", "together"),
    [
        (("192.0.2.1", "192.0.2.1"), True),
        (("192.0.2.1", "192.0.2.2"), False),
        (("192.0.2.1", "::ffff:192.0.2.1"), True),
        (("2001:db8::1", "2001:db8::ffff:1"), True),
        (("2001:db8::1", "2001:db8:0:1::1"), False),
        ((None, None), False),
        (("nonsense", "nonsense"), False),
        (("10.1.2.3", "10.1.2.3"), False),
        (("::1", "::1"), False),
    ],
)
def test_what_one_address_is(hosts, together) -> None:
    held = Connections(Bounds(connections=8, per_address=1), "10.0.0.0/8, ::1,/run/socket,")
    closed = []
    held.enter(1, hosts[0], lambda: closed.append(1))
    held.enter(2, hosts[1], lambda: closed.append(2))
    assert closed == [1] * together
    assert len(held) == 2 - together


def test_everybody_may_be_a_proxy() -> None:
    held = Connections(Bounds(connections=8, per_address=1), "*")
    assert all(
        [
            held.enter(1, "192.0.2.1", int),
            held.enter(2, "192.0.2.1", int),
            held.enter(3, "2001:db8::1", int),
        ]
    )
    assert len(held) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "occupy", "rest", "leave"]), st.integers(0, 9)),
        max_size=80,
    )
)
def test_however_they_come_and_go_the_bounds_hold_and_no_busy_one_is_closed(steps) -> None:
    held = Connections(Bounds(connections=4, per_address=3))
    inside: dict[int, bool] = {}  # and whether it is busy
    refused: set[int] = set()

    def close(number: int) -> None:
        assert not inside.pop(number)
        refused.discard(number)

    for step, number in steps:
        if step == "enter" and number not in inside:
            inside[number] = False
            if not held.enter(number, f"192.0.2.{number % 2}", lambda number=number: close(number)):
                refused.add(number)
        elif step == "leave":
            held.leave(number)
            inside.pop(number, None)
            refused.discard(number)
        elif number in inside and number not in refused:
            inside[number] = step == "occupy"
            (held.occupy if step == "occupy" else held.rest)(number)
        assert len(held) == len(inside)
        assert len(inside) - len(refused) <= 4
        for address in range(2):
            assert sum(each % 2 == address for each in inside.keys() - refused) <= 3
