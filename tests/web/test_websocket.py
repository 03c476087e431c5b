"""send_events, where the WebSocket outlives an answer."""

from __future__ import annotations

import asyncio
import json

import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.web import send_events
from tests.patience import PATIENCE
from tests.web.serving import serving


def talking(answer):
    """An app that answers question after question."""

    async def endpoint(websocket):
        await websocket.accept()
        try:
            while True:
                asked = await websocket.receive_text()
                assert await send_events(websocket, answer(asked))
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/", endpoint)])


async def ask(socket, question) -> list:
    await socket.send(question)
    said = [json.loads(await asyncio.wait_for(socket.recv(), 2))]
    while said[-1]["type"] not in ("message_complete", "error"):
        said.append(json.loads(await asyncio.wait_for(socket.recv(), 2)))
    return said


async def test_what_is_asked_upon_the_last_message_is_answered_however_long_the_events_take_to_close() -> (
    None
):
    closed = []

    async def answer(asked):
        try:
            yield text_delta(asked)
            if asked == "9":
                return
            yield StreamEvent(EventType.MESSAGE_COMPLETE)
        finally:
            await asyncio.sleep(0.005)
            closed.append(asked)

    async with (
        serving(talking(answer)) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        for number in range(10):
            first, last = await ask(socket, str(number))
            assert first["text_delta"]["content"] == str(number) == closed[-1]
        assert last["error_info"]["kind"] == "truncated"


async def test_events_that_can_not_be_closed_have_ended_all_the_same(caplog) -> None:
    async def answer(asked):
        try:
            yield text_delta(asked)
            yield StreamEvent(EventType.MESSAGE_COMPLETE)
        finally:
            raise OSError("secret")

    async with (
        serving(talking(answer)) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        said = await ask(socket, "hi") + await ask(socket, "again")
    assert [each["type"] for each in said] == ["text_delta", "message_complete"] * 2
    assert sum("could not be closed" in record.getMessage() for record in caplog.records) == 2


async def test_a_client_that_goes_while_the_events_close_did_not_hear_the_end() -> None:
    closing, whole = asyncio.Event(), asyncio.Queue()

    async def answer():
        try:
            yield StreamEvent(EventType.MESSAGE_COMPLETE)
        finally:
            closing.set()
            await asyncio.sleep(0.1)

    async def endpoint(websocket):
        await websocket.accept()
        whole.put_nowait(await send_events(websocket, answer()))

    async with serving(Starlette(routes=[WebSocketRoute("/", endpoint)])) as port:
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/")
        await closing.wait()
        socket.transport.abort()
        assert await asyncio.wait_for(whole.get(), PATIENCE) is False
