"""Mistral's own package judges what its row sends: messages, tools, schemas, images, options."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import ImagePart, LLMClient, Message, TextPart, ToolCall, ToolResult
from llmstream.messages import File, ReasoningPart
from llmstream.testing import FaultServer

pytestmark = pytest.mark.sdk
models = pytest.importorskip("mistralai.client.models", reason="the extra `agents` has mistralai")

HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = ToolCall("call-of-another-vendor", "weather", '{"city": "Rome"}', {"city": "Rome"})
HISTORY = [
    Message("system", "Be brief."),
    Message("user", "The weather?"),
    Message("assistant", [ReasoningPart("Hm.", "sig"), TextPart("Let me look."), CALL]),
    Message("tool", [ToolResult(CALL.id, "Sunny.", name="weather")]),
    Message("assistant", "Sunny."),
    Message("user", "And now?"),
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (HI, {}),
    "options": (
        HI,
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 50,
            "stop": ["x"],
            "seed": 7,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
        },
    ),
    "tools": (HI, {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}),
    "one tool": (
        HI,
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    ),
    "history": (HISTORY, {"tools": [TOOL]}),
    "schema": (
        HI,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": SCHEMA},
            }
        },
    ),
    "json": (HI, {"response_format": "json"}),
    "image": ([Message("user", [TextPart("What?"), ImagePart(data=PNG)])], {}),
    "image by its address": ([Message("user", [ImagePart(url="https://a.example/a.png")])], {}),
    "pdf by its address": (
        [Message("user", [File(url="https://a.example/a.pdf", media_type="application/pdf")])],
        {},
    ),
    "reasoning": (HI, {"reasoning_effort": "high"}),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("stream", [True, False])
async def test_its_types_take_the_request(name: str, stream: bool) -> None:  # noqa: FBT001  # a parameter
    messages, options = ASKED[name]
    async with (
        FaultServer() as server,
        LLMClient(
            "mistral:mistral-small-latest", api_key="k" * 20, base_url=server.url("openai")
        ) as client,
    ):
        events = [event async for event in client.chat_completion(messages, stream, **options)]
    assert events[-1].error is None
    (request,) = server.requests
    kind = (
        models.ChatCompletionStreamRequest
        if request.body.get("stream")
        else models.ChatCompletionRequest
    )
    taken = kind.model_validate(request.body)
    kept = taken.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert not _lost(request.body, kept)


def _lost(sent: Any, kept: Any, place: str = "") -> list[str]:
    """The places of what was sent and the types don't know."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        unknown = [f"{place}.{name}" for name in sent if name not in kept]
        below = [
            _lost(value, kept[name], f"{place}.{name}")
            for name, value in sent.items()
            if name in kept
        ]
        return [*unknown, *(each for found in below for each in found)]
    if isinstance(sent, list) and isinstance(kept, list):
        return [
            each
            for number, pair in enumerate(zip(sent, kept, strict=False))
            for each in _lost(*pair, f"{place}[{number}]")
        ]
    return []
