"""OpenAI's own Python client against the chat dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmstream.events.types import (
    EventType,
    Start,
    Status,
    StreamEvent,
    opaque,
    reasoning_delta,
    text_delta,
)
from llmstream.messages import FinishReason, ReasoningPart, TextPart
from llmstream.web.dialects import OpenAIChat
from tests.web.dialects.gateway import MODELS, Gateway, collect

HI = [{"role": "user", "content": "hi"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    made = openai.AsyncOpenAI(api_key="k", base_url=f"{gateway.url}/v1", max_retries=0)
    async with made:
        yield made


async def streamed(client: openai.AsyncOpenAI, model: str, **options) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(model=model, messages=HI, stream=True, **options)
    chunks = await collect(stream)
    for chunk in chunks:  # the client itself checks nothing
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    return chunks


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def asked(client: openai.AsyncOpenAI, model: str, **options) -> ChatCompletion:
    answer = await client.chat.completions.create(model=model, messages=HI, **options)
    return ChatCompletion.model_validate(answer.model_dump(), strict=True)


async def test_text_streams_with_one_id_and_a_finish_reason(client) -> None:
    chunks = await streamed(client, "text")
    assert text_of(chunks) == "Hello, wörld\u2028 \r\n\n🙂"
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.created > 1_700_000_000 and chunk.model == "text" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_usage_comes_last_for_those_that_ask(client) -> None:
    chunks = await streamed(client, "text", stream_options={"include_usage": True})
    usage = chunks[-1].usage
    assert chunks[-1].choices == []
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (7, 3, 10)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 2


async def test_a_whole_answer(client) -> None:
    answer = await asked(client, "text")
    assert answer.choices[0].message.content == "Hello, wörld\u2028 \r\n\n🙂"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


async def test_tool_calls_streamed_and_whole(client) -> None:
    chunks = await streamed(client, "tools", tools=[WEATHER])
    calls = [
        call
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    assert calls[0].id == "call-1"
    assert calls[0].function is not None
    assert calls[0].function.name == "weather"
    assert "".join(call.function.arguments for call in calls) == '{"city":"Paris"}'
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    answer = await asked(client, "tools", tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.id, call.function.arguments) == ("call-1", '{"city":"Paris"}')
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_the_sdks_own_accumulating_stream_agrees_with_the_whole_answer(client) -> None:
    for model in ("text", "tools", "refusal", "length"):
        if model == "length":
            with pytest.raises(openai.LengthFinishReasonError):
                await _accumulated(client, model)
            continue
        message = await _accumulated(client, model)
        whole = (await asked(client, model, tools=[WEATHER])).choices[0].message
        assert (message.content or "", message.refusal) == (whole.content or "", whole.refusal)
        assert [call.id for call in message.tool_calls or ()] == [
            call.id for call in whole.tool_calls or ()
        ]


async def test_citations_come_at_once_for_clients_that_add_up_what_they_get(client) -> None:
    message = await _accumulated(client, "cited")
    whole = (await asked(client, "cited")).choices[0].message
    assert message.content == "Paris and Rome"
    assert [cited.url_citation.url[-1] for cited in message.annotations] == ["a", "b"]
    assert message.annotations == whole.annotations


async def _accumulated(client, model: str):
    async with client.chat.completions.stream(model=model, messages=HI, tools=[WEATHER]) as stream:
        return (await stream.get_final_completion()).choices[0].message


async def test_reasoning_refusals_and_sources(client) -> None:
    chunks = await streamed(client, "reasoning")
    thought = "".join(
        getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks
    )
    assert (thought, text_of(chunks)) == ("Hm, thinking", "Yes.")
    refusal = await asked(client, "refusal")
    assert (refusal.choices[0].message.refusal, refusal.choices[0].message.content) == (
        "I can't help with that.",
        None,
    )
    sources = await asked(client, "sources")
    (cited,) = sources.choices[0].message.annotations or ()
    assert (cited.url_citation.url, cited.url_citation.title) == ("https://example.org/a", "A page")


async def test_an_error_before_the_answer_is_an_http_error(client) -> None:
    for stream in (True, False):
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="refused", messages=HI, stream=stream)
        assert caught.value.body["message"].startswith("Too many requests just now.")
        assert caught.value.body["request_id"] == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize("model", ["midway", "cut", "restart"])
async def test_an_answer_that_breaks_off_raises_after_its_text(client, model) -> None:
    stream = await client.chat.completions.create(model=model, messages=HI, stream=True)
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError) as caught:
        await _read(stream, chunks)
    assert text_of(chunks) == "Half an "
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    expected = {"midway": "overloaded", "cut": "cut before", "restart": "interrupted"}[model]
    assert expected in caught.value.message


async def _read(stream, chunks: list[ChatCompletionChunk]) -> None:
    async for chunk in stream:
        chunks.append(chunk)  # noqa: PERF401  # what came before the error counts


async def test_a_retry_before_the_first_piece_leaves_no_trace(client) -> None:
    assert text_of(await streamed(client, "retry")) == "Hello"


async def test_heartbeats_while_the_model_thinks_are_no_part_of_the_answer(client) -> None:
    assert text_of(await streamed(client, "slow")) == "Half an hour."


async def test_calls_that_the_server_ran_are_not_the_clients(client) -> None:
    chunks = await streamed(client, "steps")
    assert text_of(chunks) == "Let me look.Sunny."
    assert all(choice.delta.tool_calls is None for chunk in chunks for choice in chunk.choices)
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == [
        "stop"
    ]


async def test_a_call_that_the_model_made_up_still_leaves(client) -> None:
    chunks = await streamed(client, "tools")
    calls = [
        call
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    assert "".join(call.function.arguments for call in calls) == '{"city":"Paris"}'


async def test_leaving_stops_the_model(client, gateway) -> None:
    stream = await client.chat.completions.create(model="stall", messages=HI, stream=True)
    await anext(aiter(stream))
    assert not gateway.stall.closed.is_set()
    await stream.close()
    await asyncio.wait_for(gateway.stall.closed.wait(), 5)


async def test_options_and_history_arrive(client, gateway) -> None:
    history = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
        },
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm"},
        {"role": "user", "content": "go on"},
    ]
    await client.chat.completions.create(
        model="text",
        messages=history,
        temperature=0.5,
        max_completion_tokens=9,
        stop="x",
        seed=1,
        user="u",
        store=True,
        verbosity=None,
    )
    (ask,) = gateway.asks
    assert [message.role for message in ask.messages] == ["system", "user", "assistant", "user"]
    assert ask.messages[2].parts == [ReasoningPart("Hm"), TextPart("Yes.")]
    assert ask.options == {
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["x"],
        "seed": 1,
        "format_options": {"openai-chat": {"user": "u", "store": True}},
    }


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "the body"),
        ({"model": "text"}, "messages"),
        ({"model": "text", "messages": []}, "messages"),
        ({"model": "text", "messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"model": "text", "messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"messages": HI}, "model"),
        ({"model": "text", "messages": HI, "temperature": "hot"}, "temperature"),
        ({"model": "text", "messages": HI, "max_tokens": 0}, "max_tokens"),
        ({"model": "text", "messages": HI, "stream": "yes"}, "stream"),
        ({"model": "text", "messages": [{**HI[0], "nmae": "x"}]}, "messages[0] has no key 'nmae'"),
        ({"model": "text", "messages": HI, "reasoning_effort": "hgih"}, "reasoning_effort must be"),
        ({"model": "text", "messages": HI, "n": 2}, "n:"),
        ({"model": "text", "messages": HI, "metadata": [1]}, "metadata"),
        ({"model": "text", "messages": HI, "stream_options": "all"}, "stream_options"),
        ({"model": "text", "messages": HI, "tools": [{"type": "function"}]}, "tools[0]"),
    ],
)
async def test_a_wrong_body_is_a_400_that_names_the_place(client, body, place) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/chat/completions", body=body, cast_to=object)
    assert place in caught.value.body["message"]
    assert caught.value.body["type"] == "invalid_request_error"


async def test_an_unknown_model_is_a_404(client) -> None:
    with pytest.raises(openai.NotFoundError):
        await asked(client, "nobody")


async def test_what_is_not_here_is_no_unknown_model(client) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.moderations.create(model="text", input="hi")
    assert caught.value.code == "no_such_path"


async def test_the_models_are_listed(client) -> None:
    listed = await collect(client.models.list())
    assert [model.id for model in listed] == MODELS
    for model in listed:
        Model.model_validate(json.loads(model.model_dump_json()))


def test_reasoning_that_goes_back_is_the_last_rounds_and_has_its_words() -> None:
    """A step's reasoning belongs to a call that the client never saw."""
    dialect = OpenAIChat()
    encoder = dialect.encoder(dialect.parse({"model": "m", "messages": HI}))
    start = StreamEvent(EventType.MESSAGE_START, start=Start())
    first = [start, reasoning_delta("look"), opaque("anthropic-messages", signature="one")]
    step = StreamEvent(EventType.STATUS, status=Status("step", "round 1"))
    last = [start, reasoning_delta("so"), opaque("anthropic-messages", signature="two")]
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
    sent = b"".join(map(encoder.feed, [*first, step, *last, text_delta("Yes."), end]))
    chunks = [json.loads(frame[6:]) for frame in sent.split(b"\n\n") if frame[6:7] == b"{"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    (details,) = [delta["reasoning_details"] for delta in deltas if delta.get("reasoning_details")]
    assert [detail["llmstream"]["signature"] for detail in details] == ["two"]
    assert [detail["text"] for detail in details] == ["so"]
