"""Converse's usage, both ways.

Cached input isn't inside `inputTokens` (docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html): ours is the
sum.
"""

from __future__ import annotations

from typing import Any

from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count, present

_FRESH, _READ, _WRITTEN = "inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"
_OUTPUT, _TOTAL = "outputTokens", "totalTokens"


def parse_usage(given: Any) -> Usage | None:
    """The counts; None if there are none."""
    if not isinstance(given, dict):
        return None
    counts = {name: as_count(given.get(name)) for name in (_FRESH, _READ, _WRITTEN, _OUTPUT)}
    if all(count is None for count in counts.values()):
        return None
    fresh, read, written = counts[_FRESH], counts[_READ], counts[_WRITTEN]
    return Usage(
        None if fresh is None else fresh + (read or 0) + (written or 0),
        counts[_OUTPUT],
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def render_usage(usage: Usage | None) -> dict[str, Any]:
    """Converse's usage object."""
    if usage is None:
        return {}
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    fresh = None if usage.input_tokens is None else max(0, usage.input_tokens - cached)
    both = (usage.input_tokens, usage.output_tokens)
    fields = {
        _FRESH: fresh,
        _OUTPUT: usage.output_tokens,
        _TOTAL: None if None in both else usage.total_tokens,
        _READ: usage.cache_read_tokens,
        _WRITTEN: usage.cache_write_tokens,
    }
    return present(**fields)
