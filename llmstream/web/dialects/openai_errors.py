"""OpenAI's error: the same body for chat completions and Responses, over HTTP, in a stream and over a WebSocket."""

from __future__ import annotations

from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.wire.context_overflow import openai_words, parse_overflow

_TYPES = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "invalid_request": "invalid_request_error",
    "context_length": "invalid_request_error",
    "content_filter": "invalid_request_error",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
}
_CODES = {
    "authentication": "invalid_api_key",
    "not_found": "model_not_found",
    "context_length": "context_length_exceeded",
    "content_filter": "content_filter",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
}


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """OpenAI's `error`; `info.message` is already fit for strangers."""
    kind, code = _TYPES.get(info.kind, "server_error"), info.code or _CODES.get(info.kind)
    text = info.message
    if info.kind == "context_length":
        text = openai_words(parse_overflow(text))
    told = {"message": text, "type": kind, "param": info.param, "code": code}
    return told if info.request_id is None else {**told, "request_id": info.request_id}
