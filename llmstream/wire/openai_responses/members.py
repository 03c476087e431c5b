"""The members and events of Responses that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACE = frozenset(
    {
        "annotation_index",
        "content_index",
        "event_id",
        "item_id",
        "logprobs",
        "obfuscation",
        "output_index",
        "response_id",
        "sequence_number",
        "summary_index",
        "type",
    }
)
"""Members of any event."""

_READ_OF_RESPONSE = frozenset(
    {
        "error",
        "finish_reason",
        "id",
        "incomplete_details",
        "last_error",
        "model",
        "output",
        "output_text",
        "status",
        "status_details",
        "stop_reason",
        "usage",
    }
)
_EMPTY_OF_RESPONSE = frozenset(
    {
        "access_programs",
        "background",
        "cancelled_at",
        "completed_at",
        "content_filters",  # Azure
        "conversation",
        "conversation_id",  # Realtime
        "created_at",
        "expires_at",
        "failed_at",
        "image",
        "include",
        "input",
        "input_transformations",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "modalities",  # Realtime
        "moderation",
        "object",
        "output_modalities",  # Realtime
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_diagnostics",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "provider",
        "reasoning",
        "request_id",
        "safety_identifier",
        "service_tier",
        "stop",
        "store",
        "stream_options",
        "system_fingerprint",
        "temperature",
        "text",
        "tool_choice",
        "tool_usage",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
RESPONSE = _READ_OF_RESPONSE | _EMPTY_OF_RESPONSE
"""Members of the response. Most of them repeat the request."""

_OF_ARGUMENTS = frozenset({"arguments", "call_id", "delta", "input", "name", "parameters"})
_EVENTS = {
    "response.output_item.added": {"item"},
    "response.output_item.done": {"item"},
    "response.content_part.added": {"part"},
    "response.content_part.done": {"part"},
    "response.reasoning_part.added": {"part"},
    "response.reasoning_part.done": {"part"},
    "response.reasoning_summary_part.added": {"part"},
    "response.reasoning_summary_part.done": {"part"},
    "response.output_text.annotation.added": {"annotation"},
    "response.function_call_arguments.delta": _OF_ARGUMENTS,
    "response.function_call_arguments.done": _OF_ARGUMENTS,
    "response.custom_tool_call_input.delta": _OF_ARGUMENTS,
    "response.custom_tool_call_input.done": _OF_ARGUMENTS,
    "response.refusal.delta": {"delta", "refusal"},
    "response.refusal.done": {"delta", "refusal"},
    "response.created": {"response"},
    "response.queued": {"response"},
    "response.in_progress": {"response"},
    "error": {"code", "error", "message", "param"},
}
_OF_EVENT = {kind: _PLACE | known for kind, known in _EVENTS.items()}
_OF_END = _PLACE | RESPONSE | {"error", "response"}
_OF_TEXT = _PLACE | {"delta", "text", "transcript"}
_OF_SPEECH = _PLACE | {"audio", "data", "delta"}
_SPEECH = re.compile(r"response\.(output_)?audio\.(delta|done)")
_END = re.compile(r"response\.\w+")

_OF_ANY_ITEM = frozenset(
    {
        "agent",
        "created_by",
        "id",
        "internal_chat_message_metadata_passthrough",
        "item_id",
        "metadata",
        "object",
        "response_id",
        "status",
        "type",
    }
)
_OF_A_CALL = frozenset({"async", "call_id", "caller", "execution", "name", "namespace"})
ITEMS = {
    "message": _OF_ANY_ITEM | {"content", "phase", "reasoning_content", "refusal", "role"},
    "reasoning": _OF_ANY_ITEM
    | {"content", "encrypted_content", "format", "role", "signature", "summary", "text"},
    "function_call": _OF_ANY_ITEM | _OF_A_CALL | {"arguments"},
    "custom_tool_call": _OF_ANY_ITEM | _OF_A_CALL | {"input"},
}
"""Members of items, by type. Those of other types are kept whole."""

PART = frozenset(
    {
        "annotations",
        "audio",
        "data",
        "format",
        "id",
        "input_audio",
        "logprobs",
        "output_audio",
        "refusal",
        "signature",
        "text",
        "thinking",
        "transcript",
        "type",
    }
)
"""Members of content parts."""

EMPTY_EVENTS = frozenset({"keepalive", "response.rate_limits.updated"})
"""Events that have no words of the answer."""
_OF_A_TOOL = re.compile(r"response\.(?!function_call_|custom_tool_call_)\w+_call_\w+\.(delta|done)")
"""Pieces of what a tool of the provider's got or said. Its item has all of it."""

OPAQUE_ITEMS = frozenset({"compaction", "item_reference", "program"})
"""Types of items that only the provider understands: they are kept to be sent back."""

_NAMES = frozenset(
    {"id", "item_id", "call_id", "type", "status", "role", "response_id", "event_id", "object"}
)


def of_event(kind: str) -> frozenset[str]:
    """The members of one kind of event that are read, or that mean nothing."""
    if kind in _OF_EVENT:
        return _OF_EVENT[kind]
    if _SPEECH.fullmatch(kind):
        return _OF_SPEECH
    return _OF_END if _END.fullmatch(kind) else _OF_TEXT


def is_of_a_tool(kind: str) -> bool:
    """Whether an event is a piece of what a tool of the provider's got or said."""
    return _OF_A_TOOL.fullmatch(kind) is not None


def without_names(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The members that may hold words of the answer."""
    return {name: value for name, value in payload.items() if name not in _NAMES}
