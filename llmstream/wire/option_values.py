"""Values of options that not every host takes as they are."""

from __future__ import annotations

from collections.abc import Mapping

OPENAI_TIERS: Mapping[str, str] = {
    **{tier: tier for tier in ("auto", "default", "flex", "priority", "scale", "fast")},
    "standard_only": "default",  # Anthropic's word for it
}
"""OpenAI's service tiers, and Azure's: https://platform.openai.com/docs/api-reference/chat/create."""


def fit(
    name: str,
    value: object,
    bounds: Mapping[str, tuple[float, float]],
    host: str,
    warnings: list[str],
) -> object:
    """The value, moved into the host's own range, if it has one for this option."""
    if name not in bounds or not isinstance(value, int | float):
        return value
    low, high = bounds[name]
    fitting = min(max(value, low), high)
    if fitting != value:
        warnings.append(
            f"{name}: {host} takes {low:g} to {high:g}; {value!r} is sent as {fitting!r}"
        )
    return fitting


def tier_for(
    tier: str, words: Mapping[str, str] | None, host: str, warnings: list[str]
) -> str | None:
    """The host's word for a service tier; None, with a warning, if it has none."""
    if words is None:
        return tier
    word = words.get(tier)
    if word is None:
        warnings.append(f"service_tier: {host} has no tier {tier!r}; dropped")
    return word
