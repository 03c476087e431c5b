"""Usage under the names of OpenAI's two formats, and in pieces: per field the last number counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count

_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def overlay(before: Usage | None, usage: Usage | None) -> Usage | None:
    """The counts of both, the later one's where it has them. None if neither counted anything."""
    counts = {}
    for name in _FIELDS:
        for one in (before, usage):
            value = getattr(one, name, None)
            if value is not None:
                counts[name] = value
    return Usage(**counts) if counts else None


_NAMES = (
    ("input_tokens", "input_tokens"),
    ("prompt_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("completion_tokens", "output_tokens"),
    ("total_tokens", "total_tokens"),
    ("cached_tokens", "cache_read_tokens"),  # Moonshot
    ("prompt_cache_hit_tokens", "cache_read_tokens"),  # DeepSeek
)
"""Their names and ours. The last that is there counts."""
_OF_INPUT = (("cached_tokens", "cache_read_tokens"), ("cache_write_tokens", "cache_write_tokens"))
_OF_OUTPUT = (("reasoning_tokens", "reasoning_tokens"),)
_DETAILS = (
    ("prompt_tokens_details", _OF_INPUT),
    ("completion_tokens_details", _OF_OUTPUT),
    ("input_tokens_details", _OF_INPUT),
    ("output_tokens_details", _OF_OUTPUT),
)


def read_counts(usage: Any) -> dict[str, int]:
    """The counts in a `usage` object, under our names. Chat and Responses name them differently; some servers mix."""
    usage = as_object(usage)
    counts: dict[str, int] = {}
    _read(usage, _NAMES, counts)
    for place, names in _DETAILS:
        if place in usage:
            _read(as_object(usage[place]), names, counts)
    return counts


def usage_of(counts: Mapping[str, int]) -> Usage | None:
    """The usage with these counts; None if there are none.

    xAI's output tokens leave the reasoning out, which its total tells.
    """
    known: dict[str, Any] = {name: counts[name] for name in _FIELDS if name in counts}
    reasoning = counts.get("reasoning_tokens")
    if reasoning and "input_tokens" in known and "output_tokens" in known:
        apart = known["input_tokens"] + known["output_tokens"] + reasoning
        if counts.get("total_tokens") == apart:
            known["output_tokens"] += reasoning
    return Usage(**known) if known else None


def with_cached(fresh: int | None, read: int | None, written: int | None) -> int | None:
    """All input tokens, from counts that leave out those which the cache had or took."""
    if fresh is None:
        return None
    return fresh + (read or 0) + (written or 0)


def without_cached(usage: Usage) -> int | None:
    """The input tokens but for those which the cache had or took: the inverse of `with_cached`."""
    if usage.input_tokens is None:
        return None
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    return max(0, usage.input_tokens - cached)


def _read(
    given: Mapping[str, Any], names: Iterable[tuple[str, str]], counts: dict[str, int]
) -> None:
    for name, ours in names:
        if name in given:
            value = given[name]
            count = value if type(value) is int and value >= 0 else as_count(value)
            if count is not None:
                counts[ours] = count
