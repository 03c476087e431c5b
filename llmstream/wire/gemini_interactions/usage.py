"""The usage of an interaction: each object counts all so far, and per field the last number counts.

The tokens of tools that Google ran stand beside the prompt's, and those of the thoughts beside the answer's. Where a
total is missing, the counts by modality add up to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage, total_by_modality
from llmstream.wire.json_fields import as_count, objects_in, present
from llmstream.wire.modalities import read_list, render_list

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
_COUNT = "tokens"


def read_counts(usage: Any) -> dict[str, Any]:
    """The totals of one usage object, and those by modality, under Google's names."""
    given = as_object(usage)
    found = {name: _total(given, name, details) for name, details in _DETAILS.items()}
    counts: dict[str, Any] = {name: count for name, count in found.items() if count is not None}
    lists = {name: read_list(given[name], _COUNT) for name in _DETAILS.values() if name in given}
    return counts | lists


def _total(usage: Mapping[str, Any], name: str, details: str) -> int | None:
    total = as_count(usage.get(name))
    if total is not None:
        return total
    counts = [as_count(each.get(_COUNT)) for each in objects_in(usage.get(details))]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def usage_of(counts: Mapping[str, Any]) -> Usage | None:
    """The usage with these totals; None if there are none."""
    if not counts:
        return None
    return Usage(
        input_tokens=_added(counts, _PROMPT, _TOOLS),
        output_tokens=_added(counts, _ANSWER, _THOUGHTS),
        cache_read_tokens=counts.get(_CACHED),
        reasoning_tokens=counts.get(_THOUGHTS),
        input_by_modality=_by_modality(counts, _PROMPT, _TOOLS),
        output_by_modality=_by_modality(counts, _ANSWER),
        cache_read_by_modality=_by_modality(counts, _CACHED),
    )


def _by_modality(counts: Mapping[str, Any], *names: str) -> dict[str, int]:
    return total_by_modality(counts.get(_DETAILS[name], {}) for name in names)


def _added(counts: Mapping[str, Any], *names: str) -> int | None:
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
        input_tokens_by_modality=_list(usage.input_by_modality),
        output_tokens_by_modality=_list(usage.output_by_modality),
        cached_tokens_by_modality=_list(usage.cache_read_by_modality),
    )


def _list(tokens: Mapping[str, int]) -> list[dict[str, Any]] | None:
    return render_list(tokens, _COUNT, upper=False) or None
