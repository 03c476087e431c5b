"""Usage under the names of OpenAI's two formats, and in pieces: per field the last number counts."""

from __future__ import annotations

from collections.abc import Mapping
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


_NAMES = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
    "total_tokens": ("total_tokens",),
    "cache_read_tokens": ("prompt_cache_hit_tokens", "cached_tokens"),  # DeepSeek, Moonshot
}
_DETAILS = {
    "prompt_tokens_details": {
        "cache_read_tokens": "cached_tokens",
        "cache_write_tokens": "cache_write_tokens",
    },
    "completion_tokens_details": {"reasoning_tokens": "reasoning_tokens"},
}
_DETAILS |= {
    "input_tokens_details": _DETAILS["prompt_tokens_details"],
    "output_tokens_details": _DETAILS["completion_tokens_details"],
}


def read_counts(usage: Any) -> dict[str, int]:
    """The counts in a `usage` object, under our names. Chat and Responses name them differently; some servers mix."""
    usage = as_object(usage)
    counts: dict[str, int] = {}
    for ours, names in _NAMES.items():
        for name in reversed(names):
            if name in usage:
                _read_count(counts, ours, usage[name])
    for place, members in _DETAILS.items():
        details = as_object(usage.get(place))
        for ours in members.keys() if details else ():
            _read_count(counts, ours, details.get(members[ours]))
    return counts


def usage_of(counts: Mapping[str, int]) -> Usage | None:
    """The usage with these counts; None if there are none.

    xAI's output tokens leave the reasoning out, which its total tells.
    """
    known: dict[str, Any] = {name: counts[name] for name in _FIELDS if name in counts}
    parts = [known.get(name) for name in ("input_tokens", "output_tokens", "reasoning_tokens")]
    given = [part for part in parts if part is not None]
    if len(given) == len(parts) and counts.get("total_tokens") == sum(given):
        known["output_tokens"] += known["reasoning_tokens"]
    return Usage(**known) if known else None


def _read_count(counts: dict[str, int], name: str, value: Any) -> None:
    count = as_count(value)
    if count is not None:
        counts[name] = count
