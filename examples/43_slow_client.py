"""Backpressure: a client that reads slowly slows the model down, and one that stops reading is dropped."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmstream import EventType, StreamEvent, TextDelta
from llmstream.web import respond, running

PIECES = 20_000
made = 0
stopped = asyncio.Event()


async def fast_model() -> AsyncGenerator[StreamEvent, None]:
    """20,000 pieces of a kilobyte as fast as somebody takes them, which is what holds it up."""
    global made  # noqa: PLW0603  # what the example looks at
    made = 0
    try:
        while made < PIECES:
            made += 1
            yield StreamEvent(EventType.TEXT_DELTA, text_delta=TextDelta("x" * 1024))
        yield StreamEvent(EventType.MESSAGE_COMPLETE)
    finally:
        stopped.set()


async def answer(request: Request) -> Response:
    """Whoever reads nothing for half a second is dropped."""
    return respond(request, fast_model(), write_timeout=0.5)


app = Starlette(routes=[Route("/", answer)])


def connect(url: str) -> socket.socket:
    """A client with little room for what it has not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect((urlsplit(url).hostname, urlsplit(url).port))
    client.sendall(
        b"GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/plain\r\nconnection: close\r\n\r\n"
    )
    client.setblocking(False)
    return client


async def slow(url: str) -> None:
    """It reads a little at a time, and then quickly: the model is never far ahead."""
    loop, taken = asyncio.get_running_loop(), 0
    with connect(url) as client:
        for turn in range(1_000_000):
            data = await loop.sock_recv(client, 65536)
            taken += len(data)
            if turn < 5:
                await asyncio.sleep(0.05)
                print(f"read {taken // 1024} kB; the model has made {made} of {PIECES} pieces")
            if not data:
                break
    print(f"read all {taken // 1024} kB\nMESSAGE_COMPLETE: stop")


async def stuck(url: str) -> None:
    """It never reads."""
    stopped.clear()
    with connect(url):
        await stopped.wait()
        print(f"stopped reading: dropped after {made} pieces, and the model was stopped")


async def main() -> None:
    """One after another."""
    async with running(app) as url:
        await slow(url)
        await stuck(url)


if __name__ == "__main__":
    # The server says whom it dropped; without this, on stderr.
    logging.basicConfig(stream=sys.stdout, format="log: %(message)s")
    asyncio.run(main())
