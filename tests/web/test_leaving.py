"""Two hops: a client leaves or stops reading, and what becomes of the provider's connection."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import time
import tracemalloc

import pytest
import websockets
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.routing import WebSocketRoute

from llmstream import LLMClient
from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.testing import FaultServer
from llmstream.web import EventStreamResponse, respond, send_events
from llmstream.web.protocol_h11 import BoundedH11
from llmstream.web.protocol_httptools import BoundedHttptools
from tests.patience import PATIENCE
from tests.web.serving import Client, app_of, serving

FORMS = ["text/event-stream", "application/x-ndjson", "text/plain"]
ONE_AT_ONCE = [FORMS[0], *(pytest.param(form, marks=pytest.mark.slow) for form in FORMS[1:])]
SERVERS = [BoundedHttptools, BoundedH11, "auto"]
"""Ours, whose connections tell that a client has left, and uvicorn's own, for which a task listens."""
QUESTION = [{"role": "user", "content": "hi"}]
AT_ONCE = 20
"""Seconds. It must not wait for a clock: the shortest is the idle clock, 120 s. Medians say how fast it is."""


async def flowing(reply) -> None:
    """Words without end, until the client leaves."""
    await reply.head()
    await reply.send(reply.opening)
    while True:
        await reply.send(reply.words(1, 2))
        await asyncio.sleep(0.001)


async def stalling(reply) -> None:
    """Two words, then nothing."""
    await reply.head()
    await reply.send(reply.words(0, 2))
    await reply.hang()


async def whole(reply) -> None:
    """All of an answer."""
    await reply.stream(reply.words(0, 2), *reply.ending)


def relaying(client, **options):
    async def endpoint(request):
        return respond(request, client.chat_completion(QUESTION), **options)

    return app_of(endpoint)


@pytest.mark.parametrize("http", SERVERS)
@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("play", [flowing, stalling])
async def test_a_client_that_leaves_closes_the_provider_within_100_ms(accept, play, http) -> None:
    times = []
    async with (
        FaultServer(play) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(relaying(llm), http=http) as port,
    ):
        for turn in range(6):
            client = await Client.ask(port, accept=accept)
            await client.head()
            await client.chunk()
            assert upstream.playing == 1
            if turn % 2:
                client.leave()  # RST
            else:
                client.writer.close()  # FIN
            times.append(await upstream.idle(PATIENCE))
    assert statistics.median(times) < 0.1, times


@pytest.mark.parametrize("http", SERVERS)
async def test_on_a_kept_connection_the_client_of_each_answer_is_watched(http) -> None:
    plays = iter([whole, stalling] * 2)

    async def play(reply) -> None:
        await next(plays)(reply)

    async with (
        FaultServer(play) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(relaying(llm), http=http) as port,
    ):
        for pipelined in (False, True):
            client = await Client.ask(port, connection="keep-alive")
            again = f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()
            if pipelined:
                client.writer.write(again)
            await client.head()
            await client.body()
            if not pipelined:
                client.writer.write(again)
            await client.head()
            await client.chunk()
            assert upstream.playing == 1
            client.leave()
            assert await upstream.idle(PATIENCE) < AT_ONCE


async def test_middleware_that_says_that_the_client_has_left_is_heard() -> None:
    """It stands between the server's connection and the app, and knows better."""
    left = asyncio.Event()

    def with_word(app):
        async def wrapped(scope, receive, send):
            async def receive_word():
                await left.wait()
                return {"type": "http.disconnect"}

            await app(scope, receive_word, send)

        return wrapped

    async with (
        FaultServer(stalling) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(with_word(relaying(llm)), http=BoundedHttptools) as port,
    ):
        client = await Client.ask(port)
        await client.head()
        await client.chunk()
        left.set()
        assert await upstream.idle(PATIENCE) < AT_ONCE


@pytest.mark.parametrize("play", [flowing, stalling])
async def test_a_websocket_that_goes_closes_the_provider_within_100_ms(play) -> None:
    times = []

    async def endpoint(websocket):
        await websocket.accept()
        assert not await send_events(websocket, llm.chat_completion(QUESTION))

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with (
        FaultServer(play) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(app) as port,
    ):
        for turn in range(20):
            socket = await websockets.connect(f"ws://127.0.0.1:{port}/")
            assert json.loads(await socket.recv())["type"] == "message_start"
            assert upstream.playing == 1
            if turn % 2:
                socket.transport.abort()
            else:
                await socket.close()
            times.append(await upstream.idle(PATIENCE))
    assert statistics.median(times) < 0.1, times


@pytest.mark.parametrize("closing", [True, False])
async def test_a_websocket_that_goes_in_the_middle_of_a_send_has_left_and_nothing_failed(
    closing, caplog
) -> None:
    whole = asyncio.Queue()

    async def busy():
        while True:
            yield text_delta("x")

    async def endpoint(websocket):
        await websocket.accept()
        whole.put_nowait(await send_events(websocket, busy()))

    async with serving(Starlette(routes=[WebSocketRoute("/", endpoint)])) as port:
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/", close_timeout=0.1)
        await socket.recv()
        if closing:
            await socket.close()
        else:
            socket.transport.abort()
        assert await asyncio.wait_for(whole.get(), PATIENCE) is False
    assert not [
        record
        for record in caplog.records
        if record.name == "llmstream.web" and record.levelname != "INFO"
    ]


@pytest.mark.parametrize("spec", [OSError, RuntimeError])
async def test_a_server_that_raises_for_a_client_that_has_left_ends_it_quietly(
    spec, caplog
) -> None:
    """ASGI 2.4: `send` raises OSError then. Anything else is somebody's mistake, and said."""
    closed = []

    async def endless():
        try:
            while True:
                yield text_delta("x")
        finally:
            closed.append(True)

    async def send(message):
        raise spec("gone")

    await EventStreamResponse(endless())(
        {"type": "http", "method": "GET", "headers": []}, asyncio.Event().wait, send
    )
    assert closed == [True]
    said = [
        record
        for record in caplog.records
        if record.name == "llmstream.web" and record.levelname != "INFO"
    ]
    assert len(said) == (spec is RuntimeError)


async def test_events_that_were_cancelled_are_an_error_and_not_a_client_that_left() -> None:
    async def broken():
        yield text_delta("half")
        raise asyncio.CancelledError

    async def endpoint(websocket):
        await websocket.accept()
        assert await send_events(websocket, broken())
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with serving(app) as port, websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        said = [json.loads(message) async for message in socket]
    assert [each["type"] for each in said] == ["text_delta", "error"]


async def test_a_websocket_that_is_not_read_holds_the_model_up_and_is_dropped() -> None:
    sent, closed, over = 0, asyncio.Event(), asyncio.Event()

    async def endless():
        nonlocal sent
        try:
            while True:
                sent += 1
                yield text_delta("x" * 1024)
        finally:
            closed.set()

    async def endpoint(websocket):
        await websocket.accept()
        assert not await send_events(websocket, endless(), write_timeout=0.3)
        over.set()

    async with serving(Starlette(routes=[WebSocketRoute("/", endpoint)])) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        writer.write(
            f"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n{key}\r\n".encode()
        )
        reader._transport.pause_reading()
        await asyncio.wait_for(closed.wait(), PATIENCE)
        await asyncio.wait_for(over.wait(), PATIENCE)
        held = sent
        await asyncio.sleep(0.05)
        assert sent == held
        writer.transport.abort()


async def test_a_client_that_leaves_before_the_head_closes_the_provider_too() -> None:
    async def mute(reply):
        await reply.head()
        await reply.hang()

    async with (
        FaultServer(mute) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(relaying(llm)) as port,
    ):
        client = await Client.ask(port)
        await upstream.busy()
        client.leave()
        assert await upstream.idle(PATIENCE) < AT_ONCE


@pytest.mark.parametrize("accept", ONE_AT_ONCE)
async def test_a_client_that_does_not_read_holds_the_model_up_and_is_dropped(accept) -> None:
    sent = 0
    closed = asyncio.Event()
    word = text_delta("x" * 1024)

    async def endless():
        nonlocal sent
        try:
            while True:
                sent += 1
                yield word
        finally:
            closed.set()

    async def endpoint(request):
        return respond(request, endless(), write_timeout=0.8)

    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(app_of(endpoint)) as port:
            client.connect(("127.0.0.1", port))
            tracemalloc.start()
            client.sendall(
                f"GET / HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n\r\n".encode()
            )
            held, stopped = -1, 0.0
            while sent != held or not sent:  # until what the kernel takes is full
                held, stopped = sent, time.monotonic()
                await asyncio.sleep(0.1)
            assert not closed.is_set()
            await asyncio.wait_for(closed.wait(), PATIENCE)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert sent == held, "it goes on though nobody reads"
            assert time.monotonic() - stopped > 0.2
            assert peak < 2_000_000, peak


async def test_a_writer_that_never_waits_stops_when_its_client_leaves() -> None:
    closed = asyncio.Event()

    async def busy():
        try:
            while True:
                yield text_delta("x")
        finally:
            closed.set()

    async def endpoint(request):
        return respond(request, busy())

    async with serving(app_of(endpoint)) as port:
        client = await Client.ask(port)
        await client.head()
        await client.chunk()
        client.leave()
        async with asyncio.timeout(PATIENCE):
            await closed.wait()


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_is_to_be_done_after_an_answer_is_done_for_a_client_that_left_too(
    leaves,
) -> None:
    done = asyncio.Event()

    async def words():
        yield text_delta("one")
        await asyncio.sleep(30 if leaves else 0)
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def endpoint(request):
        response = respond(request, words())
        response.background = BackgroundTask(done.set)
        return response

    async with serving(app_of(endpoint)) as port:
        client = await Client.ask(port)
        await client.head()
        await client.chunk()
        if leaves:
            client.leave()
        await asyncio.wait_for(done.wait(), PATIENCE)


async def test_no_task_is_left_behind() -> None:
    async with (
        FaultServer("ok") as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
        serving(relaying(llm)) as port,
    ):
        client = await Client.ask(port)
        await client.head()
        await client.body()
        client.leave()
        await asyncio.sleep(0.05)
        names = {
            task.get_coro().__qualname__ for task in asyncio.all_tasks() - {asyncio.current_task()}
        }
    assert not {name for name in names if "_write" in name or "left" in name or "run_asgi" in name}
