"""Providers' rate-limit headers: how much is left, and how fast it comes back.

- OpenAI, and Groq and Cerebras in its manner: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, with `reset`
  such as "6m0s", "17ms" or "2.5", which are seconds (platform.openai.com/docs/guides/rate-limits,
  console.groq.com/docs/rate-limits, inference-docs.cerebras.ai/support/rate-limits).
- Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, with `reset` as
  a time of RFC 3339 (docs.anthropic.com/en/api/rate-limits).
- Azure and GitHub Models: OpenAI's names, and `x-ratelimit-renewalperiod-{requests,tokens}` in seconds. The resets
  are milliseconds, or 0 although something is used (recorded: azure), so the period counts in their place.
- Mistral: `ratelimitbysize-{limit,remaining,reset}`, tokens and seconds (recorded: mistral).
- The IETF's draft: `ratelimit-{limit,remaining,reset}`, requests and seconds (recorded: huggingface).
- Cohere's trial keys: `x-trial-endpoint-call-{limit,remaining}`, requests a minute, without a reset
  (docs.cohere.com/docs/rate-limits).

A reset is the time when all of the limit is there again.
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


class _Names(NamedTuple):
    """The headers of one limit."""

    kind: str
    form: str
    """Their names, with a place for `limit`, `remaining`, `reset` or `renewalperiod`."""
    period: float | None = None
    """The seconds that the limit is for, where no header says so."""


_NAMES: Final = (
    _Names("requests", "ratelimit-{}"),
    _Names("requests", "x-trial-endpoint-call-{}", period=60.0),
    _Names("requests", "x-ratelimit-{}-requests"),
    _Names("requests", "x-ratelimit-{}-requests-minute"),
    _Names("tokens", "ratelimitbysize-{}"),
    _Names("tokens", "x-ratelimit-{}-tokens"),
    _Names("tokens", "x-ratelimit-{}-tokens-minute"),
    _Names("requests", "anthropic-ratelimit-requests-{}"),
    _Names("tokens", "anthropic-ratelimit-tokens-{}"),
    _Names("input_tokens", "anthropic-ratelimit-input-tokens-{}"),
    _Names("output_tokens", "anthropic-ratelimit-output-tokens-{}"),
)
"""The known limits. Of two of one kind, the last counts."""


class Left(NamedTuple):
    """The rest of one limit."""

    remaining: float
    per_second: float
    full_in: float
    """Seconds until all of it is there again."""


def parse_rate_limits(headers: Mapping[str, str], wall_time: float) -> dict[str, Left]:
    """By kind of limit. `wall_time`: seconds since 1970. A limit that a provider didn't name readably is left out."""
    found: dict[str, Left] = {}
    for names in _NAMES:
        left = _left(headers, names, wall_time)
        if left is not None:
            found[names.kind] = left
    return found


def _left(headers: Mapping[str, str], names: _Names, wall_time: float) -> Left | None:
    """The limit that headers of these names describe. None: they don't."""
    limit, remaining, reset, renewal = (
        headers.get(names.form.format(word), "")
        for word in ("limit", "remaining", "reset", "renewalperiod")
    )
    most, left = _number(limit), _number(remaining)
    if most is None or left is None:
        return None
    missing = max(most - left, 0.0)
    period = _number(renewal) or names.period
    if period is None:
        return _full_in(left, missing, _seconds(reset, wall_time))
    return _full_in(left, missing, missing * period / most if most else period)


def _full_in(left: float, missing: float, seconds: float | None) -> Left | None:
    """What is left of a limit that is whole again in so many seconds."""
    if seconds is None or seconds > LONGEST:
        return None
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
