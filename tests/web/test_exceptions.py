"""What a client hears of an exception that the events raised."""

from __future__ import annotations

import json

import pytest
import websockets
from fastapi import HTTPException
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.conversations import ChatContext, ConversationClient, StreamingChatRequest
from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import ScriptedProvider
from llmstream.web import respond, send_events
from llmstream.web.errors import TABLE, RefusedError
from tests.conversations.talk import enter
from tests.web.serving import Client, app_of, events_of, fetch, serving

SECRET = "sk-provider-said-this"


def answered_by(make):
    async def endpoint(request):
        return respond(request, make())

    return app_of(endpoint)


async def said_over_websocket(make) -> list:
    async def endpoint(websocket):
        await websocket.accept()
        if await send_events(websocket, make()):
            await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with serving(app) as port, websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        return [json.loads(message) async for message in socket]


def shouting(*attempt):
    """Events of one's own out of a stream that raises."""
    client = LLMClient(provider=ScriptedProvider([*attempt]), retry=RetryPolicy(max_attempts=1))

    async def shouted():
        async with client.stream([{"role": "user", "content": "hi"}]) as answer:
            async for text in answer.text():
                yield text_delta(text.upper())
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    return shouted()


LIMIT = ErrorInfo("rate_limit", SECRET, retry_after=7, status_code=429)


async def test_a_failure_that_was_raised_is_told_like_one_that_was_an_event(caplog) -> None:
    async with serving(answered_by(lambda: shouting(LIMIT))) as port:
        status, headers, body = await fetch(port)
    assert (status, headers["retry-after"], "x-should-retry" in headers) == (429, "7", False)
    assert json.loads(body)["error"] == TABLE["rate_limit"].text
    async with serving(answered_by(lambda: shouting("half", LIMIT))) as port:
        status, _, data = await fetch(port)
    first, last = events_of(data)
    assert (status, first.text, last.error_info.kind, last.error_info.retry_after) == (
        200,
        "HALF",
        "rate_limit",
        7,
    )
    first, last = await said_over_websocket(lambda: shouting("half", LIMIT))
    assert (first["type"], last["error_info"]["kind"], last["error"]) == (
        "text_delta",
        "rate_limit",
        TABLE["rate_limit"].text,
    )
    assert SECRET.encode() not in body + data
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_conversation_that_can_not_be_had_is_refused_by_respond_too() -> None:
    kept = ConversationClient(LLMClient(provider=SimulatorProvider(pace=0.02)))
    context = await enter(kept)
    conversation = await kept.start_conversation(context)
    ours = context.model_copy(update={"conversation_id": conversation.conversation_id})
    theirs = ChatContext(
        session_id=ours.session_id, token="guess", conversation_id=ours.conversation_id
    )
    async with serving(
        answered_by(lambda: kept.events(theirs, StreamingChatRequest(query="hi")))
    ) as port:
        assert (await fetch(port))[0] == 404
    async with serving(
        answered_by(lambda: kept.events(ours, StreamingChatRequest(query="hi")))
    ) as port:
        first = await Client.ask(port)
        await first.head()
        status, headers, _ = await fetch(port)
        assert (status, int(headers["retry-after"]) > 0) == (409, True)
        (refused,) = await said_over_websocket(
            lambda: kept.events(ours, StreamingChatRequest(query="hi"))
        )
        assert "Another turn" in refused["error"]
        assert refused["error_info"]["retryable"]
        await first.body()
    await kept.aclose()


@pytest.mark.parametrize(
    ("problem", "status", "kind", "wait"),
    [
        (HTTPException(404, "No such book."), 404, "not_found", None),
        (HTTPException(429, "Too many books.", {"Retry-After": "9"}), 429, "rate_limit", "9"),
        (HTTPException(503, "Closed."), 503, "overloaded", None),
        (HTTPException(422, {"book": 7}), 422, "invalid_request", None),
        (RefusedError(409, "overloaded", "Lent.", retry_after=3), 409, "overloaded", "3"),
    ],
)
async def test_a_refusal_of_ones_own_is_told_in_its_words(problem, status, kind, wait) -> None:
    async def early():
        raise problem
        yield

    async def late():
        yield text_delta("half")
        raise problem

    words = str(getattr(problem, "detail", problem))
    async with serving(answered_by(early)) as port:
        got, headers, body = await fetch(port)
    said = json.loads(body)
    assert (got, headers.get("retry-after"), said["error"], said["error_info"]["kind"]) == (
        status,
        wait,
        words,
        kind,
    )
    async with serving(answered_by(late)) as port:
        last = events_of((await fetch(port))[2])[-1]
    assert (last.error, last.error_info.kind, last.error_info.status_code) == (words, kind, None)
    (refused,) = await said_over_websocket(early)
    assert (refused["error"], refused["error_info"]["kind"]) == (words, kind)
