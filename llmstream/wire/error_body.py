"""Error bodies of every provider, in HTTP answers and inside streams: parsed and classified in one place.

Shapes seen (recordings): OpenAI family `{"error": {message, type, code, param}}`, Anthropic `{"type": "error",
"error": {type, message}, "request_id"}`, Google `{"error": {code, message, status, details[]}}`, Cohere `{message,
error_type}`, Mistral `{message, type, code}` or `{"detail": "…"}`, xAI `{"code": "…", "error": "text"}`, Ollama and
others `{"error": "text"}`, Bedrock `{"message"}` with the class in `x-amzn-errortype`.

A code or type decides first, then words of the message, then the status: 400 may mean a wrong key (Gemini, xAI), an
unknown model (OpenAI Responses, DeepSeek) or a prompt that is too long (most).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from llmstream.errors import ErrorInfo, ErrorKind

MAX_MESSAGE = 1000
"""Characters of a provider's text that an error carries."""
MAX_CODE = 100
"""Characters of its code."""

_CODES: dict[str, ErrorKind] = {
    "authentication_error": "authentication",
    "invalid_api_key": "authentication",
    "api_key_invalid": "authentication",
    "unauthenticated": "authentication",
    "unrecognizedclientexception": "authentication",
    "permission_error": "permission",
    "permission_denied": "permission",
    "accessdeniedexception": "permission",
    "not_found_error": "not_found",
    "model_not_found": "not_found",
    "invalid_model": "not_found",
    "deploymentnotfound": "not_found",
    "resourcenotfoundexception": "not_found",
    "not_found": "not_found",
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "too_many_tokens": "context_length",
    "request_too_large": "context_length",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "insufficient_quota": "quota",
    "enforced_spend_limit_reached": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "resource_exhausted": "rate_limit",
    "throttlingexception": "rate_limit",
    "overloaded_error": "overloaded",
    "service_unavailable": "overloaded",
    "serviceunavailableexception": "overloaded",
    "unavailable": "overloaded",
    "api_error": "server",
    "server_error": "server",
    "internal_error": "server",
    "internalserverexception": "server",
    "modelstreamerrorexception": "server",
    "timeout_error": "server",
    "tool_use_failed": "tool_use_failed",
    "invalid_request_error": "invalid_request",
    "invalid_argument": "invalid_request",
    "validationexception": "invalid_request",
}
_VAGUE = frozenset(
    {
        "invalid_request_error",
        "api_error",
        "server_error",
        "invalid_argument",
        "validationexception",
    }
)
"""Types that say little: the message, then the status, may know better."""

_WORDS: tuple[tuple[re.Pattern[str], ErrorKind], ...] = (
    (
        re.compile(
            r"(context (length|window|size)|input tokens exceed|prompt (is )?too long|too many tokens"
            r"|maximum number of tokens|exceed\w{0,3} .{0,30}context)",
            re.I,
        ),
        "context_length",
    ),
    (
        re.compile(
            r"(incorrect|invalid|missing|not valid).{0,20}api[ _-]?key|api key not valid", re.I
        ),
        "authentication",
    ),
    (re.compile(r"security token .{0,40}invalid", re.I), "authentication"),
    (
        re.compile(
            r"model.{0,80}(does not exist|not found|was removed)|(invalid|unknown) model|model identifier is invalid"
            r"|supported api model names are",
            re.I,
        ),
        "not_found",
    ),
    (re.compile(r"credit balance is too low|insufficient (credits|balance)", re.I), "quota"),
    (re.compile(r"overloaded", re.I), "overloaded"),
    (re.compile(r"rate.?limit", re.I), "rate_limit"),
)

_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Seconds, by how a unit begins; of those that fit, the first counts."""
_DURATION = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)(?![a-z])", re.I
)
_TOLD_DELAY = re.compile(rf"\b(?:try again|retry) (?:in|after) ((?:{_DURATION.pattern} ?)+)", re.I)
"""OpenAI's "Please try again in 6m0s", where an error inside a stream has no headers."""

_STATUSES: dict[int, ErrorKind] = {
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context_length",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}


def parse_error(
    body: Any,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    provider: str | None = None,
) -> ErrorInfo:
    """What went wrong, from a parsed JSON body, or the body's text.

    `status` and `headers` (lower-case names) are those of an HTTP error; leave them out for an error inside a stream.
    """
    headers = headers or {}
    message, words = _read(body)
    if (amazon := headers.get("x-amzn-errortype")) is not None:
        words.insert(0, amazon.partition(":")[0])
    kind = _classify(words, message, status or _status_in(body))
    info = ErrorInfo(
        kind,
        message[:MAX_MESSAGE]
        or (f"HTTP {status} without a body" if status else "the provider reported an error"),
        provider=provider,
        status_code=status,
        code=next((word[:MAX_CODE] for word in words if not word.isdigit()), None),
        retry_after=parse_retry_after(headers, body),
        request_id=headers.get("x-request-id") or headers.get("request-id") or _request_id(body),
    )
    if info.retry_after is None and kind in ("rate_limit", "overloaded"):
        info.retry_after = _told_delay(message)
    if kind == "server" and status is not None and status < 500 and status != 409:
        info.retryable = False
    if (verdict := headers.get("x-should-retry")) in ("true", "false"):
        info.retryable = verdict == "true" and kind not in (
            "quota",
            "authentication",
            "content_filter",
        )
    return info


def is_error(payload: Mapping[str, Any]) -> bool:
    """Whether a JSON object that came in place of a chunk is an error of any of the shapes above."""
    if payload.get("error"):
        return True
    return payload.get("object") == "error" or payload.get("type") == "error" or "detail" in payload


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the caller's own keys, should a provider have echoed them; also one cut off at the end."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
        body = text.rstrip("'\"…")
        for size in range(min(len(secret) - 1, len(body)), 3, -1):
            if body.endswith(secret[:size]):
                text = f"{body[:-size]}[key]{text[len(body) :]}"
                break
    return text


def parse_retry_after(headers: Mapping[str, str], body: Any = None) -> float | None:
    """Seconds to wait: milliseconds before seconds before a date, else Google's `retryDelay`.

    None when the server named no usable delay; zero, negative and unreadable values count as none.
    A date is read against the response's own `date`, so that a wrong clock here does no harm.
    """
    candidates = [
        _number(headers.get("retry-after-ms"), 0.001),
        _number(headers.get("retry-after"), 1.0),
    ]
    if candidates[1] is None and (date := headers.get("retry-after")) is not None:
        candidates.append(_until(date, headers.get("date")))
    candidates.append(_google_delay(body))
    return next(
        (seconds for seconds in candidates if seconds is not None and 0 < seconds < math.inf), None
    )


def _classify(words: list[str], message: str, status: int | None) -> ErrorKind:
    known = [word.lower() for word in words if word.lower() in _CODES]
    precise = next((word for word in known if word not in _VAGUE), None)
    if precise is not None:
        return _CODES[precise]
    if status not in (401, 402, 404, 429):
        for pattern, kind in _WORDS:
            if pattern.search(message):
                return kind
    if status is not None:
        if status in _STATUSES:
            return _STATUSES[status]
        if 300 <= status < 400:
            return "redirect"
        if status < 200:
            return "protocol"
        return "server" if status >= 500 else "invalid_request"
    return _CODES[known[0]] if known else "server"


def _read(body: Any) -> tuple[str, list[str]]:
    """The message, and every code or type in the body, the most specific first."""
    if not isinstance(body, dict):
        return _plain(str(body or "")), []
    inner = body.get("error")
    error: dict[str, Any] = inner if isinstance(inner, dict) else body
    text = inner if isinstance(inner, str) else error.get("message") or error.get("detail")
    details = error.get("details")
    if not isinstance(details, list):
        details = [details]
    words = [
        *(
            detail.get("error_code") or detail.get("reason")
            for detail in details
            if isinstance(detail, dict)
        ),
        error.get("code"),
        error.get("type") if error.get("type") != "error" else None,
        error.get("status"),
        error.get("error_type"),
    ]
    if not text:
        text = str(error) if error else ""
    if isinstance(text, str) and isinstance(param := error.get("param"), str) and param not in text:
        text = f"{text.rstrip('.')}: {param[:100]}"
    return _plain(text if isinstance(text, str) else str(text)), [
        str(word) for word in words if word
    ]


def _plain(text: str) -> str:
    if text.lstrip()[:1] == "<":  # a gateway's HTML page
        text = re.sub(
            r"<(script|style)\b.*?(</\1>|\Z)|<[^<>]*>", " ", text[: 64 * 1024], flags=re.S | re.I
        )
    return " ".join(text[: 8 * MAX_MESSAGE].split())


def _status_in(body: Any) -> int | None:
    """Some in-stream errors carry the status they would have had (Groq `status_code`, OpenRouter `code`)."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        for key in ("status_code", "code"):
            value = str(error.get(key))
            if re.fullmatch("[45][0-9]{2}", value):
                return int(value)
    return None


def _request_id(body: Any) -> str | None:
    value = body.get("request_id") if isinstance(body, dict) else None
    return value if isinstance(value, str) else None


def _number(text: str | None, scale: float) -> float | None:
    try:
        return float(cast(str, text)) * scale
    except (TypeError, ValueError):
        return None


def _until(date: str, now: str | None) -> float | None:
    try:
        here = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return (parsedate_to_datetime(date) - here).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _told_delay(message: str) -> float | None:
    told = _TOLD_DELAY.search(message)
    if told is None:
        return None
    parts = _DURATION.findall(told[1])
    units = (
        (number, next(_UNITS[unit] for unit in _UNITS if name.lower().startswith(unit)))
        for number, name in parts
    )
    return sum(float(number) * unit for number, unit in units) or None


def _google_delay(body: Any) -> float | None:
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _number(delay[:-1], 1.0)
    return None
