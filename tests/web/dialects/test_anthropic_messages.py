"""Anthropic's own Python client against the Messages dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic.types import Message as Answer
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from llmstream.messages import ChatRequest, ImagePart, ReasoningPart, TextPart, ToolCall, ToolResult
from llmstream.web.dialects import AnthropicMessages
from llmstream.wire.anthropic_messages.request import render_request
from tests.web.dialects.gateway import MODELS, Gateway, collect

HI = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
EVENTS = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    made = anthropic.AsyncAnthropic(api_key="k", base_url=gateway.url, max_retries=0)
    async with made:
        yield made


async def streamed(client: anthropic.AsyncAnthropic, model: str, **options) -> Answer:
    """The answer as the client itself adds it up, each event checked against its type."""
    options = {"max_tokens": 100, "messages": HI, **options}
    raw = await collect(await client.messages.create(model=model, stream=True, **options))
    for event in raw:
        EVENTS.validate_python(event.model_dump())
    async with client.messages.stream(model=model, **options) as stream:
        return await stream.get_final_message()


async def whole(client: anthropic.AsyncAnthropic, model: str, **options) -> Answer:
    answer = await client.messages.create(
        **{"model": model, "max_tokens": 100, "messages": HI, **options}
    )
    return Answer.model_validate(answer.model_dump())


@pytest.mark.parametrize(
    "model",
    [
        "text",
        "tools",
        "reasoning",
        "sources",
        "refusal",
        "length",
        "retry",
        "progress",
        "slow",
        "cut-call",
    ],
)
async def test_the_streamed_answer_is_the_whole_one(client, model) -> None:
    kept = {"type", "text", "thinking", "signature", "id", "name", "input", "citations"}
    first, second = (
        await streamed(client, model, tools=[WEATHER]),
        await whole(client, model, tools=[WEATHER]),
    )
    if model == "cut-call":  # what can't be parsed is shown as the client's own parser reads it
        assert second.content[0].type == "tool_use"
        assert first.stop_reason == second.stop_reason == "max_tokens"
        return
    shown = [
        [
            {k: v for k, v in block.model_dump().items() if k in kept and v is not None}
            for block in answer.content
        ]
        for answer in (first, second)
    ]
    assert shown[0] == shown[1]
    assert shown[0]
    assert (first.stop_reason, first.role, first.model) == (
        second.stop_reason,
        second.role,
        second.model,
    )
    assert first.usage.output_tokens == second.usage.output_tokens
    assert first.id.startswith("msg_")


async def test_text_and_usage(client) -> None:
    answer = await streamed(client, "text")
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "Hello, wörld\u2028 \r\n\n🙂"
    assert (
        answer.usage.input_tokens,
        answer.usage.cache_read_input_tokens,
        answer.usage.output_tokens,
    ) == (5, 2, 3)
    assert answer.stop_reason == "end_turn"


async def test_tools_and_reasoning(client) -> None:
    answer = await streamed(client, "tools", tools=[WEATHER])
    assert answer.stop_reason == "tool_use"
    assert answer.content[1].type == "tool_use"
    assert answer.content[1].input == {"city": "Paris"}
    thought = (await streamed(client, "reasoning")).content[0]
    assert thought.type == "thinking"
    assert (thought.thinking, thought.signature) == ("Hm, thinking", "c2ln")


async def test_an_error_before_the_answer_is_an_http_error(client) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        await streamed(client, "refused")
    assert caught.value.type == "rate_limit_error"
    assert caught.value.body["request_id"] == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize("model", ["midway", "cut", "restart"])
async def test_an_answer_that_breaks_off_raises_after_its_text(client, model) -> None:
    pieces: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        await _read(client, model, pieces)
    assert "".join(pieces) == "Half an "
    assert caught.value.type == ("overloaded_error" if model == "midway" else "api_error")


async def _read(client, model: str, pieces: list[str]) -> None:
    async with client.messages.stream(model=model, max_tokens=9, messages=HI) as stream:
        async for piece in stream.text_stream:
            pieces.append(piece)  # noqa: PERF401  # what came before the error counts


async def test_calls_that_the_server_ran_are_not_the_clients(client) -> None:
    answer = await streamed(client, "steps")
    assert [block.type for block in answer.content] == ["text"]
    assert answer.stop_reason == "end_turn"


async def test_leaving_stops_the_model(client, gateway) -> None:
    stream = await client.messages.create(model="stall", max_tokens=9, messages=HI, stream=True)
    await anext(aiter(stream))
    await stream.close()
    await asyncio.wait_for(gateway.stall.closed.wait(), 5)


async def test_options_and_history_arrive(client, gateway) -> None:
    answer = await streamed(
        client, "reasoning", system="Be brief.", extra_body={"top_k": 3, "odd": 1}
    )
    history = [
        *HI,
        {
            "role": "assistant",
            "content": [*answer.content, {"type": "tool_use", "id": "c", "name": "t", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}]},
    ]
    await whole(client, "text", messages=history, stop_sequences=["x"])
    first, *_, last = gateway.asks
    assert first.messages[0].text == "Be brief."
    assert first.options == {"max_tokens": 100, "top_k": 3}
    assert last.options == {"max_tokens": 100, "stop": ["x"]}
    assert last.messages[1].parts[:2] == [
        ReasoningPart("Hm, thinking", "c2ln", format="anthropic-messages"),
        TextPart("Yes."),
    ]
    assert isinstance(last.messages[1].parts[2], ToolCall)
    assert last.messages[2].parts == [ToolResult("c", "42")]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "the body"),
        ({"model": "text"}, "messages"),
        ({"messages": HI}, "model"),
        ({"model": "text", "messages": HI, "max_tokens": "9"}, "max_tokens"),
        ({"model": "text", "messages": HI, "max_tokens": 0}, "max_tokens"),
        ({"model": "text", "messages": HI, "stream": 1}, "stream"),
        ({"model": "text", "messages": [{**HI[0], "nmae": "x"}]}, "messages[0] has no key 'nmae'"),
        (
            {
                "model": "text",
                "messages": HI,
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "hgih"},
            },
            "reasoning_effort must be one of",
        ),
        ({"model": "text", "messages": HI, "metadata": {"user_id": 3}}, "metadata"),
        (
            {"model": "text", "messages": [{"role": "user", "content": [3]}]},
            "messages[0].content[0]",
        ),
        ({"model": "text", "messages": HI, "tools": [{}]}, "tools[0]"),
    ],
)
async def test_a_wrong_body_is_a_400_that_names_the_place(client, body, place) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.post("/v1/messages", body=body, cast_to=object)
    assert place in caught.value.body["error"]["message"]
    assert caught.value.type == "invalid_request_error"


def test_what_a_tool_showed_stays_in_its_result() -> None:
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
    }
    result = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "text", "text": "a shot"}, image],
    }
    turn = {"role": "user", "content": [result, {"type": "text", "text": "and?"}]}
    *_, results, said = (
        AnthropicMessages().parse({"model": "m", "messages": [*HI, turn]}).request.messages
    )
    shown = [TextPart("a shot"), ImagePart(data="aGk=", media_type="image/png")]
    assert (results.role, results.parts) == ("tool", [ToolResult("c", shown)])
    assert (said.role, said.parts) == ("user", [TextPart("and?")])


def test_reasoning_that_nobody_signed_is_not_sent_back() -> None:
    """What another provider's model thought has an empty signature here, which Anthropic would refuse."""
    turn = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}],
    }
    messages = (
        AnthropicMessages().parse({"model": "m", "messages": [*HI, turn, *HI]}).request.messages
    )
    assert messages[1].parts == [ReasoningPart("Hm", format="anthropic-messages")]
    assert "thinking" not in str(render_request(ChatRequest(messages, "claude-x")).body["messages"])


async def test_what_is_not_offered_is_said_in_its_own_words(client) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.messages.batches.list()
    assert caught.value.body["type"] == "error"
    assert caught.value.type == "not_found_error"


async def test_the_models_are_listed(client) -> None:
    listed = await collect(client.models.list())
    assert [model.id for model in listed] == MODELS
    assert listed[0].created_at.year >= 2026
