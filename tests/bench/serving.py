"""What does serving an event cost, beside what others take for it?

    python tests/bench/serving.py [events] [clients]

Each server streams one answer of many small text deltas, over uvicorn and a loopback socket, to a client in another
process that only counts bytes. CPU time of the serving process per event, best of several interleaved rounds:

- `Starlette`: StreamingResponse over an async generator of bytes that are ready. It frames nothing: the floor.
- `llmstream`: respond() over the events, as SSE.
- `sse-starlette`: EventSourceResponse over the events' JSON.
- `FastAPI`: its own EventSourceResponse over the events' JSON.

Then that many clients at once read an answer at a model's pace from one process: all must get the whole of it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import socket
import sys
import time
from collections.abc import AsyncGenerator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route

from llmstream import EventType, FinishReason, Start, StreamEvent
from llmstream.events.types import text_delta
from llmstream.web import respond
from llmstream.web.server import running

ROUNDS = 5
PIECES = 20
"""Of the answer that the crowd reads."""
DELTAS = [text_delta(f"word{n} ") for n in range(10)]
START = StreamEvent(EventType.MESSAGE_START, start=Start("1", "m", "bench"))
END = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
FRAME = b'id: 100\ndata: {"type":"text_delta","text_delta":{"content":"word1 "}}\n\n'
LAST = b'id: 101-end\ndata: {"type":"message_complete","finish_reason":"stop"}\n\n'


def count_of(request) -> int:
    return int(request.query_params["events"])


def pace_of(request) -> float:
    return float(request.query_params.get("pace", 0))


async def deltas(count: int, pace: float = 0.0) -> AsyncGenerator[StreamEvent, None]:
    yield START
    for n in range(count):
        if pace:
            await asyncio.sleep(pace)
        yield DELTAS[n % 10]
    yield END


async def bare(request):
    pace = pace_of(request)

    async def body():
        for _ in range(count_of(request) + 1):
            if pace:
                await asyncio.sleep(pace)
            yield FRAME
        yield LAST

    return StreamingResponse(body(), media_type="text/event-stream")


async def ours(request):
    return respond(request, deltas(count_of(request), pace_of(request)))


async def sse_starlette(request):
    from sse_starlette import EventSourceResponse, ServerSentEvent

    async def body():
        n = 0
        async for event in deltas(count_of(request)):
            n += 1
            yield ServerSentEvent(json.dumps(event.to_dict()), id=str(n))

    return EventSourceResponse(body())


def fastapi_app():
    from fastapi import FastAPI
    from fastapi.sse import EventSourceResponse, ServerSentEvent

    app = FastAPI()

    async def body(request: Request):
        n = 0
        async for event in deltas(count_of(request)):
            n += 1
            yield ServerSentEvent(data=event.to_dict(), id=str(n))

    body.__annotations__["request"] = Request
    app.get("/", response_class=EventSourceResponse)(body)
    return app


NAMES = {"Starlette": "/bare", "llmstream": "/ours", "sse-starlette": "/sse-starlette", "FastAPI": "/fastapi/"}


def app():
    routes = [Route("/bare", bare), Route("/ours", ours), Route("/sse-starlette", sse_starlette)]
    return Starlette(routes=[*routes, Mount("/fastapi", fastapi_app())])


def read_all(port: int, path: str) -> int:
    """A client that only counts; gives the bytes it got. Its own process, so that its time is not the server's."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        taken = 0
        while data := client.recv(1 << 16):
            taken += len(data)
    return taken


def reader(requests, done) -> None:
    while (asked := requests.get()) is not None:
        done.put(read_all(*asked))


async def crowd(port: int, path: str, clients: int) -> int:
    """How many clients got the whole answer."""

    async def one() -> bool:
        opened, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        data = await opened.read()
        writer.close()
        return b'"message_complete"' in data and data.endswith(b"0\r\n\r\n")

    return sum(await asyncio.gather(*(one() for _ in range(clients))))


def crowd_process(port: int, path: str, clients: int, done) -> None:
    done.put(asyncio.run(crowd(port, path, clients)))


async def costs(port: int, events: int) -> dict[str, float]:
    """CPU seconds per event of each server."""
    context = multiprocessing.get_context("spawn")
    requests, done = context.Queue(), context.Queue()
    client = context.Process(target=reader, args=(requests, done), daemon=True)
    client.start()
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, path in NAMES.items():
            begun = time.process_time()
            requests.put((port, f"{path}?events={events}"))
            taken = await asyncio.to_thread(done.get)
            spent = (time.process_time() - begun) / events
            if taken < events * 40:
                raise RuntimeError(f"{name} sent only {taken} bytes")
            best[name] = min(best.get(name, 1.0), spent)
    requests.put(None)
    client.join()
    return best


async def many(port: int, path: str, clients: int, events: int, pace: float) -> tuple[int, float, float]:
    """How many of `clients` got all of it; seconds; CPU seconds of the server."""
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    path = f"{path}?events={events}&pace={pace}"
    process = context.Process(target=crowd_process, args=(port, path, clients, done), daemon=True)
    begun, spent = time.monotonic(), time.process_time()
    process.start()
    whole = await asyncio.to_thread(done.get)
    process.join()
    return whole, time.monotonic() - begun, time.process_time() - spent


def room_for(files: int) -> None:
    """Sockets enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))


async def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    room_for(2 * clients + 256)  # the server takes half for clients
    async with running(app()) as url:
        port = int(url.rpartition(":")[2])
        best = await costs(port, events)
        for name, seconds in best.items():
            print(f"{name:16} {seconds * 1e6:8.1f} µs per event   {seconds / best['Starlette']:5.2f} x Starlette")
        print(f"{clients} clients at once, {PIECES} events each at 10 a second:")
        for name in ("Starlette", "llmstream"):
            whole, took, spent = await many(port, NAMES[name], clients, PIECES, 0.1)
            each = spent / (clients * (PIECES + 2)) * 1e6
            print(f"{name:16} {each:8.1f} µs per event   {whole} of {clients} got all of it, in {took:.1f} s")


if __name__ == "__main__":
    asyncio.run(main())
