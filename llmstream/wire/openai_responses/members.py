"""The members and events of Responses that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

EVENT = frozenset(
    {
        "annotation",
        "annotation_index",
        "arguments",
        "code",
        "content_index",
        "delta",
        "error",
        "event_id",
        "input",
        "item",
        "item_id",
        "logprobs",
        "message",
        "name",
        "obfuscation",
        "output_index",
        "param",
        "part",
        "refusal",
        "response",
        "sequence_number",
        "summary_index",
        "text",
        "type",
    }
)
"""Members of events."""

_READ_OF_RESPONSE = frozenset(
    {
        "error",
        "id",
        "incomplete_details",
        "last_error",
        "model",
        "output",
        "output_text",
        "status",
        "status_details",
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
    "message": _OF_ANY_ITEM | {"content", "output_text", "phase", "role", "text"},
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
        "logprobs",
        "refusal",
        "signature",
        "text",
        "thinking",
        "transcript",
        "type",
    }
)
"""Members of content parts."""

EMPTY_EVENTS = frozenset(
    {
        "keepalive",
        "response.audio.done",
        "response.audio.transcript.done",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.rate_limits.updated",
        "response.reasoning_summary.done",
    }
)
"""Events whose words stand in their item as well, or that have none."""
_OF_A_TOOL = re.compile(r"response\.(?!function_call_|custom_tool_call_)\w+_call_\w+\.(delta|done)")
"""Pieces of what a tool of the provider's got or said. Its item has all of it."""

OPAQUE_ITEMS = frozenset({"compaction", "item_reference", "program"})
"""Types of items that only the provider understands: they are kept to be sent back."""

_NAMES = frozenset(
    {"id", "item_id", "call_id", "type", "status", "role", "response_id", "event_id", "object"}
)


def is_empty_event(kind: str) -> bool:
    """Whether an event tells nothing that another doesn't tell."""
    return kind in EMPTY_EVENTS or _OF_A_TOOL.fullmatch(kind) is not None


def without_names(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The members that may hold words of the answer."""
    return {name: value for name, value in payload.items() if name not in _NAMES}
