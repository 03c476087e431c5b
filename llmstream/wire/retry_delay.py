"""Delays that servers ask for: the one place that reads them, wherever vendors put them.

In the order in which they are asked: `retry-after-ms`, `retry-after` (seconds, "0.3s", a date), the body's own fields
(Google's `retryDelay`, OpenRouter's `metadata` and the headers in it), words ("Please try again in 1.2s"), and the
reset of a limit that is used up (`x-ratelimit-reset` in seconds, or since 1970 in seconds or milliseconds; Azure's in
milliseconds; Mistral names what the request would have cost).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from llmstream.wire.json_fields import snake_case

_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""Seconds, by how a unit begins; of those that fit, the first counts."""
_DURATION = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])",
    re.I,
)
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern}[ ,]*)+", re.I)
_TOLD = re.compile(
    r"\b(?:try (?:\w+ request )?again|retry|retrying|wait|resets?|available(?: again)?)"
    r"(?: (?:in|after|for|at least|about|another))* "
    rf"((?:{_DURATION.pattern} ?)+)",
    re.I,
)
"""OpenAI's "Please try again in 6m0s", Gemini's "Please retry in 48.5s"."""

_RESET = re.compile(r"rate-?limit.*reset")
_UNNAMED = re.compile(r"(?:x-)?rate-?limit-reset")
_STRUCTURED = re.compile(r";\s*r=0\s*;\s*t=(\d{1,9})")
"""The IETF's one header: `"api";r=0;t=70` (huggingface.co)."""

_FIELDS: dict[str, float] = {
    "retry_delay": 1.0,  # ai.google.dev: google.rpc.RetryInfo
    "retry_after": 1.0,  # LiteLLM, Azure API Management
    "retry_after_seconds": 1.0,  # openrouter.ai/docs/api-reference/errors
    "retry_after_ms": 0.001,
    "resets_in_seconds": 1.0,  # openai/codex: usage limits
    "resets_at": 1.0,  # the same, since 1970
    "estimated_time": 1.0,  # huggingface.co: a model that is being loaded
}
"""Fields of a body, in one spelling, and their unit in seconds."""
_INSIDE = ("error", "errors", "details", "metadata", "detail", "raw")
"""Members of a body that may hold such fields."""
_DEPTH = 8
_SECONDS_SINCE_1970 = 1e9
_MILLISECONDS_SINCE_1970 = 1e11
"""Greater numbers are times, not delays."""


def parse_retry_after(
    headers: Mapping[str, str], body: Any = None, message: str = "", *, resets: bool = False
) -> float | None:
    """Seconds to wait; None when the server named no usable delay: zero, negative and unreadable values count as none.

    `headers` are found by lower-case names. `message` and, with `resets`, the resets of used-up limits are asked last.
    A date is read against the response's own `date`, so that a wrong clock here does no harm.
    """
    now = headers.get("date")
    inner = list(_objects(body))
    passed_on = [
        _lower(object["headers"]) for object in inner if isinstance(object.get("headers"), dict)
    ]
    told = _in_words(message)
    candidates = [
        *_in_headers(headers, now),
        *(delay for object in inner for delay in _in_fields(object, now)),
        *(delay for given in passed_on for delay in _in_headers(given, now)),
        told,
        *(_reset(given, now) for given in (_lower(headers), *passed_on) if resets),
    ]
    usable = (delay for delay in candidates if delay is not None and 0 < delay < math.inf)
    found = next(usable, None)
    # Google's fields leave out the fraction that its words have: "48s" and "in 48.9s" (recorded: gemini).
    is_the_same = found is not None and told is not None and found < told < found + 1
    return told if is_the_same else found


def _in_headers(headers: Mapping[str, str], now: str | None) -> Iterator[float | None]:
    yield _delay(headers.get("retry-after-ms"), 0.001)
    yield _delay_or_date(headers.get("retry-after"), now)


def _objects(body: Any, depth: int = _DEPTH) -> Iterator[dict[str, Any]]:
    """The objects of a body in which vendors put delays, the outer first."""
    if isinstance(body, list) and depth:
        for item in body:
            yield from _objects(item, depth - 1)
    elif isinstance(body, dict) and depth:
        yield body
        for name in _INSIDE:
            yield from _objects(body.get(name), depth - 1)


def _in_fields(object: dict[str, Any], now: str | None) -> Iterator[float | None]:
    for name, value in object.items():
        unit = _FIELDS.get(snake_case(name))
        if unit == 1.0:
            yield _delay_or_date(value, now)
        elif unit is not None:
            yield _delay(value, unit)


def _delay(value: Any, unit: float) -> float | None:
    """A number of units, or a text like "0.3s" that names its own."""
    if isinstance(value, dict):  # google.protobuf.Duration as an object
        value = value.get("seconds")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value) * unit
    except (ValueError, OverflowError):
        return _seconds(value) if isinstance(value, str) else None


def _seconds(text: str) -> float | None:
    """The seconds of "1m30s", "500ms" or "2 hours"."""
    return _sum(text) if _DURATIONS.fullmatch(text.strip()[:100]) else None


def _sum(text: str) -> float:
    parts = _DURATION.findall(text)
    return sum(float(number) * _unit(name.lower()) for number, name in parts)


def _unit(name: str) -> float:
    if name.startswith("milli"):
        return _UNITS["ms"]
    return next(seconds for start, seconds in _UNITS.items() if name.startswith(start))


def _in_words(message: str) -> float | None:
    told = _TOLD.search(message)
    return None if told is None else _sum(told[1])


def _delay_or_date(value: Any, now: str | None) -> float | None:
    """Seconds, or the time until a date."""
    seconds = _delay(value, 1.0)
    if seconds is not None and seconds > _SECONDS_SINCE_1970:
        return _until(_moment(seconds), now)
    if seconds is not None or not isinstance(value, str):
        return seconds
    return _until(_date(value), now)


def _reset(headers: Mapping[str, str], now: str | None) -> float | None:
    """The longest time until a limit that is used up is there again; the one of an unnamed limit counts always."""
    delays = [
        _delay_of(headers, name, now)
        for name in headers
        if _RESET.search(name) and _is_used_up(headers, name)
    ]
    structured = _STRUCTURED.search(headers.get("ratelimit", ""))
    if structured is not None:
        delays.append(float(structured[1]))
    return max((delay for delay in delays if delay is not None), default=None)


def _delay_of(headers: Mapping[str, str], name: str, now: str | None) -> float | None:
    """What a reset says. Azure's are milliseconds, and come with a period."""
    in_milliseconds = name.replace("reset", "renewalperiod") in headers
    value = headers[name]
    return _delay(value, 0.001) if in_milliseconds else _delay_or_date(value, now)


def _is_used_up(headers: Mapping[str, str], name: str) -> bool:
    """Whether the limit with a reset of this name is to blame: too little is left for the request."""
    remaining = headers.get(name.replace("reset", "remaining"))
    if remaining is None:
        return _UNNAMED.fullmatch(name) is not None
    cost = _delay(headers.get(name.replace("reset", "query-cost")), 1.0)
    left = _delay(remaining, 1.0)
    return remaining == "0" or (cost is not None and left is not None and left < cost)


def _moment(number: float) -> datetime | None:
    """A number of seconds or milliseconds since 1970 as a date."""
    seconds = number / 1000 if number > _MILLISECONDS_SINCE_1970 else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _date(text: str) -> datetime | None:
    """An HTTP date, or RFC 3339's."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text.strip())
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
    return None


def _until(date: datetime | None, now: str | None) -> float | None:
    if date is None or date.tzinfo is None:
        return None
    here = (_date(now) if now else None) or datetime.now(UTC)
    if here.tzinfo is None:
        return None
    return (date - here).total_seconds()


def _lower(headers: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}
