"""Frames that cost much and carry little: empty fragments, pings, letters, and what unpacks to megabytes."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
import zlib

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode

from llmstream import LLMClient
from llmstream.testing.certificates import ca_file, certificates, server_context
from llmstream.web import create_app
from llmstream.web.connections import Bounds
from llmstream.web.websocket_frames import FREE_SIZE, PERIOD, TOO_MANY, TOO_OFTEN, FrameCount
from tests.example_counts import examples
from tests.patience import PATIENCE
from tests.web.serving import serving
from tests.web.strangers import Stranger, http, nothing_is_left, over_both, peak_memory, program
from tests.web.strangers import stranger as connected

MOST = Bounds().frames
READ = 64 * 1024
HEAD = (
    b"GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    b"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
    b"authorization: Bearer llmstream-canary-stranger\r\n\r\n"
)


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    data = packer.compress(b"a" * 7_900_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    first, *rest = frame(Opcode.TEXT, data[:-4])
    return bytes([first | 0x40, *rest])


BEGUN = frame(Opcode.TEXT, fin=False)
EMPTY = frame(Opcode.CONT, fin=False)
ATTACKS = {
    "empty fragments": (BEGUN, EMPTY, b"\x03\xf0"),
    "fragments of a letter": (BEGUN, frame(Opcode.CONT, b"a", fin=False), b"\x03\xf0"),
    "fragments and pings": (BEGUN, EMPTY + frame(Opcode.PING), b"\x03\xf0"),
    "pings": (b"", frame(Opcode.PING), b"\x03\xf0"),
    "full pings": (b"", frame(Opcode.PING, b"p" * 125), b"\x03\xf0"),
    "pongs": (b"", frame(Opcode.PONG), b"\x03\xf0"),
    "messages of a letter": (b"", frame(Opcode.TEXT, b"a"), b"\x03\xf0"),
    "empty messages": (b"", frame(Opcode.BINARY), b"\x03\xf0"),
    "compressed messages": (b"", bomb(), b"\x03\xea"),  # a protocol error: none was agreed on
}


async def patient(websocket: WebSocket) -> None:
    """A chat that reads whatever comes, and goes on until the client leaves."""
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


APPS = {
    "chat": lambda: Starlette(routes=[WebSocketRoute("/v1/responses", patient)]),
    "responses": lambda: create_app(LLMClient("simulator")),
}


async def open_socket(client: Stranger) -> None:
    client.send(HEAD)
    answer = await client.hears(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"deflate" not in answer


@over_both
@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("attack", ATTACKS)
async def test_64_kb_of_frames_hold_nobody_up(attack, app, parser) -> None:
    begun, each, code = ATTACKS[attack]
    data = begun + each * (READ // len(each))
    options = {"http": http(parser), "ws_max_size": 8_000_000}
    async with serving(APPS[app](), **options) as port, connected(port) as client:
        await open_socket(client)
        before = time.thread_time()  # of this thread: other processes may be busy
        client.send(data)
        heard = await client.closed()
        assert time.thread_time() - before < 0.05
        assert code in heard
    await nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.slow
@pytest.mark.parametrize("attack", ["empty fragments", "pings"])
async def test_frames_without_end_don_t_fill_the_memory(attack) -> None:
    begun, each, _ = ATTACKS[attack]
    async with program("httptools") as (port, pid), connected(port) as client:
        await open_socket(client)
        before = peak_memory(pid)
        client.send(begun)
        assert await client.flood(each * 1_000) < 13_000_000
        await client.closed()
        assert peak_memory(pid) - before < 8_000_000


async def test_over_tls_a_client_hears_why() -> None:
    options = {"http": http("h11"), "ssl_context_factory": lambda *_: server_context("trusted")}
    context = ssl.create_default_context(cafile=str(ca_file(certificates())))
    async with serving(APPS["chat"](), **options) as port:
        address = f"wss://localhost:{port}/v1/responses"
        async with websockets.connect(address, ssl=context) as socket:
            for _ in range(MOST + 1):
                await socket.ping()
            with pytest.raises(websockets.ConnectionClosedError, match="too many frames"):
                await socket.recv()
    await nothing_is_left()


@over_both
async def test_large_messages_in_pieces_and_pings_go_through(parser) -> None:
    """As Go's clients cut them, and as browsers and proxies ask whether somebody is there."""

    async def measure(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(2):
            await websocket.send_text(str(len(await websocket.receive_text())))

    app = Starlette(routes=[WebSocketRoute("/", measure)])
    async with (
        serving(app, http=http(parser), ws_max_size=8_000_000) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        for _ in range(2):
            await (await socket.ping())
            await socket.send(["a" * 4096] * 1_000)
            assert await socket.recv() == "4096000"
    await nothing_is_left()


# The count


def test_a_message_has_so_many_fragments_however_slowly_they_come() -> None:
    count = FrameCount(MOST, 0.0)
    assert count.feed(BEGUN, 0.0) is None
    codes = [count.feed(EMPTY, number * PERIOD) for number in range(MOST)]
    assert codes == [None] * (MOST - 1) + [TOO_MANY]


def test_who_waits_may_go_on() -> None:
    count = FrameCount(MOST, 0.0)
    for turn in range(5):
        assert count.feed(ATTACKS["pings"][1] * MOST, turn * PERIOD) is None
    assert count.feed(ATTACKS["pings"][1], 4 * PERIOD) == TOO_OFTEN


@given(
    sizes=st.lists(st.sampled_from([0, 1, 125, 126, 1023, 1024, 65535, 65536]), max_size=12),
    cuts=st.lists(st.integers(1, 2000), max_size=30),
    most=st.integers(1, 8),
)
@examples(60)
def test_however_the_bytes_come_the_count_is_the_same(sizes, cuts, most) -> None:
    data = b"".join(frame(Opcode.BINARY, bytes(size)) for size in sizes)
    left, expected = float(most), None
    for size in sizes:
        left = min(float(most), left + size / FREE_SIZE) - 1
        if left < 0:
            expected = TOO_OFTEN
            break
    count, heard = FrameCount(most, 0.0), None
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        heard = heard or count.feed(piece, 0.0)
    assert heard == expected


async def test_a_client_that_goes_on_sending_is_cut_off() -> None:
    async with (
        serving(APPS["chat"](), http=http("h11", drain_time=0.05)) as port,
        connected(port) as client,
    ):
        await open_socket(client)
        async with asyncio.timeout(PATIENCE):
            await client.flood(ATTACKS["pings"][1] * 10_000, sys.maxsize)
    await nothing_is_left()
