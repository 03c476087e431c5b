"""Converse's usage, both ways.

Cached input isn't inside `inputTokens` (docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html): ours is the
sum.
"""

from __future__ import annotations

from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count, present
from llmstream.wire.usage_counts import with_cached, without_cached

_FRESH, _READ, _WRITTEN = "inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"
_OUTPUT, _TOTAL = "outputTokens", "totalTokens"


def parse_usage(given: Any) -> Usage | None:
    """The counts; None if there are none."""
    given = as_object(given)
    counts = [as_count(given.get(name)) for name in (_FRESH, _READ, _WRITTEN, _OUTPUT)]
    if counts == [None] * len(counts):
        return None
    fresh, read, written, output = counts
    return Usage(
        with_cached(fresh, read, written),
        output,
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def render_usage(usage: Usage | None) -> dict[str, Any]:
    """Converse's usage object."""
    if usage is None:
        return {}
    both = (usage.input_tokens, usage.output_tokens)
    fields = {
        _FRESH: without_cached(usage),
        _OUTPUT: usage.output_tokens,
        _TOTAL: None if None in both else usage.total_tokens,
        _READ: usage.cache_read_tokens,
        _WRITTEN: usage.cache_write_tokens,
    }
    return present(**fields)
