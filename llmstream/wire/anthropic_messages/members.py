"""The members and events of Messages that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVENT = frozenset(
    {
        "amazon-bedrock-invocationMetrics",
        "content_block",
        "context_management",
        "delta",
        "error",
        "index",
        "message",
        "request_id",
        "type",
        "usage",
    }
)
"""Members of events."""

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

BLOCKS = {
    "text": frozenset({"cache_control", "citations", "id", "index", "text", "type"}),
    "thinking": frozenset({"cache_control", "id", "index", "signature", "thinking", "type"}),
}
"""Members of blocks, by type. Those of other types are kept whole."""

EMPTY_EVENTS = frozenset(
    {"ping", "text", "thinking", "citation", "signature", "input_json", "contentBlock"}
)
"""Events that tell nothing new. All but `ping` are made by the SDK; proxies pass them on."""

DELTAS = frozenset(
    {"text_delta", "thinking_delta", "citations_delta", "signature_delta", "input_json_delta"}
)
DELTA = frozenset(
    {"citation", "estimated_tokens", "partial_json", "signature", "text", "thinking", "type"}
)
"""Members of these deltas."""

OPAQUE_BLOCKS = frozenset({"compaction", "container_upload", "fallback", "redacted_thinking"})
"""Types of blocks that only the provider understands: they are kept to be sent back."""

_NAMES = frozenset({"id", "type", "index", "role", "model", "request_id"})


def without_names(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The members that may hold words of the answer."""
    return {name: value for name, value in payload.items() if name not in _NAMES}
