"""Values of options that not every host takes as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llmstream.messages import ChatRequest

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
    tier: str | None, words: Mapping[str, str] | None, host: str, warnings: list[str]
) -> str | None:
    """The host's word for the service tier, if one is asked for; None, with a warning, if it has none."""
    if tier is None or words is None:
        return tier
    word = words.get(tier)
    if word is None:
        warnings.append(f"service_tier: {host} has no tier {tier!r}; dropped")
    return word


def name_unsupported(
    request: ChatRequest, names: Iterable[str], host: str, warnings: list[str]
) -> None:
    """A warning for each of these options that the request has: the host's format has no place for them."""
    given = [name for name in names if getattr(request, name) not in (None, [], {})]
    warnings += [f"{name}: not supported by {host}; dropped" for name in given]
