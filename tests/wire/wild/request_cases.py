"""What people reported of requests: a call of ours, and what the server must be sent. All in our own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class RequestCase:
    """One report."""

    reference: str
    about: str
    model: str
    holds: Callable[[Body], object]
    """Whether a body is as it must be."""
    messages: list[dict[str, Any]] = field(
        default_factory=lambda: [{"role": "user", "content": "hi"}]
    )
    options: dict[str, Any] = field(default_factory=dict)
    warned: bool = False
    """Whether `start.warnings` says that something isn't sent."""


def history(id: str, arguments: str = '{"a":1}') -> list[dict[str, Any]]:
    """A conversation with one call."""
    function = {"name": "get", "arguments": arguments}
    call = {"id": id, "type": "function", "function": function}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "ok"},
    ]


def ids_of(body: Body) -> list[str]:
    """The ids of calls and of results, in the order of the body."""
    return re.findall(r"'(?:id|tool_use_id|tool_call_id)': '([^']*)'", str(body["messages"]))


def have_ids(pattern: str) -> Callable[[Body], bool]:
    """The call and its result have one id, and it is such a one."""

    def holds(body: Body) -> bool:
        ids = ids_of(body)
        return len(ids) == 2 and ids[0] == ids[1] and re.fullmatch(pattern, ids[0]) is not None

    return holds


def arguments_of(body: Body) -> str:
    """Those of the only call."""
    arguments: str = body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    return arguments


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
SUMMARY = {"type": "reasoning.summary", "summary": "Hm.", "format": "f", "index": 0}
NAMED_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "place", "schema": SCHEMA, "description": "Where."},
}
TOOLS = [{"type": "function", "function": {"name": "get", "parameters": SCHEMA}}]

CASES = [
    RequestCase(
        "bifrost#5097, litellm#21964",
        "another vendor's call ids sent to Claude",
        "anthropic:claude-sonnet-4-5",
        have_ids("[a-zA-Z0-9_-]{1,64}"),
        history("functions.Bash:0"),
    ),
    RequestCase(
        "9router#3167",
        "a call id of 86 characters sent to OpenAI",
        "openai:gpt-5-mini",
        have_ids(".{1,40}"),
        history("x" * 86),
    ),
    RequestCase(
        "kimi-cli#1171, OpenHands SDK#2887",
        "a call with cut arguments in the history",
        "openai:m",
        lambda body: arguments_of(body) == "{}",
        history("a", '{"a": 1'),
        warned=True,
    ),
    RequestCase(
        "langchain#35071, forgecode#1872",
        "the last message is the assistant's and ends in white space",
        "anthropic:claude-sonnet-4-5",
        lambda body: body["messages"][-1]["content"] == "Sure:",
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Sure: "}],
    ),
    RequestCase(
        "open-webui#30046, rig#2477, vercel/ai#15889",
        "Responses make tools strict unless told otherwise",
        "openai-responses:gpt-5-mini",
        lambda body: body["tools"][0]["strict"] is False,
        options={"tools": TOOLS},
    ),
    RequestCase(
        "LibreChat#11949, opencode-claude-bridge#1",
        "temperature beside reasoning",
        "anthropic:claude-sonnet-4-5",
        lambda body: "temperature" not in body,
        options={"temperature": 0.2, "reasoning_effort": "low"},
        warned=True,
    ),
    RequestCase(
        "platform.claude.com migration-2026-10-21",
        "an API version that refuses sampling at any value",
        "anthropic:claude-opus-5-5",
        lambda body: "temperature" not in body,
        options={"temperature": 0.2},
        warned=True,
    ),
    RequestCase(
        "vercel/ai#10932",
        "gpt-5.2 with effort none takes temperature",
        "openai:gpt-5.2",
        lambda body: body["temperature"] == 0.2,
        options={"temperature": 0.2, "reasoning_effort": "none"},
    ),
    RequestCase(
        "DeepSeek-V3#1376, litellm#37470",
        "a forced call while the model thinks",
        "deepseek:deepseek-v4-flash",
        lambda body: "tool_choice" not in body,
        options={"tools": TOOLS, "tool_choice": "required"},
        warned=True,
    ),
    RequestCase(
        "litellm#34569, LibreChat#14231",
        "gpt-5.6 takes tools at chat completions only with effort none",
        "openai:gpt-5.6",
        lambda body: body["reasoning_effort"] == "none",
        options={"tools": TOOLS},
        warned=True,
    ),
    RequestCase(
        "deepseek-harness#739, kelivo#966",
        "another vendor's call without reasoning: the key must stand all the same",
        "deepseek:deepseek-v4-flash",
        lambda body: "reasoning_content" in body["messages"][1],
        history("call_1"),
        {"tools": TOOLS},
    ),
    RequestCase(
        "openrouter.ai reasoning-tokens",
        "reasoning details that nobody signed go back whole, too",
        "openrouter:openai/gpt-5.2",
        lambda body: body["messages"][1]["reasoning_details"] == [SUMMARY],
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yo", "reasoning_details": [SUMMARY]},
            {"role": "user", "content": "x"},
        ],
    ),
    RequestCase(
        "anthropic.types, ToolParam",
        "a field of Anthropic's tools in a tool of OpenAI's shape",
        "anthropic:claude-opus-4-8",
        lambda body: body["tools"][0]["input_examples"] == [{"a": 1}],
        options={"tools": [{"name": "get", "parameters": SCHEMA, "input_examples": [{"a": 1}]}]},
    ),
    RequestCase(
        "openai.types, FunctionToolParam",
        "a field that Responses have, too, in a tool of Anthropic's shape",
        "openai-responses:gpt-5-mini",
        lambda body: body["tools"][0]["defer_loading"] is True,
        options={"tools": [{"name": "get", "input_schema": SCHEMA, "defer_loading": True}]},
    ),
    RequestCase(
        "openai.types, ResponseFormatJSONSchema",
        "what the JSON is for",
        "openai:gpt-5-mini",
        lambda body: body["response_format"]["json_schema"]["description"] == "Where.",
        options={"response_format": NAMED_SCHEMA},
    ),
    RequestCase(
        "openai.types, ResponseFormatTextJSONSchemaConfig",
        "what the JSON is for",
        "openai-responses:gpt-5-mini",
        lambda body: body["text"]["format"]["description"] == "Where.",
        options={"response_format": NAMED_SCHEMA},
    ),
    RequestCase(
        "anthropic.types, JSONOutputFormat",
        "what the JSON is for, where there is no place for it",
        "anthropic:claude-sonnet-4-5",
        lambda body: "Where." not in str(body),
        options={"response_format": NAMED_SCHEMA},
        warned=True,
    ),
    RequestCase(
        "OpenAI: 400 `[] is too short - 'messages.0.content'`",
        "a user's message without parts",
        "openai:gpt-5-mini",
        lambda body: body["messages"] == [{"role": "user", "content": ""}],
        [{"role": "user", "content": []}],
    ),
    RequestCase(
        "platform.claude.com, preserved thinking",
        "a later system message changes nothing before it",
        "anthropic:claude-opus-5-5",
        lambda body: "later" not in str(body["system"]) and len(body["messages"]) > 2,
        [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yo"},
            {"role": "system", "content": "later"},
            {"role": "user", "content": "x"},
        ],
    ),
]
