"""What the application does to close its events runs to its end, whatever the client does meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from llmstream import ErrorInfo
from llmstream.events.types import EventType, Retry, StreamEvent, error, text_delta
from llmstream.web import respond, send_events
from tests.web.serving import Client, app_of, serving

FORMS = ["text/event-stream", "application/x-ndjson", "text/plain", "application/json"]
FAILED = error(ErrorInfo("rate_limit", retry_after=2.0))
DONE = StreamEvent(EventType.MESSAGE_COMPLETE)
WHOLE = StreamEvent(EventType.MESSAGE_COMPLETE, text_delta=text_delta("whole").text_delta)
AGAIN = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "r", "server", discard=True))
ENDS = {
    "early": [FAILED],
    "late": [text_delta("half"), FAILED],
    "whole": [text_delta("all"), DONE],
    "batch": [WHOLE],
}


@pytest.fixture(params=["h11", "httptools"])
def http(request):
    if request.param == "httptools":
        pytest.importorskip("httptools")
    return request.param


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 5)


class Closing:
    """Events whose closing waits, and an app that says when the server has noticed that its client left."""

    def __init__(self, *events: StreamEvent) -> None:
        self._events = events
        self.begun, self.may_end, self.ended, self.left = (asyncio.Event() for _ in range(4))

    async def stream(self):
        try:
            for event in self._events:
                yield event
        finally:
            self.begun.set()
            await self.may_end.wait()
            self.ended.set()

    def noticing(self, app):
        async def watched(scope, receive, send):
            async def spied():
                message = await receive()
                if message["type"].endswith(".disconnect"):
                    self.left.set()
                return message

            await app(scope, spied, send)

        return watched

    async def finish(self) -> None:
        """Let the server act on the client's leaving, and then the closing end."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.may_end.set()
        await soon(self.ended)


@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("how", ENDS)
async def test_a_client_that_leaves_after_the_last_event_disturbs_nothing(http, accept, how, caplog) -> None:
    closing = Closing(*ENDS[how])

    async def endpoint(request):
        return respond(request, closing.stream())

    with caplog.at_level(logging.INFO, "llmstream.web"):
        async with serving(closing.noticing(app_of(endpoint)), http=http) as port:
            client = await Client.ask(port, accept=accept)
            await soon(closing.begun)
            client.leave()
            await soon(closing.left)
            await closing.finish()
    assert not [each for each in caplog.records if "left" in each.getMessage()]


@pytest.mark.parametrize("accept", FORMS)
async def test_an_early_error_is_there_before_the_events_are_closed(http, accept, caplog) -> None:
    """And a client that stays is no client that left."""
    closing = Closing(FAILED)

    async def endpoint(request):
        return respond(request, closing.stream(), heartbeat=0.001)

    with caplog.at_level(logging.INFO, "llmstream.web"):
        async with serving(app_of(endpoint), http=http) as port:
            client = await Client.ask(port, accept=accept, connection="keep-alive")
            assert await client.head() == 429
            assert client.headers["retry-after"] == "2"
            assert json.loads(await client.body())["error_info"]["kind"] == "rate_limit"
            await closing.finish()
            client.writer.write(b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert await client.head() == 200
    assert not [each for each in caplog.records if "left" in each.getMessage()]


async def test_nor_after_text_that_begins_anew(http) -> None:
    closing = Closing(text_delta("half"), AGAIN, text_delta("all"), DONE)

    async def endpoint(request):
        return respond(request, closing.stream())

    async with serving(closing.noticing(app_of(endpoint)), http=http) as port:
        client = await Client.ask(port, accept="text/plain")
        await soon(closing.begun)
        client.leave()
        await soon(closing.left)
        await closing.finish()


@pytest.mark.parametrize("how", ENDS)
async def test_nor_does_a_websocket_that_goes(how) -> None:
    closing, sent = Closing(*ENDS[how]), asyncio.Queue()

    async def endpoint(websocket):
        await websocket.accept()
        sent.put_nowait(await send_events(websocket, closing.stream()))

    app = closing.noticing(Starlette(routes=[WebSocketRoute("/", endpoint)]))
    async with serving(app) as port:
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/")
        await soon(closing.begun)
        socket.transport.abort()
        await soon(closing.left)
        await closing.finish()
        assert await asyncio.wait_for(sent.get(), 5) is False  # it did not hear the last one
