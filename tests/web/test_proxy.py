"""Behind nginx, set up as docs/serving.md says: answers come as they are made, and a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from llmstream import LLMClient
from llmstream.events.types import StreamEvent, text_delta
from llmstream.web import Access, create_app, respond, send_events
from tests.web.serving import Client, fetch, serving

NGINX = shutil.which("nginx") or ""
PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text("utf-8")
SERVER = re.search(r"```nginx\n(.*?)```", PAGE, re.S)[1]
FORMS = ["text/event-stream", "application/x-ndjson", "text/plain"]
LEFT: list[float] = []
"""When answers were closed."""

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not NGINX, reason="no nginx: apt-get install nginx-light"),
]


@asynccontextmanager
async def proxied(app, folder: Path) -> AsyncIterator[int]:
    """The port of an nginx before `app`; it compresses, as many do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving(app) as behind:
        server = SERVER.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace(
            "127.0.0.1:8000", f"127.0.0.1:{behind}"
        )
        paths = "".join(
            f"{kind}_temp_path {folder};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        common = f"access_log off; {paths} gzip on; gzip_types *;"
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; events {{}} http {{ {common}\n{server} }}"
        )
        process = await asyncio.create_subprocess_exec(
            NGINX, "-e", str(folder / "log"), "-c", str(config)
        )
        try:
            await _listening(port)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


async def _words() -> AsyncIterator[StreamEvent]:
    """Two words, and then silence."""
    try:
        yield text_delta("Hel")
        yield text_delta("lo")
        await asyncio.Event().wait()
    finally:
        LEFT.append(time.perf_counter())


async def _answer(request: Request) -> Response:
    return respond(request, _words())


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await send_events(websocket, _words())


STALLING = Starlette(routes=[Route("/", _answer), WebSocketRoute("/ws", _socket)])


@pytest.mark.parametrize("accept", FORMS)
async def test_words_come_at_once_and_a_client_that_leaves_is_noticed(accept, tmp_path) -> None:
    times = []
    async with proxied(STALLING, tmp_path) as port:
        for _ in range(20):
            LEFT.clear()
            client = await Client.ask(port, accept=accept, accept_encoding="gzip")
            assert await client.head() == 200
            assert await client.chunk()
            client.leave()
            left = time.perf_counter()
            while not LEFT:
                await asyncio.sleep(0.0005)
            times.append(LEFT[0] - left)
    assert statistics.median(times) < 0.1


async def test_a_websocket_goes_through_and_its_end_is_noticed(tmp_path) -> None:
    LEFT.clear()
    async with proxied(STALLING, tmp_path) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as socket_:
            assert "Hel" in str(await socket_.recv())
            socket_.transport.abort()
        while not LEFT:
            await asyncio.sleep(0.0005)


async def test_the_app_knows_its_own_pages_and_its_clients(tmp_path) -> None:
    """The page that came through the proxy may ask; one from elsewhere may not, nor under another name."""
    app = create_app(LLMClient("simulator"), access=Access(hosts=["127.0.0.1"]))
    async with proxied(app, tmp_path) as port:
        ask = (port, "/chat", "POST", b'{"prompt": "hello"}')
        assert (await fetch(*ask, origin=f"http://127.0.0.1:{port}"))[0] == 200
        assert (await fetch(*ask, origin="https://evil.example"))[0] == 403
        assert (await fetch(*ask, host="evil.example"))[0] == 403
