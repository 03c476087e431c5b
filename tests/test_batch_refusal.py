"""A refusal in batch mode: its words reach the reader wherever the one event goes."""

from __future__ import annotations

import json

import pytest

from llmstream import EventType, LLMClient, StreamEvent
from llmstream.messages import RefusalPart
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes, rules
from llmstream.testing import ScriptedProvider
from llmstream.tools.running import run_rounds
from llmstream.web import create_app
from llmstream.web.dialects.asking import whole
from llmstream.wire.openai_responses.encode import ResponsesEncoder
from tests.conversations.talk import begin, scripted
from tests.grammar_check import check_stream
from tests.web.serving import fetch, serving

QUESTION = [{"role": "user", "content": "hi"}]
REFUSED = [RefusalPart("I'd rather not.")]


class Asked(Routes):
    """What can be asked."""

    ALL = "all", "Anything"
    NOT_DEFINED = "not_defined"


def refusing(*, keep_message: bool = True) -> LLMClient:
    return LLMClient(provider=ScriptedProvider(*[REFUSED] * 3), keep_message=keep_message)


@pytest.mark.parametrize("keep_message", [True, False])
async def test_from_a_router_s_handler(keep_message):
    client, dispatcher = refusing(keep_message=keep_message), Dispatcher(Asked)
    dispatcher.handler(Asked.ALL)(lambda text: client.chat_completion(QUESTION, stream=False))
    router = RouterWithDispatcher(Asked, [rules({Asked.ALL: ["hi"]})], dispatcher)
    events = [event async for event in await router.route_request("hi")]
    check_stream(events)
    assert [event.refusal_delta.content for event in events if event.type is EventType.REFUSAL_DELTA] == [
        "I'd rather not."
    ]


async def test_from_a_conversation_and_from_what_it_replays():
    _, conversations = scripted(REFUSED)
    conversation = await begin(conversations)
    for _ in range(2):
        (last,) = [event async for event in conversation.events("hi", turn_id="t-1", stream=False)]
        assert (last.text_delta, last.refusal_delta.content) == (None, "I'd rather not.")
    streamed = [event async for event in conversation.events("hi", turn_id="t-1")]
    assert [event.type for event in streamed if event.refusal_delta is not None] == [EventType.REFUSAL_DELTA]


async def test_of_rounds_with_tools_it_comes_once():
    rounds = run_rounds(refusing(), QUESTION, [], {}, stream=False, max_rounds=2, confirm=None)
    events = [event async for event in rounds]
    check_stream(events)
    assert [event.type for event in events if event.refusal_delta is not None] == [EventType.REFUSAL_DELTA]


async def test_to_clients_of_openai():
    async with serving(create_app(refusing())) as port:
        _, _, listed = await fetch(port, "/v1/models")
        body = json.dumps({"model": json.loads(listed)["data"][0]["id"], "messages": QUESTION}).encode()
        status, _, said = await fetch(port, "/v1/chat/completions", "POST", body, content_type="application/json")
    assert (status, json.loads(said)["choices"][0]["message"]["refusal"]) == (200, "I'd rather not.")


async def test_to_a_dialect_from_a_client_that_keeps_no_message():
    (last,) = [event async for event in refusing(keep_message=False).chat_completion(QUESTION, stream=False)]
    assert (last.message, whole(last).message.refusal) == (None, "I'd rather not.")


async def test_to_the_responses_format_as_an_end_and_not_as_a_piece():
    (last,) = [event async for event in refusing().chat_completion(QUESTION, stream=False)]
    encoder = ResponsesEncoder()
    encoder.feed(StreamEvent(EventType.MESSAGE_START, start=last.start))
    assert b"event: response.completed" in encoder.feed(last)
