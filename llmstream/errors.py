"""Failures, as values and as exceptions.

Failures of a provider, a proxy or the network are *events*: an ERROR carries an `ErrorInfo`, whose `kind`
is one of a closed list. Code that prefers exceptions calls `event.raise_for_error()`, `client.complete()`
or `stream.text()` and gets the matching class:

    LLMStreamError
    ├── ConfigurationError        you asked for something that can't be: wrong model string, no key …
    └── LLMError                  the request failed; `.info` is the ErrorInfo
        ├── AuthenticationError   ├── PermissionDeniedError   ├── NotFoundError
        ├── InvalidRequestError   ├── ContextLengthError      ├── ContentFilterError
        ├── QuotaError            ├── RateLimitError          ├── OverloadedError
        ├── ServerError           ├── ToolUseFailedError      ├── ResponseTimeoutError
        ├── ConnectionFailedError ├── TruncatedError          ├── ProtocolError
        ├── InvalidOutputError    ├── FrameTooLargeError      ├── WrongBodyError
        └── RedirectError         └── InternalError

Wrong arguments raise `TypeError`, `ValueError` or `ConfigurationError` before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from llmstream.messages import Message
from llmstream.plain_values import dump, load

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextLengthError",
    "ErrorInfo",
    "ErrorKind",
    "FrameTooLargeError",
    "InternalError",
    "InvalidOutputError",
    "InvalidRequestError",
    "LLMError",
    "LLMStreamError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "RedirectError",
    "ResponseTimeoutError",
    "ServerError",
    "StrictError",
    "ToolUseFailedError",
    "TruncatedError",
    "WrongBodyError",
]

ErrorKind = Literal[
    "authentication",
    "permission",
    "not_found",
    "invalid_request",
    "context_length",
    "content_filter",
    "quota",
    "rate_limit",
    "overloaded",
    "server",
    "tool_use_failed",
    "timeout",
    "connection",
    "truncated",
    "protocol",
    "invalid_output",
    "frame_too_large",
    "wrong_body",
    "redirect",
    "internal",
]
"""What went wrong, as one of a closed list."""

RETRYABLE: frozenset[str] = frozenset(
    {
        "rate_limit",
        "overloaded",
        "server",
        "tool_use_failed",
        "timeout",
        "connection",
        "truncated",
        "protocol",
        "invalid_output",
        "wrong_body",
    }
)
"""Kinds that another attempt may cure, unless the provider says otherwise."""

ADAPTED = "adapted"
"""The `code` of an error that taught a provider something: it would ask otherwise now, so ask again at once."""


@dataclass(slots=True)
class ErrorInfo:
    """One failure, decided once where it was made."""

    kind: ErrorKind
    message: str = ""
    retryable: bool | None = None
    """Whether another attempt may succeed; None at construction takes the kind's usual answer."""
    provider: str | None = None
    status_code: int | None = None
    """The HTTP status that refused the request; None for errors inside a stream, never 200."""
    code: str | None = None
    """The provider's own code, or its finish word that means failure; for `timeout`, the clock: connect, first_token,
    idle, progress or total."""
    param: str | None = None
    """The member of the request that is at fault, in the words of its API, where one was named."""
    retry_after: float | None = None
    """Seconds the provider asks to wait."""
    request_id: str | None = None
    attempts: int = 1
    """Attempts made in all, this one included."""
    partial: Message | None = None
    """What had arrived before the failure."""
    rate_limits: dict[str, str] = field(default_factory=dict)
    """What the provider's headers say of its rate limits, by their names in lower case."""

    def __post_init__(self) -> None:
        if self.retryable is None:
            self.retryable = self.kind in RETRYABLE

    def __str__(self) -> str:
        where = ", ".join(
            str(part) for part in (self.provider, self.status_code, self.code) if part
        )
        return f"{self.kind}: {self.message or 'no details'}" + (f" ({where})" if where else "")

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the inverse is `from_dict`."""
        data = dump(self)
        if self.partial is not None:
            data["partial"] = self.partial.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict`'s form."""
        info: Self = load(cls, data)
        if info.partial is not None:
            info.partial = Message.from_dict(data["partial"])
        return info


class LLMStreamError(Exception):
    """The root of this library's exceptions."""


class ConfigurationError(LLMStreamError):
    """Something about the set-up is wrong; the message says what to do. Raised before any network."""


class StrictError(ConfigurationError):
    """`strict=True`, and an option would have been dropped or changed. Raised before any network."""


class LLMError(LLMStreamError):
    """A request failed. `info` says how; `info.partial` holds what had arrived."""

    kind: ClassVar[str] = "internal"

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info)
        self.info = info

    @classmethod
    def from_info(cls, info: ErrorInfo) -> LLMError:
        """The subclass that matches `info.kind`."""
        return _CLASSES.get(info.kind, LLMError)(info)


class AuthenticationError(LLMError):
    """The key is missing or wrong."""

    kind = "authentication"


class PermissionDeniedError(LLMError):
    """The key may not do this."""

    kind = "permission"


class NotFoundError(LLMError):
    """No such model, deployment or path."""

    kind = "not_found"


class InvalidRequestError(LLMError):
    """The provider refused the request as it stands."""

    kind = "invalid_request"


class ContextLengthError(LLMError):
    """The prompt does not fit the model."""

    kind = "context_length"


class ContentFilterError(LLMError):
    """The provider's filter refused the prompt or the answer."""

    kind = "content_filter"


class QuotaError(LLMError):
    """The account's money or quota is spent; waiting does not help."""

    kind = "quota"


class RateLimitError(LLMError):
    """Too many requests; `info.retry_after` says how long to wait, if the provider did."""

    kind = "rate_limit"


class OverloadedError(LLMError):
    """The provider has no capacity just now."""

    kind = "overloaded"


class ServerError(LLMError):
    """The provider failed."""

    kind = "server"


class ToolUseFailedError(LLMError):
    """The provider could not make sense of its own model's tool call (Groq)."""

    kind = "tool_use_failed"


class ResponseTimeoutError(LLMError):
    """A clock ran out; `info.code` says which."""

    kind = "timeout"


class ConnectionFailedError(LLMError):
    """No answer came: refused, reset, unknown host, TLS."""

    kind = "connection"


class TruncatedError(LLMError):
    """The answer was cut before the provider's own end."""

    kind = "truncated"


class ProtocolError(LLMError):
    """The provider sent something that its format does not allow."""

    kind = "protocol"


class InvalidOutputError(LLMError):
    """The provider ended the answer because its model produced something unusable."""

    kind = "invalid_output"


class FrameTooLargeError(LLMError):
    """One frame exceeded the size limit."""

    kind = "frame_too_large"


class WrongBodyError(LLMError):
    """HTTP 200, but not an answer: a login page, a gateway's JSON."""

    kind = "wrong_body"


class RedirectError(LLMError):
    """The server sent a redirect; they are not followed, because the prompt would go with it."""

    kind = "redirect"


class InternalError(LLMError):
    """A bug: in this library or in a third-party provider."""

    kind = "internal"


_CLASSES: dict[str, type[LLMError]] = {cls.kind: cls for cls in LLMError.__subclasses__()}
