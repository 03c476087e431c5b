"""The request bodies of Claude Code and of Codex: whole to their own format, to another but for what a warning names.

Written down from their documented shapes: code.claude.com/docs/en/llm-gateway-protocol and its wire captures, and
openai/codex `codex-rs/core/src/client.rs` (ResponsesApiRequest). The words are ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from llmstream.wire.anthropic_messages import request as anthropic
from llmstream.wire.openai_chat import request as chat
from llmstream.wire.openai_responses import request as responses

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"command": {"type": "string", "description": "What to run"}},
    "required": ["command"],
    "additionalProperties": False,
}
CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 64000,
    "stream": True,
    "temperature": 1,
    "metadata": {
        "user_id": "user_" + "0f" * 32 + "_account_0_session_11111111-2222-3333-4444-5555"
    },
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [
        {"type": "text", "text": "You are a program that writes programs."},
        {
            "type": "text",
            "text": "Work in /srv/app.",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ],
    "tools": [
        {"name": "Bash", "description": "Runs a command.", "input_schema": SCHEMA},
        {
            "name": "Read",
            "description": "Reads a file.",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral"},
        },
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>Be careful.</system-reminder>"},
                {"type": "text", "text": "Which tests fail?"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should run them.", "signature": "c2lnbmF0dXJl"},
                {"type": "text", "text": "I run them."},
                {
                    "type": "tool_use",
                    "id": "toolu_01A",
                    "name": "Bash",
                    "input": {"command": "pytest -q"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01A",
                    "content": "2 failed",
                    "is_error": True,
                },
                {
                    "type": "text",
                    "text": "And why?",
                    "cache_control": {"type": "ephemeral"},
                },
            ],
        },
    ],
}
CODEX: dict[str, Any] = {
    "model": "gpt-5.3-codex",
    "instructions": "You are a coding agent in a terminal.",
    "input": [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "<permissions>read only</permissions>"}],
        },
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Which tests fail?"}],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Run them."}],
            "encrypted_content": "ZW5jcnlwdGVk",
        },
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "shell",
            "arguments": '{"command":["pytest","-q"]}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "2 failed"},
        {
            "type": "custom_tool_call",
            "call_id": "call_2",
            "name": "apply_patch",
            "input": "*** Begin Patch\n*** End Patch",
        },
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done!"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "shell",
            "description": "Runs a command.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "array", "items": {"type": "string"}}},
            },
        },
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Changes files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin"},
        },
        {"type": "web_search", "external_web_access": True},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "xhigh", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "service_tier": "priority",
    "prompt_cache_key": "5b8f0c1e-session",
    "text": {"verbosity": "low"},
    "client_metadata": {"x-codex-installation-id": "3f9c"},
}


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value with the key that it stands under, wherever that is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, json.dumps(value)


def lost(source: Any, rendered: Any) -> set[tuple[str, Any]]:
    """What stands in the source and not in what was rendered."""
    return set(Counter(leaves(source)) - Counter(leaves(rendered)))


def as_text(item: dict[str, Any]) -> dict[str, Any]:
    """A message of one text, said in the short way, which means the same."""
    content = item.get("content")
    if not isinstance(content, list) or len(content) != 1:
        return item
    return {**item, "content": content[0]["text"]}


def named(warnings: list[str]) -> set[str]:
    return {warning.partition(":")[0] for warning in warnings}


def round_trip(format: Any, body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    rendered = format.render_request(format.parse_request(json.loads(json.dumps(body))))
    return json.loads(json.dumps(rendered.body)), rendered.warnings


# --- to their own format --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "model": "claude-opus-4-8",
            "temperature": None,
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "xhigh"},
        },
        {"thinking": {"type": "disabled"}, "tool_choice": {"type": "any"}},
        {
            "thinking": None,
            "temperature": 0.2,
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "stop_sequences": ["END"],
            "service_tier": "standard_only",
            "speed": "fast",
        },
        {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            "inference_geo": "eu",
        },
    ],
    ids=["as it is", "adaptive", "no thinking", "options", "schema"],
)
def test_nothing_of_claude_code_s_request_is_lost_on_the_way_to_anthropic(changes):
    body = {key: value for key, value in {**CLAUDE_CODE, **changes}.items() if value is not None}
    sent, warnings = round_trip(anthropic, body)
    assert warnings == []
    assert lost(body, sent) == set()
    assert sent.keys() == body.keys()
    for name in ("thinking", "context_management", "output_config", "metadata", "tools"):
        assert sent.get(name) == body.get(name), name


def test_an_effort_becomes_a_budget_where_the_model_takes_nothing_else():
    thinking = {"type": "adaptive", "display": "summarized"}
    asked = {**CLAUDE_CODE, "thinking": thinking, "output_config": {"effort": "medium"}}
    sent, warnings = round_trip(anthropic, asked)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 4096, "display": "summarized"}
    assert "output_config" not in sent
    assert warnings == []


def test_a_budget_becomes_an_effort_where_the_model_takes_none():
    sent, warnings = round_trip(anthropic, {**CLAUDE_CODE, "model": "claude-opus-4-8"})
    assert sent["thinking"] == {"type": "adaptive"}
    assert sent["output_config"] == {"effort": "high"}
    assert named(warnings) == {"thinking", "temperature"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"include": ["web_search_call.action.sources", "reasoning.encrypted_content"]},
        {"tool_choice": {"type": "custom", "name": "apply_patch"}, "truncation": "auto"},
        {
            "text": {
                "verbosity": "high",
                "format": {"type": "json_schema", "name": "o", "schema": SCHEMA, "strict": True},
            },
            "max_output_tokens": 100,
        },
        {"reasoning": {"summary": "auto"}, "parallel_tool_calls": False, "metadata": {"a": "b"}},
    ],
    ids=["as it is", "include", "a choice of its own", "schema", "no effort"],
)
def test_nothing_of_codex_s_request_is_lost_on_the_way_to_responses(changes):
    body = {**CODEX, **changes}
    sent, warnings = round_trip(responses, body)
    assert warnings == []
    source = {**body, "input": [as_text(item) for item in body["input"]]}
    del source["instructions"]
    assert lost(source, sent) == set()
    first = sent["input"][0]
    assert (first["role"], first["content"]) == ("system", body["instructions"])
    assert sent.keys() == body.keys() - {"instructions"}
    assert sent["tools"] == body["tools"]
    assert [item["type"] for item in sent["input"][1:]] == [item["type"] for item in body["input"]]


# --- to another format ------------------------------------------------------------------------------------------


def said(turns: list[dict[str, Any]]) -> set[str]:
    """What is said in a conversation: words, calls and their results. Reasoning is its provider's own."""
    names = ("text", "content", "output", "command", "input")
    spoken = [turn for turn in turns if turn.get("type") != "reasoning"]
    return {json.loads(each) for name, each in leaves(spoken) if name in names}


def holds(body: dict[str, Any], text: str) -> bool:
    """Whether the text stands in the body, also in arguments that are JSON in a string."""
    written = json.dumps(body)
    once = json.dumps(text)[1:-1]
    return once in written or json.dumps(once)[1:-1] in written


OF_CLAUDE = {"context_management", "thinking", "reasoning"}
OF_CODEX = {
    "prompt_cache_key",
    "client_metadata",
    "reasoning",
    "reasoning.summary",
    "tools",
}


def test_claude_code_s_request_to_chat_completions_loses_what_is_named():
    request = anthropic.parse_request(CLAUDE_CODE)
    request.model = "gpt-4.1"
    made = chat.render_request(request)
    assert named(made.warnings) == OF_CLAUDE | {"metadata", "reasoning_effort"}
    assert all(holds(made.body, each) for each in said(CLAUDE_CODE["messages"]))
    assert all(holds(made.body, part["text"]) for part in CLAUDE_CODE["system"])
    assert made.body["tools"][0]["function"]["parameters"] == SCHEMA
    assert "reasoning_effort" not in made.body  # it doesn't reason
    request.model = "some-model"
    assert chat.render_request(request).body["reasoning_effort"] == "high"
    assert made.body["max_completion_tokens"] == 64000
    assert len(made.body["safety_identifier"]) <= 128


def test_claude_code_s_request_to_responses_loses_what_is_named():
    request = anthropic.parse_request(CLAUDE_CODE)
    request.model = "gpt-5.6"
    made = responses.render_request(request)
    assert named(made.warnings) == OF_CLAUDE | {"temperature"}
    assert all(holds(made.body, each) for each in said(CLAUDE_CODE["messages"]))
    assert made.body["metadata"] == CLAUDE_CODE["metadata"]
    assert made.body["reasoning"] == {"effort": "high"}


def test_codex_s_request_to_anthropic_loses_what_is_named():
    request = responses.parse_request(CODEX)
    request.model = "claude-opus-4-8"
    made = anthropic.render_request(request)
    assert named(made.warnings) == OF_CODEX | {"verbosity", "service_tier"}
    assert made.body["output_config"] == {"effort": "xhigh"}
    assert all(holds(made.body, each) for each in said(CODEX["input"]))
    assert holds(made.body, CODEX["instructions"])


def test_codex_s_request_to_chat_completions_loses_what_is_named():
    request = responses.parse_request(CODEX)
    request.model = "gpt-5.2"
    made = chat.render_request(request)
    assert named(made.warnings) == OF_CODEX
    sent = made.body
    assert (sent["verbosity"], sent["service_tier"]) == ("low", "priority")
    assert (sent["reasoning_effort"], sent["parallel_tool_calls"]) == ("xhigh", True)
    assert all(holds(made.body, each) for each in said(CODEX["input"]))
    assert holds(made.body, CODEX["instructions"])
