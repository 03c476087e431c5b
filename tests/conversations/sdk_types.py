"""Whether the vendors' SDKs' own request types accept a rendered body, to its last part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from llmstream import ChatRequest
from llmstream.wire.anthropic_messages import request as anthropic_messages
from llmstream.wire.openai_chat import request as openai_chat
from llmstream.wire.openai_responses import request as openai_responses

RENDERERS = {
    "openai-chat": openai_chat.render_request,
    "openai-responses": openai_responses.render_request,
    "anthropic-messages": anthropic_messages.render_request,
}


@cache
def _type(format: str) -> TypeAdapter[Any]:
    if format == "openai-chat":
        from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

        return TypeAdapter(CompletionCreateParamsStreaming)
    if format == "openai-responses":
        from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

        return TypeAdapter(ResponseCreateParamsStreaming)
    from anthropic.types.beta import (
        MessageCreateParams,  # the recordings hold blocks of beta features
    )

    return TypeAdapter(MessageCreateParams)


def accepted(format: str, request: ChatRequest) -> dict[str, Any]:
    """The rendered body. Raises pydantic's ValidationError where the SDK's types don't take it."""
    body = RENDERERS[format](request).body
    _exhaust(_type(format).validate_python({"stream": True, **_filled(format, body)}))
    return body


_OPTIONAL: dict[str, dict[str, Any]] = {
    "output_text": {"annotations": []},
    "function": {"strict": None},
    "reasoning": {"id": "rs_1"},
}
"""What the Responses API lets a request leave out and the SDK's types don't, by the item's type.

Nor do the types know a web search's `{"type": "api"}` sources, which the API itself sends and takes.
"""


def _filled(format: str, value: Any) -> Any:
    if format != "openai-responses":
        return value
    if isinstance(value, list):
        return [
            _filled(format, each)
            for each in value
            if not (isinstance(each, dict) and each.get("type") == "api")
        ]
    if not isinstance(value, dict):
        return value
    value = {key: _filled(format, each) for key, each in value.items()}
    if value.get("role") == "assistant" and isinstance(value["content"], list):
        return {"type": "message", "id": "msg_1", "status": "completed", **value}
    return {**_OPTIONAL.get(str(value.get("type")), {}), **value}


def _exhaust(value: Any) -> None:
    """The types say Iterable, which pydantic checks only as one goes through it."""
    if isinstance(value, Mapping):
        for each in value.values():
            _exhaust(each)
    elif isinstance(value, Iterator | list | tuple):
        for each in value:
            _exhaust(each)
