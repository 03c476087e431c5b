"""What strangers are told when a tool of the server's own fails."""

from __future__ import annotations

import json

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from llmstream import LLMClient
from llmstream.conversations import ConversationClient
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import Message, TextPart, ToolCall, ToolResult
from llmstream.testing import ScriptedProvider
from llmstream.tools import run_tools
from llmstream.web import create_app, respond, send_events
from llmstream.web.dialect_endpoints import Streamed
from llmstream.web.dialects import AgUi, AiSdk
from llmstream.web.errors import public_event
from tests.web.serving import fetch, serving
from tests.web.test_app import post
from tests.web.test_conversation_endpoints import begin

SECRET = "password=hunter2"
QUESTION = [{"role": "user", "content": "hi"}]
BODIES = {
    AgUi: {"threadId": "t", "runId": "r", "messages": [{"id": "1", **QUESTION[0]}]},
    AiSdk: {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]},
}


def look_up(city: str) -> str:
    raise ConnectionError(f"db-7.internal {SECRET}")


def asked_about_paris() -> ScriptedProvider:
    call = ToolCall("c1", "look_up", '{"city":"Paris"}', {"city": "Paris"})
    return ScriptedProvider([call], ["Sorry."])


def failing(provider):
    return run_tools(LLMClient(provider=provider), QUESTION, [look_up])


def told_of(provider) -> str:
    """What the model was told."""
    (result,) = provider.requests[1].messages[-1].parts
    return result.content


@pytest.mark.parametrize(
    "form",
    ["text/event-stream", "application/x-ndjson", "application/json", "text/plain", AgUi, AiSdk],
)
async def test_what_a_tool_raised_is_for_the_model_and_the_log_alone(form, caplog) -> None:
    provider = asked_about_paris()

    async def endpoint(request):
        if isinstance(form, str):
            return respond(request, failing(provider))
        dialect = form()
        return respond(
            request, failing(provider), encoder=Streamed(dialect, dialect.parse(BODIES[form]))
        )

    async with serving(Starlette(routes=[Route("/", endpoint)])) as port:
        accept = form if isinstance(form, str) else "text/event-stream"
        status, _, body = await fetch(port, accept=accept, x_request_id="req-7")
    assert (status, b"Sorry." in body, b"hunter2" in body) == (200, True, False)
    assert (b"The tool gave no result." in body) == (form != "text/plain")
    assert told_of(provider) == f"ConnectionError: db-7.internal {SECRET}"
    (line,) = [each.getMessage() for each in caplog.records if "look_up" in each.getMessage()]
    assert "req-7" in line
    assert SECRET in line


async def test_what_a_tool_raised_is_not_sent_over_a_websocket_either() -> None:
    provider = asked_about_paris()

    async def endpoint(websocket):
        await websocket.accept()
        await send_events(websocket, failing(provider))
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with serving(app) as port, websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        told = "".join([str(message) async for message in socket])
    assert (
        told.count("The tool gave no result.") == 2
    )  # as it comes, and among the messages at the end
    assert "hunter2" not in told
    assert SECRET in told_of(provider)


async def test_a_conversation_keeps_what_a_tool_raised_and_does_not_tell_it() -> None:
    provider = asked_about_paris()
    client = LLMClient(provider=provider)
    async with serving(
        create_app(client, conversations=ConversationClient(client, tools=[look_up]))
    ) as port:
        ids = await begin(port)
        status, _, body = await post(port, "/chat", {"prompt": "hi", "stream": True, **ids})
    assert (status, b"The tool gave no result." in body, b"hunter2" in body) == (200, True, False)
    assert SECRET in told_of(provider)


def test_only_the_words_of_our_own_tools_failures_are_kept_back() -> None:
    fine, theirs = (
        ToolResult("c1", "12"),
        ToolResult("c2", {"code": "busy"}, is_error=True, executed_by="provider"),
    )
    ours = ToolResult("c3", SECRET, "f", is_error=True)
    message = Message("assistant", [TextPart("Hi"), fine, theirs, ours], id="m", model="x")
    event = StreamEvent(EventType.MESSAGE_COMPLETE, message=message, messages=[message])
    public = public_event(event, "r")
    assert public.message is not None
    assert public.message.parts[:3] == [TextPart("Hi"), fine, theirs]
    assert public.message.parts[3] == ToolResult(
        "c3", "The tool gave no result.", "f", is_error=True
    )
    assert (public.message.id, public.message.model, public.messages) == (
        "m",
        "x",
        [public.message],
    )
    assert message.parts[3] == ours == ToolResult("c3", SECRET, "f", is_error=True)
    assert json.dumps(event.to_dict()).count(SECRET) == 2
