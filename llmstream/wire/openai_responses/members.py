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
