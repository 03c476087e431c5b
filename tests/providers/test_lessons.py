"""A 400 that names an option is learned from once, end to end, for all three APIs."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.errors import ADAPTED, ErrorInfo
from llmstream.events.types import error
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.wire.json_fields import snake_case
from tests.grammar_check import check_stream
from tests.loopback import APIS, Loopback, answer, cut, refuse

QUESTION = [{"role": "user", "content": "hi"}]
HOT = {
    "error": {
        "message": "Unsupported parameter: 'temperature' is not supported with this model.",
        "code": None,
    }
}
TOP = {
    "error": {
        "message": "Unsupported parameter: 'top_p' is not supported with this model.",
        "code": None,
    }
}
LONG = {
    "error": {
        "message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "code": None,
    }
}

api = pytest.mark.parametrize("provider", list(APIS))


def connect(server: Loopback, provider: str, **options: Any) -> LLMClient:
    model = options.pop("model", "m-1")
    options = {"retry": RetryPolicy(base_delay=0), **options}
    return LLMClient(
        f"{provider}:{model}", api_key="sk-loopback-key", base_url=server.url(provider), **options
    )


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    return [event async for event in client.chat_completion(QUESTION, **options)]


def warnings(events: list[StreamEvent]) -> tuple[str, ...]:
    start = events[-1].start
    assert start is not None
    return start.warnings


@pytest.mark.parametrize(
    ("provider", "option", "value", "told"),
    [
        ("openai", "top_k", 5, "Unrecognized request argument supplied: top_k"),
        ("openai", "frequency_penalty", 1, "frequency_penalty is not supported by this model"),
        ("openai", "presence_penalty", 1, "property 'presence_penalty' is unsupported"),
        ("openai", "verbosity", "low", "Unknown parameter: 'verbosity'."),
        ("openai", "service_tier", "flex", "service_tier is not supported with this model."),
        ("openai-responses", "verbosity", "low", "Unsupported parameter: 'text.verbosity'."),
        ("openai-responses", "service_tier", "flex", "Unknown parameter: 'service_tier'."),
        ("gemini", "top_k", 5, "Unknown name \"topK\" at 'generation_config': Cannot find field."),
        ("gemini", "seed", 5, "Unknown name \"seed\" at 'generation_config': Cannot find field."),
        ("gemini", "presence_penalty", 1, "Penalty is not enabled for models/gemini-x"),
        ("gemini-interactions", "seed", 5, "Unknown parameter 'seed' at 'generation_config'."),
        ("gemini-interactions", "service_tier", "flex", "Unknown parameter 'service_tier'."),
        ("anthropic", "top_k", 5, "top_k: Extra inputs are not permitted"),
        ("anthropic", "service_tier", "auto", "service_tier: Extra inputs are not permitted"),
        ("ollama", "top_k", 5, "top_k is not supported with this model."),
    ],
)
async def test_an_option_that_only_tunes_is_left_out_once_a_host_has_refused_it(
    provider: str, option: str, value: Any, told: str
) -> None:
    body = {"error": {"message": told, "type": "invalid_request_error"}}
    refusal = {"type": "error", **body} if provider == "anthropic" else body
    async with (
        Loopback(refuse(400, refusal), answer(APIS[provider])) as server,
        connect(server, provider, model="claude-opus-4-6") as client,
    ):
        events = await collect(client, **{option: value})
        again = await collect(client, **{option: value})
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert warnings(events) == warnings(again) == (f"{option}: refused by the provider; dropped",)
    bodies = [request.body for request in server.requests]
    inside = [options_of(each) for each in bodies]
    assert [option in each for each in inside] == [True, False, False]
    assert all("text" not in each and "options" not in each for each in bodies[1:])


async def test_a_model_of_ollama_that_cant_think_is_asked_without_it() -> None:
    """https://github.com/ollama/ollama/blob/main/server/routes.go."""
    refusal = {"error": '"llama3" does not support thinking'}
    async with (
        Loopback(refuse(400, refusal), answer("ollama-native")) as server,
        connect(server, "ollama") as client,
    ):
        events = await collect(client, reasoning_effort="low")
    assert warnings(events) == ("reasoning_effort: refused by the provider; dropped",)
    assert ["think" in request.body for request in server.requests] == [True, False]


def options_of(body: dict[str, Any]) -> dict[str, Any]:
    """The options of a body, under the names that most formats have for them."""
    places = ("text", "options", "inferenceConfig", "generationConfig", "generation_config")
    inside = [body, *(body.get(place, {}) for place in places)]
    held = {name: value for each in inside for name, value in each.items()}
    return {"top_p" if name == "p" else snake_case(name): held[name] for name in held}


async def test_a_thinking_that_a_gemini_refuses_is_left_out() -> None:
    told = {"message": "Thinking level is not supported for this model.", "code": 400}
    async with (
        Loopback(refuse(400, {"error": told}), answer("gemini-generate")) as server,
        connect(server, "gemini") as client,
    ):
        events = await collect(client, reasoning_effort="low")
    assert warnings(events) == ("reasoning_effort: refused by the provider; dropped",)
    bodies = [request.body.get("generationConfig") for request in server.requests]
    assert bodies == [{"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}, None]


async def test_a_thinking_that_an_interaction_refuses_is_left_out() -> None:
    """Its level, and how its thoughts come, one after the other."""
    level = {
        "code": "invalid_request",
        "message": "thinking_level is not supported for this model.",
    }
    words = {**level, "message": "thinking_summaries is not supported for this model."}
    server = Loopback(
        refuse(400, {"error": level}),
        refuse(400, {"error": words}),
        answer("gemini-interactions"),
    )
    async with server, connect(server, "gemini-interactions") as client:
        events = await collect(client, reasoning_effort="low")
    assert set(warnings(events)) == {"reasoning_effort: refused by the provider; dropped"}
    bodies = [request.body.get("generation_config") for request in server.requests]
    both = {"thinking_level": "low", "thinking_summaries": "auto"}
    assert bodies == [both, {"thinking_summaries": "auto"}, None]


@api
async def test_the_request_goes_out_again_at_once_without_the_option_and_says_so(
    provider: str,
) -> None:
    api = APIS[provider]
    once = RetryPolicy(max_attempts=1)  # a lesson is not counted
    async with (
        Loopback(refuse(400, HOT), refuse(400, TOP), answer(api)) as server,
        connect(server, provider, retry=once) as client,
    ):
        events = await collect(client, temperature=0.5, top_p=0.5)
        again = await collect(client, temperature=0.5, top_p=0.5)
        other = await collect(client, temperature=0.5, model="m-2")
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert [(e.retry.delay, e.retry.attempt) for e in events if e.retry] == [(0.0, 1), (0.0, 1)]
    sent = [
        [key for key in ("temperature", "top_p") if key in options_of(request.body)]
        for request in server.requests
    ]
    assert sent == [["temperature", "top_p"], ["top_p"], [], [], ["temperature"]]
    assert [w.partition(":")[0] for w in warnings(events)] == ["temperature", "top_p"]
    assert warnings(again) == warnings(events)
    assert not [e for e in again if e.retry]
    assert warnings(other) == ()  # what one model refuses, another may take


@pytest.mark.parametrize(
    ("provider", "option", "value", "told"),
    [
        ("openai", "metadata", {"a": "b"}, "'metadata' is only allowed when 'store' is enabled."),
        ("openai", "seed", 1, "seed cannot be used with stream_options"),
        ("openai-responses", "top_p", 0.5, "top_p is not supported when include is set"),
        ("anthropic", "top_k", 5, "`top_k` may only be set when thinking is disabled."),
    ],
)
@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_an_option_is_left_out_beside_what_it_was_refused_beside(
    provider: str, option: str, value: Any, told: str, transport: str
) -> None:
    """Other requests keep it."""
    body = {"error": {"message": told, "type": "invalid_request_error"}}
    refusal = {"type": "error", **body} if provider == "anthropic" else body
    async with (
        Loopback(refuse(400, refusal), answer(APIS[provider])) as server,
        connect(server, provider, model="grok-4-6", transport=transport) as client,
    ):
        events = await collect(client, **{option: value})
        again = await collect(client, **{option: value})
        other = await collect(
            client, **{option: value}, max_tokens=99, stop=["x"], service_tier="auto"
        )
    assert warnings(events) == warnings(again) == (f"{option}: refused by the provider; dropped",)
    assert not [each for each in warnings(other) if each.startswith(option)]
    assert [option in each.body for each in server.requests] == [True, False, False, True]


async def test_an_option_with_two_names_goes_under_the_other() -> None:
    async with (
        Loopback(refuse(400, LONG), answer("openai-chat")) as server,
        connect(server, "openai") as client,
    ):
        events = await collect(client, max_tokens=7, stream=False)
    assert [e.type for e in events] == [EventType.MESSAGE_COMPLETE]
    assert "max_tokens" not in server.requests[1].body
    assert server.requests[1].body["max_completion_tokens"] == 7


@api
async def test_strict_learns_nothing(provider: str) -> None:
    async with (
        Loopback(refuse(400, HOT), answer(APIS[provider])) as server,
        connect(server, provider, strict=True) as client,
    ):
        events = await collect(client, temperature=0.5)
    assert [e.error_info.kind for e in events if e.error_info] == ["invalid_request"]
    assert len(server.requests) == 1


@api
async def test_a_host_that_refuses_what_was_not_sent_is_believed(provider: str) -> None:
    async with Loopback(refuse(400, HOT)) as server, connect(server, provider) as client:
        events = await collect(client, temperature=0.5)
    assert events[-1].error_info is not None
    assert events[-1].error_info.kind == "invalid_request"
    assert len(server.requests) == 2


async def test_a_provider_that_learns_the_same_for_ever_is_not_asked_for_ever() -> None:
    lesson = error(ErrorInfo("invalid_request", "again", retryable=True, code=ADAPTED))
    client = LLMClient(
        provider=ScriptedProvider(*([lesson] for _ in range(9))), clock=VirtualClock()
    )
    events = await collect(client)
    assert events[-1].error_info is not None
    assert [event.retry.attempt for event in events if event.retry] == [1, 2, 3]


PREFILL = {
    "error": {
        "type": "invalid_request_error",
        "message": "This model does not support assistant message prefill.",
    }
}


@pytest.mark.parametrize(
    ("provider", "model", "prefilled"),
    [
        ("openai", "gpt-5-mini", False),
        ("openai-responses", "gpt-5-mini", False),
        ("anthropic", "claude-sonnet-4-5", True),
        ("anthropic", "claude-opus-4-1-20250805", True),
        ("anthropic", "claude-3-7-sonnet-latest", True),
        ("anthropic", "claude-sonnet-4-6", False),
        ("anthropic", "claude-opus-5", False),
        ("llamacpp", "any", True),
        ("mistral", "mistral-small-latest", True),
    ],
)
async def test_a_cut_answer_is_taken_up_as_the_model_allows(
    provider: str,
    model: str,
    prefilled: bool,  # noqa: FBT001  # pytest gives it
) -> None:
    api = APIS.get(provider, "openai-chat")
    server = Loopback(cut(api, 4, "one two three"), answer(api, " four"))
    async with server, connect(server, provider, model=model, on_interrupt="continue") as client:
        events = await collect(client)
    last = check_stream(events, going_on=True)
    assert last.message is not None
    assert last.message.text.endswith("four")
    assert last.message.text.startswith("one")
    turns = server.requests[1].body.get("messages") or server.requests[1].body["input"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] + ["user"] * (not prefilled)
    assert turns[-1].get("prefix") == (True if provider == "mistral" else None)


async def test_a_model_that_refuses_a_prefill_is_asked_in_words_from_then_on() -> None:
    api = APIS["anthropic"]
    whole = answer(api, " four")
    server = Loopback(
        cut(api, 3, "one two"), refuse(400, PREFILL), whole, cut(api, 3, "one two"), whole
    )
    options = {"model": "claude-sonnet-4-5", "on_interrupt": "continue", "strict": True}
    async with server, connect(server, "anthropic", **options) as client:
        first, second = await collect(client), await collect(client)
    assert check_stream(first, going_on=True).type is check_stream(second, going_on=True).type
    assert first[-1].type is EventType.MESSAGE_COMPLETE
    ends = [request.body["messages"][-1]["role"] for request in server.requests]
    assert ends == ["user", "assistant", "user", "user", "user"]


def test_one_endpoint_and_key_have_one_budget() -> None:
    def key(**options: Any) -> str:
        return str(LLMClient("openai:m", **options)._provider.traits.budget_key)

    here = {"base_url": "http://127.0.0.1:9/v1"}
    assert key(api_key="sk-one-of-two", **here) == key(api_key="sk-one-of-two", **here)
    assert key(api_key="sk-one-of-two", **here) != key(api_key="sk-two-of-two", **here)
    assert key(api_key="sk-one-of-two") != key(api_key="sk-one-of-two", **here)
    assert "sk-one" not in key(api_key="sk-one-of-two")


DOCUMENTS: dict[str, Any] = {
    "openai": {
        "id": "c",
        "model": "m",
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
    },
    "openai-responses": {
        "id": "r",
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "message", "id": "x", "content": [{"type": "output_text", "text": "Hello"}]}
        ],
    },
    "anthropic": {
        "type": "message",
        "id": "a",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
    },
    "bedrock": {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
    },
    "ollama": {"message": {"content": "Hello"}, "done": True, "done_reason": "stop"},
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
    },
    "gemini-interactions": {
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hello"}]}],
        "status": "completed",
    },
    "cohere": {"message": {"content": [{"text": "Hello"}]}, "finish_reason": "COMPLETE"},
}


@api
@pytest.mark.parametrize("status", [400, 405, 501])
async def test_a_server_that_does_not_stream_still_answers_the_same_call(
    provider: str, status: int
) -> None:
    no = {
        "error": {
            "message": "Streaming is not supported by this model",
            "type": "invalid_request_error",
        }
    }
    once = RetryPolicy(max_attempts=1)
    server = Loopback(refuse(status, no), refuse(200, DOCUMENTS[provider]))
    async with server, connect(server, provider, retry=once, strict=True) as client:
        first, second = await collect(client), await collect(client)
    for events in (first, second):
        last = check_stream(events)
        assert last.message is not None
        assert last.message.text == "Hello"
        assert [told.partition(":")[0] for told in warnings(events)] == ["stream", "stream"]
    streamed = [
        "stream" in request.body or "stream" in request.path.lower() for request in server.requests
    ]
    assert streamed == [True, False, False]
