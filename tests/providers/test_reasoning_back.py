"""The reasoning of earlier turns goes back to the hosts that want it, and to nobody else.

The servers refuse a history as DeepSeek and Kimi do, in their words.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llmstream import EventType, LLMClient, Message, RetryPolicy, StreamEvent
from llmstream.events.types import ReasoningDelta
from llmstream.messages import (
    ChatRequest,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.providers.compatible import VENDORS
from llmstream.providers.config import TRANSPORTS, ProviderConfig
from llmstream.providers.openai import OpenAIProvider
from llmstream.tools.loop import run_rounds
from llmstream.wire.openai_chat.request import ChatVariant, parse_request, render_request
from tests.loopback import Handler, Loopback, Reply, Request, answer, refuse

USER = {"role": "user", "content": "hi"}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "get", "parameters": {"type": "object", "properties": {}}},
    }
]
CALL = ToolCall("c1", "get", '{"a":1}', {"a": 1})
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}


def thought(text: str) -> StreamEvent:
    return StreamEvent(EventType.REASONING_DELTA, reasoning_delta=ReasoningDelta(text))


def refused_by_deepseek(body: dict[str, Any]) -> str | None:
    if "tools" not in body or body.get("thinking", {}).get("type") == "disabled":
        return None
    if all(
        message.get("reasoning_content")
        for message in body["messages"]
        if message["role"] == "assistant"
    ):
        return None
    return "The `reasoning_content` in the thinking mode must be passed back to the API."


def refused_by_kimi(body: dict[str, Any]) -> str | None:
    for index, message in enumerate(body["messages"]):
        if message.get("tool_calls") and not message.get("reasoning_content"):
            said = "thinking is enabled but reasoning_content is missing"
            return f"{said} in assistant tool call message at index {index}"
    return None


RULES = {"deepseek": refused_by_deepseek, "kimi": refused_by_kimi}


def host(rule: Callable[[dict[str, Any]], str | None]) -> Handler:
    """Calls a tool in its first two rounds, the second without a thought; answers in the third."""
    rounds = (
        (thought("I need "), thought("it."), CALL),
        (ToolCall("c2", "get", '{"a":2}', {"a": 2}),),
        (thought("Ah."), "done"),
    )

    async def handler(request: Request, reply: Reply) -> None:
        body = request.body
        if problem := rule(body):
            error = {
                "message": problem,
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_request_error",
            }
            await refuse(400, {"error": error})(request, reply)
            return
        begun = max(
            index for index, message in enumerate(body["messages"]) if message["role"] == "user"
        )
        number = sum(message["role"] == "tool" for message in body["messages"][begun:])
        await answer("openai-chat", *rounds[number])(request, reply)

    return handler


def connect(server: Loopback, model: str, **options: Any) -> LLMClient:
    once = RetryPolicy(max_attempts=1)
    return LLMClient(
        model, api_key="sk-loopback-key", base_url=server.url("openai"), retry=once, **options
    )


def sent(server: Loopback) -> list[list[Any]]:
    """What each request said of the reasoning of each of the assistant's messages."""
    return [
        [
            message.get("reasoning_content")
            for message in request.body["messages"]
            if message["role"] == "assistant"
        ]
        for request in server.requests
    ]


MODELS = [
    ("deepseek:deepseek-v4-flash", "deepseek"),
    ("moonshot:kimi-k3", "kimi"),
    ("moonshot:kimi-k2.5", "kimi"),
    ("openrouter:deepseek/deepseek-v4-pro", "deepseek"),
    ("openrouter:moonshotai/kimi-k2.5", "kimi"),
    ("fireworks:accounts/fireworks/models/kimi-k2p6", "kimi"),
    ("fireworks:accounts/fireworks/models/deepseek-v4-pro", "deepseek"),
    ("openai:deepseek-v4-flash", "deepseek"),
    ("openai:Pro/moonshotai/Kimi-K2.5", "kimi"),
    ("openai:kimi-for-coding", "kimi"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("model", "rule"), MODELS)
async def test_a_tool_loop_goes_on_after_its_first_round(
    model: str, rule: str, transport: str, *, stream: bool
) -> None:
    def get(a: int) -> str:
        """Get it."""
        return "42"

    async with (
        Loopback(host(RULES[rule])) as server,
        connect(server, model, transport=transport) as client,
    ):
        history: list[Any] = [USER]
        for _ in range(2):
            rounds = run_rounds(
                client, history, [get], {}, stream=stream, max_rounds=9, confirm=None
            )
            events = [event async for event in rounds]
            assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
            history += [*(events[-1].messages or []), USER]
    one_turn = ["I need it.", " ", "Ah."]
    assert sent(server) == [(one_turn * 2)[:length] for length in (0, 1, 2, 3, 4, 5)]


OTHERS = {
    "dicts": [
        {"role": "assistant", "content": "Hello."},
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
            ],
        },
        RESULT,
    ],
    "another vendor's, signed": [
        Message(
            "assistant",
            [ReasoningPart("Secret.", "s", format="anthropic-messages"), TextPart("Hello.")],
        ),
        USER,
        Message(
            "assistant",
            [ReasoningPart("Mine.", None, "rs_1", "openai-responses"), CALL],
            provider="openai-responses",
        ),
        Message("tool", [ToolResult("c1", "42")]),
    ],
    "empty": [
        {"role": "assistant", "content": "Hello.", "reasoning_content": ""},
        USER,
        Message("assistant", [ReasoningPart(""), RefusalPart("No."), CALL]),
        RESULT,
    ],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("turns", OTHERS.values(), ids=list(OTHERS))
@pytest.mark.parametrize(("model", "rule"), MODELS)
async def test_a_history_without_reasoning_has_the_key_all_the_same(
    model: str, rule: str, turns: list[Any], *, stream: bool
) -> None:
    async with Loopback(host(RULES[rule])) as server, connect(server, model) as client:
        history = [USER, *turns, USER]
        events = [
            event async for event in client.chat_completion(history, tools=TOOLS, stream=stream)
        ]
        assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
    assert sent(server) == [[" " if rule == "deepseek" else None, " "]]


async def test_a_history_from_a_store_has_its_reasoning() -> None:
    said = Message("assistant", [ReasoningPart("I need it."), CALL], provider="deepseek")
    loaded = Message.from_dict(said.to_dict())
    async with (
        Loopback(host(refused_by_deepseek)) as server,
        connect(server, "deepseek:deepseek-v4-flash") as client,
    ):
        await client.complete([USER, loaded, RESULT, USER], tools=TOOLS)
        await client.complete([USER, said.to_dict(), RESULT, USER], tools=TOOLS)
    assert sent(server) == [["I need it."]] * 2


@pytest.mark.parametrize(
    "off",
    [
        {"reasoning_effort": "none"},
        {"provider_options": {"deepseek": {"thinking": {"type": "disabled"}}}},
        {"provider_options": {"deepseek": {"chat_template_kwargs": {"thinking": False}}}},
    ],
    ids=["effort", "provider_options", "a template's option"],
)
async def test_with_reasoning_off_nothing_goes_back(off: dict[str, Any]) -> None:
    said = Message("assistant", [ReasoningPart("I need it."), CALL])
    async with (
        Loopback(answer("openai-chat")) as server,
        connect(server, "deepseek:deepseek-v4-flash") as client,
    ):
        await client.complete([USER, said, RESULT, USER], tools=TOOLS, **off)
    assert sent(server) == [[None]]


async def test_z_ai_gets_what_there_is() -> None:
    plain = {"role": "assistant", "content": "Hello."}
    said = Message("assistant", [ReasoningPart("Hm."), TextPart("Hello.")])
    async with Loopback(answer("openai-chat")) as server, connect(server, "zai:glm-4.7") as client:
        await client.complete([USER, plain, USER, said, USER])
    assert sent(server) == [[None, "Hm."]]


EVERYTHING = Message(
    "assistant",
    [
        ReasoningPart("Hm."),
        ReasoningPart("Signed.", "s", "r1", "openai-chat"),
        ProviderPart("openai-chat", {"type": "reasoning.encrypted", "data": "x"}),
        TextPart("Hello."),
        CALL,
    ],
)
WANTING = {name for name, vendor in VENDORS.items() if vendor.variant.reasoning_back == "all"}
DETAILED = {name for name, vendor in VENDORS.items() if vendor.variant.reasoning_details}


@pytest.mark.parametrize("name", [name for name in VENDORS if name not in WANTING | DETAILED])
async def test_other_hosts_see_only_keys_that_they_know(name: str) -> None:
    """Mistral, Groq and others answer 400 to any other."""
    async with Loopback(answer("openai-chat")) as server, connect(server, f"{name}:m-1") as client:
        await client.complete([USER, EVERYTHING, RESULT])
    assert server.requests[0].body["messages"][1].keys() == {"role", "content", "tool_calls"}


def test_neither_does_openai() -> None:
    for url in (None, "https://own.openai.azure.com/openai/v1"):
        provider = OpenAIProvider(ProviderConfig("openai", api_key="sk-loopback-key", base_url=url))
        for model in ("gpt-6-sol", "deepseek-v4-flash"):
            body = provider.render(ChatRequest([EVERYTHING], model), {}).body
            assert body["messages"][0].keys() == {"role", "content", "tool_calls"}


@pytest.mark.parametrize("model", ["openrouter:anthropic/claude-opus-4.6", "openai:any-model"])
async def test_signed_reasoning_goes_back_to_the_hosts_that_sign(model: str) -> None:
    async with Loopback(answer("openai-chat")) as server, connect(server, model) as client:
        await client.complete([USER, EVERYTHING, RESULT])
    message = server.requests[0].body["messages"][1]
    assert message.keys() == {"role", "content", "tool_calls", "reasoning_details"}
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "signature": "s", "id": "r1", "text": "Signed."},
        {"type": "reasoning.encrypted", "data": "x"},
    ]


TURNS = [
    Message("assistant", "Hello."),
    Message("assistant", [ReasoningPart("Hm."), TextPart("Hello.")]),
    Message("assistant", [ReasoningPart("Hm."), CALL]),
    Message("assistant", [CALL]),
    Message("assistant", "Hello.", name="Ann"),
]


@pytest.mark.parametrize("owed", ["always", "calls", None])
@pytest.mark.parametrize("turns", [*itertools.permutations(TURNS, 3)])
def test_a_message_is_rendered_alike_whatever_follows_and_read_as_it_was(
    turns: list[Message], owed: Any
) -> None:
    variant = ChatVariant(reasoning_back="all", reasoning_owed=owed)
    history: list[Message] = []
    for number, turn in enumerate(turns):
        history += [Message("user", "hi"), *answered(turn, f"c{number}")]
    whole = render_request(ChatRequest(history, "m"), variant).body
    for length in range(1, len(history)):
        part = render_request(ChatRequest(history[:length], "m"), variant).body["messages"]
        assert part == whole["messages"][:length]
    assert parse_request(whole).messages == history


def answered(turn: Message, id: str) -> list[Message]:
    """The turn with its call under an id of its own, and the call's result."""
    if not turn.tool_calls:
        return [turn]
    parts: Any = [replace(part, id=id) if part is CALL else part for part in turn.parts]
    return [Message("assistant", parts), Message("tool", [ToolResult(id, "42")])]


@pytest.mark.parametrize(
    ("model", "goes"),
    [
        ("deepseek-v4-flash", True),
        ("claude-opus-4-6", False),
        ("claude-opus-5-5", False),
        ("m-1", False),
    ],
)
async def test_unsigned_thinking_goes_back_to_deepseek_in_anthropic_s_format(
    model: str, *, goes: bool
) -> None:
    said = Message(
        "assistant", [ReasoningPart("Hm."), ReasoningPart("No.", format="openai-responses"), CALL]
    )
    async with Loopback(answer("anthropic-messages")) as server:
        url = server.url("anthropic")
        async with LLMClient(
            f"anthropic:{model}", api_key="sk-loopback-key", base_url=url
        ) as client:
            await client.complete([USER, said, RESULT])
    (thinking, *_) = server.requests[0].body["messages"][1]["content"]
    assert (thinking == {"type": "thinking", "thinking": "Hm."}) is goes
    assert (thinking["type"] == "tool_use") is not goes


def refused_in_anthropic_s_format(body: dict[str, Any]) -> str | None:
    """As DeepSeek's server and Kimi's do, unless the model is told not to think."""
    if body.get("thinking", {}).get("type") == "disabled":
        return None
    for turn in body["messages"]:
        kinds = {block["type"] for block in turn["content"] if isinstance(block, dict)}
        if turn["role"] == "assistant" and "tool_use" in kinds and "thinking" not in kinds:
            return "The `content[].thinking` in the thinking mode must be passed back to the API."
    return None


async def anthropic_s_format(request: Request, reply: Reply) -> None:
    """Calls a tool twice, the second time without a thought; then answers."""
    body = request.body
    if problem := refused_in_anthropic_s_format(body):
        await refuse(400, {"error": {"message": problem, "type": "invalid_request_error"}})(
            request, reply
        )
        return
    number = sum("tool_result" in str(turn["content"]) for turn in body["messages"])
    rounds = (
        (thought("I need it."), CALL),
        (ToolCall("c2", "get", '{"a":2}', {"a": 2}),),
        ("done",),
    )
    await answer("anthropic-messages", *rounds[min(number, 2)])(request, reply)


def thoughts(request: Request) -> list[list[str]]:
    """The thinking in each of the assistant's turns."""
    turns = [turn["content"] for turn in request.body["messages"] if turn["role"] == "assistant"]
    return [
        [b["thinking"] for b in turn if isinstance(b, dict) and b["type"] == "thinking"]
        for turn in turns
    ]


THINKING = ["deepseek-v4-flash", "kimi-k2.5", "kimi-k3", "kimi-for-coding"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", THINKING)
async def test_a_tool_loop_goes_on_in_anthropic_s_format_too(model: str, *, stream: bool) -> None:
    def get(a: int) -> str:
        """Get it."""
        return "42"

    async with Loopback(anthropic_s_format) as server:
        url = server.url("anthropic")
        async with LLMClient(
            f"anthropic:{model}", api_key="sk-loopback-key", base_url=url
        ) as client:
            rounds = run_rounds(
                client, [USER], [get], {}, stream=stream, max_rounds=9, confirm=None
            )
            events = [event async for event in rounds]
    assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
    assert [thoughts(request) for request in server.requests] == [
        [],
        [["I need it."]],
        [["I need it."], [" "]],
    ]


@pytest.mark.parametrize("turns", OTHERS.values(), ids=list(OTHERS))
@pytest.mark.parametrize("model", [*THINKING, "deepseek-v4-pro[1m]"])
async def test_a_history_of_others_has_thinking_in_anthropic_s_format_too(
    model: str, turns: list[Any]
) -> None:
    async with Loopback(anthropic_s_format) as server:
        url = server.url("anthropic")
        async with LLMClient(
            f"anthropic:{model}", api_key="sk-loopback-key", base_url=url
        ) as client:
            await client.complete([USER, *turns, USER], tools=TOOLS)
            await client.complete([USER, *turns, USER], tools=TOOLS, reasoning_effort="none")
            options: Any = {"anthropic": {"thinking": {"type": "disabled"}}}
            await client.complete([USER, *turns, USER], tools=TOOLS, provider_options=options)
    said = thoughts(server.requests[0])
    assert said[-1] == [" "]
    assert all(said) or "kimi" in model
    assert not any([" "] in thoughts(request) for request in server.requests[1:])
