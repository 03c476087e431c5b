"""A value for each option, as a caller gives it and as the request holds it."""

from __future__ import annotations

from typing import Any

from llmstream.messages import ResponseFormat, Tool, ToolChoice

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
PLAIN: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "max_tokens": 64,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "low",
    "verbosity": "low",
    "service_tier": "auto",
    "provider_options": {"scripted": {"x": 1}},
}
_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}}
GIVEN: dict[str, Any] = {
    "tools": [_TOOL],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": SCHEMA,
    **{name: value for name, value in PLAIN.items() if name != "provider_options"},
    "metadata": {"user_id": "u"},
    "provider_options": PLAIN["provider_options"],
}
READ: dict[str, Any] = {
    **GIVEN,
    "tools": [Tool("f", SCHEMA, strict=False)],
    "tool_choice": ToolChoice("required"),
    "response_format": ResponseFormat(SCHEMA),
}
