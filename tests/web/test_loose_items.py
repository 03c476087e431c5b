"""What an application streams besides StreamEvents: pieces of text, and the chunks of a conversation."""

from __future__ import annotations

import json
from functools import partial

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from llmstream import ErrorInfo, EventType, Source, Usage
from llmstream.conversations import StreamingChatRequest, StreamingChunk
from llmstream.streams import map_text
from llmstream.web import respond, send_events
from llmstream.web.loose_items import LooseItems
from tests.conversations.talk import enter, scripted
from tests.grammar_check import check_stream
from tests.web.serving import app_of, events_of, fetch, serving

ANSWER = [
    "See ",
    Source(title="Act", url="https://a.example", relevance_score=0.9),
    "it.",
    Usage(3, 2),
]


async def words(*pieces, failure=None):
    for piece in pieces:
        yield piece
    if failure is not None:
        raise failure


async def chunks(*attempts):
    _, client = scripted(*attempts)
    session = await enter(client)
    conversation = await client.start_conversation(session)
    context = session.model_copy(update={"conversation_id": conversation.conversation_id})
    async for chunk in client.chat_stream(context, StreamingChatRequest(query="hi")):
        yield chunk


async def served(make, accept="text/event-stream"):
    async def endpoint(request):
        return respond(request, make())

    async with serving(app_of(endpoint)) as port:
        return await fetch(port, accept=accept)


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain", "application/json"])
async def test_pieces_of_text_are_an_answer(accept) -> None:
    status, _, body = await served(lambda: words("Hel", "", "lo"), accept)
    assert status == 200
    if accept == "text/event-stream":
        events = events_of(body)
        check_stream(events, keep_message=False)
        assert "".join(event.text for event in events) == "Hello"
    else:
        assert b"Hello" in body


async def test_text_that_is_cut_by_an_exception_is_an_error() -> None:
    _, _, body = await served(lambda: words("Hel", failure=KeyError("secret")))
    events = events_of(body)
    assert [event.type for event in events][-2:] == [EventType.TEXT_DELTA, EventType.ERROR]
    assert b"secret" not in body


@pytest.mark.parametrize("item", [b"bytes", 3, None, {"content": "a"}])
async def test_what_is_none_of_them_is_told_in_the_log(item, caplog) -> None:
    for expected, pieces in ((500, (item,)), (200, ("a", item))):
        status, _, _ = await served(partial(words, *pieces))
        assert status == expected
        assert f"not {type(item).__name__}" in caplog.text
        caplog.clear()


async def test_nothing_at_all_is_no_answer() -> None:
    status, _, _ = await served(words)
    assert status == 502


async def test_chunks_of_a_conversation_are_the_events_that_they_were_made_of() -> None:
    _, _, body = await served(lambda: chunks(ANSWER))
    events = events_of(body)
    check_stream(events, keep_message=False)
    assert "".join(event.text for event in events) == "See it."
    (source,) = [event.source for event in events if event.source is not None]
    assert (source.title, source.url, source.relevance_score) == ("Act", "https://a.example", 0.9)
    assert (events[-1].usage.input_tokens, events[-1].usage.output_tokens) == (3, 2)
    assert events[0].start.provider == "scripted"


async def test_a_failed_turn_is_an_error_and_never_whole() -> None:
    failed = ErrorInfo("rate_limit", "secret", retryable=False, retry_after=2)
    status, headers, _ = await served(lambda: chunks([failed]))
    assert (status, headers["retry-after"]) == (429, "2")
    _, _, body = await served(lambda: chunks(["half", failed]))
    events = events_of(body)
    assert [event.type for event in events][-1] is EventType.ERROR
    assert events[-1].error_info.kind == "rate_limit"


async def test_chunks_without_a_last_one_are_half_an_answer() -> None:
    _, _, body = await served(lambda: words(StreamingChunk(content="half")))
    assert events_of(body)[-1].error_info.kind == "truncated"


async def test_they_go_over_a_websocket_too() -> None:
    async def endpoint(websocket):
        await websocket.accept()
        for items in (words("Hel", "lo"), chunks(ANSWER)):
            assert await send_events(websocket, items)
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with (
        serving(app) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        told = [json.loads(message) async for message in socket]
    said = "".join(each.get("text_delta", {}).get("content", "") for each in told)
    assert said == "HelloSee it."
    assert [each["type"] for each in told].count("message_complete") == 2


async def test_closed_before_its_first_step_it_closes_the_source() -> None:
    closed = []

    class Source:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise AssertionError

        async def aclose(self):
            closed.append(True)

    await LooseItems(Source()).aclose()
    assert closed


async def test_operators_take_chunks_through_it() -> None:
    """An operator reads events; `LooseItems` makes them of chunks."""
    shouted = map_text(LooseItems(chunks(ANSWER)), str.upper)
    assert "".join([event.text async for event in shouted]) == "SEE IT."
