"""The usage of generateContent: each chunk counts all so far, and per field the last number counts.

The tokens of tools that Google ran stand beside the prompt's, and those of the thoughts beside the answer's. Where a
total is missing, the counts by modality add up to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage, total_by_modality
from llmstream.wire.json_fields import as_count, as_list, present
from llmstream.wire.modalities import read_list, render_list

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
_COUNT = "tokenCount"


class UsageTally:
    """The counts of one answer. Nearly every frame has some, so they are read when they are asked for."""

    def __init__(self) -> None:
        self._counts: dict[str, Any] = {}
        self._latest: Mapping[str, Any] = {}  # not read yet

    def add(self, usage: Mapping[str, Any]) -> None:
        """The counts of the next frame."""
        if not (usage.keys() >= self._latest.keys() and _are_counts(usage.values())):
            self._read()
        self._latest = usage

    def usage(self) -> Usage | None:
        """The usage so far; None if there were no counts."""
        self._read()
        return usage_of(self._counts)

    def _read(self) -> None:
        self._counts |= read_counts(self._latest)
        self._latest = {}


def _are_counts(values: Iterable[Any]) -> bool:
    """Whether all of them are numbers of tokens, or lists of those: they replace what came before them."""
    for value in values:
        if type(value) is int:
            if value < 0:
                return False
        elif type(value) is not list:
            return False
    return True


def read_counts(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of one chunk, and those by modality, under Google's names."""
    counts: dict[str, Any] = {}
    for name, details in _DETAILS.items():
        count = as_count(usage.get(name))
        if details in usage:
            counts[details] = read_list(usage[details], _COUNT)
            count = _sum_of(usage[details]) if count is None else count
        if count is not None:
            counts[name] = count
    return counts


def _sum_of(details: Any) -> int | None:
    """The tokens of all modalities."""
    counts = [as_count(as_object(each).get(_COUNT)) for each in as_list(details)]
    found = [count for count in counts if count is not None]
    return sum(found) if found else None


def usage_of(counts: Mapping[str, Any]) -> Usage | None:
    """The usage with these counts; None if there are none."""
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
        promptTokenCount=usage.input_tokens,
        candidatesTokenCount=answer,
        totalTokenCount=usage.total_tokens,
        cachedContentTokenCount=usage.cache_read_tokens,
        thoughtsTokenCount=thoughts,
        promptTokensDetails=_list(usage.input_by_modality),
        cacheTokensDetails=_list(usage.cache_read_by_modality),
        candidatesTokensDetails=_list(usage.output_by_modality),
    )


def _list(tokens: Mapping[str, int]) -> list[dict[str, Any]] | None:
    return render_list(tokens, _COUNT, upper=True) or None
