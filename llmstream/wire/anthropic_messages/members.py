"""The members and events of Messages that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANY = frozenset({"request_id", "type"})
_END = _ANY | {
    "content",
    "context_management",
    "delta",
    "message",
    "stop_details",
    "stop_reason",
    "stop_sequence",
    "usage",
}
MESSAGE = frozenset(
    {
        "container",
        "content",
        "context_management",
        "created_at",
        "diagnostics",
        "id",
        "input_transformations",
        "metadata",
        "model",
        "object",
        "provider",
        "request_id",
        "role",
        "service_tier",
        "stop_details",
        "stop_reason",
        "stop_sequence",
        "type",
        "usage",
    }
)
"""Members of the message, and of the delta of `message_delta`."""

EVENTS: Mapping[str, frozenset[str]] = {
    "message": MESSAGE,
    "message_start": _ANY | {"message"},
    "content_block_start": _ANY | {"content_block", "index"},
    "content_block_delta": _ANY | {"delta", "index"},
    "content_block_stop": _ANY | {"content_block", "index"},
    "message_delta": _END,
    "message_stop": _END | {"amazon-bedrock-invocationMetrics"},
}
"""Members of events, by type."""

BLOCKS = {
    "text": frozenset({"cache_control", "citations", "id", "index", "text", "type"}),
    "thinking": frozenset({"cache_control", "id", "index", "signature", "thinking", "type"}),
}
"""Members of blocks, by type. Those of other types are kept whole."""

EMPTY_EVENTS = frozenset(
    {"text", "thinking", "citation", "signature", "input_json", "contentBlock"}
)
"""Events that tell nothing new: the SDK makes them, and proxies pass them on."""

DELTA_KINDS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "partial_json": "input_json_delta",
    "citation": "citations_delta",
    "signature": "signature_delta",
}
"""The types of deltas, by the member that says what they are."""

DELTAS = {kind: frozenset({"type", name}) for name, kind in DELTA_KINDS.items()}
DELTAS["thinking_delta"] |= {"estimated_tokens", "signature"}
"""Members of these deltas."""

OPAQUE_BLOCKS = frozenset({"compaction", "container_upload", "fallback", "redacted_thinking"})
"""Types of blocks that only the provider understands: they are kept to be sent back."""

_NAMES = frozenset({"id", "type", "index", "role", "model", "request_id"})


def without_names(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The members that may hold words of the answer."""
    return {name: value for name, value in payload.items() if name not in _NAMES}


def is_known_item(kind: str) -> bool:
    """Whether blocks of this type, which are read or kept when they are whole, are known."""
    return kind in OPAQUE_BLOCKS or kind == "image" or kind.endswith("_tool_result")
