"""The usage of generateContent: each chunk counts all so far, and per field the last number counts.

The tokens of tools that Google ran stand beside the prompt's, and those of the thoughts beside the answer's. Where a
total is missing, the counts by modality add up to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count, as_list, present

_PROMPT, _TOOLS, _CACHED = "promptTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount"
_ANSWER, _THOUGHTS = "candidatesTokenCount", "thoughtsTokenCount"
_DETAILS = {
    _PROMPT: "promptTokensDetails",
    _TOOLS: "toolUsePromptTokensDetails",
    _CACHED: "cacheTokensDetails",
    _ANSWER: "candidatesTokensDetails",
    _THOUGHTS: "",
}
"""The counts, and the lists that say of what modality they are."""


def read_counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """The counts of one chunk, under Google's names."""
    counts: dict[str, int] = {}
    for name, details in _DETAILS.items():
        count = as_count(usage.get(name))
        if count is None and details in usage:
            count = _sum_of(usage[details])
        if count is not None:
            counts[name] = count
    return counts


def _sum_of(details: Any) -> int | None:
    """The tokens of all modalities."""
    counts = [as_count(as_object(each).get("tokenCount")) for each in as_list(details)]
    found = [count for count in counts if count is not None]
    return sum(found) if found else None


def usage_of(counts: Mapping[str, int]) -> Usage | None:
    """The usage with these counts; None if there are none."""
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
        promptTokenCount=usage.input_tokens,
        candidatesTokenCount=answer,
        totalTokenCount=usage.total_tokens,
        cachedContentTokenCount=usage.cache_read_tokens,
        thoughtsTokenCount=thoughts,
    )
