"""Providers' rate-limit headers: how much is left, and how fast it comes back.

- OpenAI, and Groq and Cerebras in its manner: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, with `reset`
  such as "6m0s", "17ms" or "2.5", which are seconds (platform.openai.com/docs/guides/rate-limits,
  console.groq.com/docs/rate-limits, inference-docs.cerebras.ai/support/rate-limits).
- Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, with `reset` as
  a time of RFC 3339 (docs.anthropic.com/en/api/rate-limits).

Both resets are the time when all of the limit is there again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

_UNITS: Final[Mapping[str, float]] = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
}
LONGEST: Final = 86_400.0
"""Seconds. No limit of these providers is longer than a day, and one that is mistaken would hold up all calls."""
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)
_NAMES: Final = (
    ("requests", "x-ratelimit-{}-requests"),
    ("requests", "x-ratelimit-{}-requests-minute"),
    ("tokens", "x-ratelimit-{}-tokens"),
    ("tokens", "x-ratelimit-{}-tokens-minute"),
    ("requests", "anthropic-ratelimit-requests-{}"),
    ("tokens", "anthropic-ratelimit-tokens-{}"),
    ("input_tokens", "anthropic-ratelimit-input-tokens-{}"),
    ("output_tokens", "anthropic-ratelimit-output-tokens-{}"),
)
"""The kinds of limits, and the names of their three headers. Of two for one kind, the last counts."""


class Left(NamedTuple):
    """The rest of one limit."""

    remaining: float
    per_second: float
    full_in: float
    """Seconds until all of it is there again."""


def parse_rate_limits(headers: Mapping[str, str], wall_time: float) -> dict[str, Left]:
    """By kind of limit. `wall_time`: seconds since 1970. A limit that a provider didn't name readably is left out."""
    found: dict[str, Left] = {}
    for kind, name in _NAMES:
        left = _left(headers, name, wall_time)
        if left is not None:
            found[kind] = left
    return found


def _left(headers: Mapping[str, str], name: str, wall_time: float) -> Left | None:
    """The limit that three headers of this name describe. None: they don't."""
    limit, remaining, reset = (
        headers.get(name.format(word), "") for word in ("limit", "remaining", "reset")
    )
    most, left = _number(limit), _number(remaining)
    seconds = _seconds(reset, wall_time)
    if most is None or left is None or seconds is None:
        return None
    if seconds > LONGEST:
        return None
    missing = max(most - left, 0.0)
    per_second = missing / seconds if seconds > 0 else math.inf
    return Left(left, per_second, seconds)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _seconds(text: str, wall_time: float) -> float | None:
    """A duration or a time, as seconds from now."""
    number = _number(text)
    if number is not None:
        return number
    if _DURATION.fullmatch(text):
        return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(moment.timestamp() - wall_time, 0.0)
