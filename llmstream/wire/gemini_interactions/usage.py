"""The usage of an interaction: each object counts all so far, and per field the last number counts.

The tokens of tools that Google ran stand beside the prompt's, and those of the thoughts beside the answer's. Where a
total is missing, the counts by modality add up to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count, objects_in, present

_PROMPT, _TOOLS = "total_input_tokens", "total_tool_use_tokens"
_ANSWER, _THOUGHTS = "total_output_tokens", "total_thought_tokens"
_CACHED = "total_cached_tokens"
_DETAILS = {
    _PROMPT: "input_tokens_by_modality",
    _TOOLS: "tool_use_tokens_by_modality",
    _ANSWER: "output_tokens_by_modality",
    _THOUGHTS: "",
    _CACHED: "cached_tokens_by_modality",
}
"""The totals, and the lists that say of what modality they are."""


def read_counts(usage: Any) -> dict[str, int]:
    """The totals of one usage object, under Google's names."""
    given = as_object(usage)
    found = {name: _total(given, name, details) for name, details in _DETAILS.items()}
    return {name: count for name, count in found.items() if count is not None}


def _total(usage: Mapping[str, Any], name: str, details: str) -> int | None:
    total = as_count(usage.get(name))
    if total is not None:
        return total
    counts = [as_count(each.get("tokens")) for each in objects_in(usage.get(details))]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def usage_of(counts: Mapping[str, int]) -> Usage | None:
    """The usage with these totals; None if there are none."""
    if not counts:
        return None
    return Usage(
        input_tokens=_added(counts, _PROMPT, _TOOLS),
        output_tokens=_added(counts, _ANSWER, _THOUGHTS),
        cache_read_tokens=counts.get(_CACHED),
        reasoning_tokens=counts.get(_THOUGHTS),
    )


def _added(counts: Mapping[str, int], *names: str) -> int | None:
    found = [counts[name] for name in names if name in counts]
    return sum(found) if found else None


def render_usage(usage: Usage | None) -> dict[str, Any]:
    """Google's usage object."""
    if usage is None:
        return {}
    output, thoughts = usage.output_tokens, usage.reasoning_tokens
    answer = None if output is None else max(0, output - (thoughts or 0))
    return present(
        total_input_tokens=usage.input_tokens,
        total_output_tokens=answer,
        total_thought_tokens=thoughts,
        total_cached_tokens=usage.cache_read_tokens,
        total_tokens=usage.total_tokens,
    )
