"""Usage under the names of OpenAI's two formats, and in pieces: per field the last number counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf
from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count
from llmstream.wire.modalities import read_members

_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_by_modality",
    "output_by_modality",
    "cache_read_by_modality",
    "cost",
)
_TICKS = 10_000_000_000
"""Of xAI, in a dollar."""


def overlay(before: Usage | None, usage: Usage | None) -> Usage | None:
    """The counts and costs of both, the later one's where it has them. None if neither counted anything."""
    counts = {}
    for name in _FIELDS:
        for one in (before, usage):
            value = getattr(one, name, None)
            if value is not None and value != {}:
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
    ("prompt_tokens_details", _OF_INPUT, "input_by_modality"),
    ("completion_tokens_details", _OF_OUTPUT, "output_by_modality"),
    ("input_tokens_details", _OF_INPUT, "input_by_modality"),
    ("output_tokens_details", _OF_OUTPUT, "output_by_modality"),
)


def read_counts(usage: Any) -> dict[str, Any]:
    """The counts in a `usage` object, under our names. Chat and Responses name them differently; some servers mix."""
    usage = as_object(usage)
    counts: dict[str, Any] = {}
    _read(usage, _NAMES, counts)
    for place, names, by_modality in _DETAILS:
        if place in usage:
            details = as_object(usage[place])
            _read(details, names, counts)
            modalities = read_members(details)
            if modalities:
                counts[by_modality] = modalities
    cost = _read_cost(usage)
    if cost is not None:
        counts["cost"] = cost
    return counts


def _read_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """US dollars, where the vendor's own words leave no doubt that it means them.

    xAI: https://docs.x.ai/developers/cost-tracking. Venice: `cost.usd`. OpenRouter: https://openrouter.ai/docs/use-cases/usage-accounting.
    Perplexity: https://docs.perplexity.ai/api-reference/chat-completions-post.
    """
    ticks = usage.get("cost_in_usd_ticks")
    if type(ticks) is int and ticks > 0:  # Azure, who bills otherwise, says 0
        return Decimal(ticks) / _TICKS
    cost = usage.get("cost")
    if isinstance(cost, dict):
        return _dollars(cost.get("total_cost" if "input_tokens_cost" in cost else "usd"))
    if "cost_details" not in usage:
        return None
    fee = _dollars(cost)
    if usage.get("is_byok") is not True or fee is None:
        return fee
    # With the caller's own key the vendor behind OpenRouter sends a bill, too.
    upstream = _dollars(as_object(usage["cost_details"]).get("upstream_inference_cost"))
    return None if upstream is None else fee + upstream


def _dollars(value: Any) -> Decimal | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Decimal(str(value)) if is_number and 0 <= value < inf else None


def usage_of(counts: Mapping[str, Any]) -> Usage | None:
    """The usage with these counts; None if there are none.

    xAI's output tokens leave the reasoning out, which its total tells.
    """
    known: dict[str, Any] = {name: count for name, count in counts.items() if name in _FIELDS}
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
