"""Errors for strangers: a fixed table from a failure's kind to an HTTP status and a sentence.

A provider's own words, an exception's text, the name of a host or a key's tail stay in the server: what leaves is the
kind, the sentence of this table, whether and when to try again, and an id by which the server's log can be searched.
The log has one line for each failure: the kind, the provider's words (without its keys), the status, the code and the
provider's own request id. The same holds for a tool that the server runs: that it failed leaves; why it did is for the
model to read, and for the log.

A failure to sign in to a provider, or to pay it, is the server's own business: clients hear `server` and 5xx, since it
is not their key that is wrong.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from llmstream.errors import ErrorInfo, ErrorKind, LLMError
from llmstream.events.types import EventType, StreamEvent, failure_of
from llmstream.log import get_logger
from llmstream.messages import Message, ToolResult

P = TypeVar("P")
logger = get_logger("llmstream.web")

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_RESULT = "The tool gave no result."
_WARNED = frozenset({401, 403, 429})
"""Statuses of refusals that whoever runs the server should see."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a kind of failure looks like from outside."""

    status: int
    text: str
    kind: ErrorKind


def _told(
    kind: ErrorKind, status: int, text: str, shown: ErrorKind | None = None
) -> tuple[str, Told]:
    return kind, Told(status, text, shown or kind)


TABLE: dict[str, Told] = dict(
    (
        _told(
            "authentication", 502, "The server could not sign in to the model's provider.", "server"
        ),
        _told("permission", 502, "The server may not use this model.", "server"),
        _told("not_found", 404, "There is no such model."),
        _told("invalid_request", 400, "The model's provider refused the request as it stands."),
        _told("context_length", 400, "The conversation is too long for this model."),
        _told("content_filter", 400, "The provider's filter refused to answer this."),
        _told(
            "quota",
            503,
            "The server has used up what it may ask of the model's provider.",
            "server",
        ),
        _told("rate_limit", 429, "Too many requests just now. Please try again later."),
        _told("overloaded", 503, "The model is overloaded just now. Please try again later."),
        _told("server", 502, "The model's provider failed."),
        _told(
            "tool_use_failed", 502, "The model made a tool call that its provider could not read."
        ),
        _told("timeout", 504, "The model took too long to answer."),
        _told("connection", 502, "The model's provider could not be reached."),
        _told("truncated", 502, "The answer was cut before its end."),
        _told("protocol", 502, "The model's provider sent something that could not be read."),
        _told("invalid_output", 502, "The model produced something unusable."),
        _told("frame_too_large", 502, "The model's provider sent more at once than is allowed."),
        _told("wrong_body", 502, "The model's provider sent something that is no answer."),
        _told("redirect", 502, "The model's provider has moved."),
        _told("internal", 500, "Something went wrong in the server."),
    )
)
"""One entry for every ErrorKind."""


class RefusedError(Exception):
    """The server itself refuses a request: `info.message` is fit for strangers, `info.status_code` is set.

    `reason` is for the server's log alone.
    """

    def __init__(
        self,
        status: int,
        kind: ErrorKind,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        again = retry_after is not None
        self.info = ErrorInfo(
            kind, message, retryable=again, status_code=status, retry_after=retry_after
        )
        self.headers = dict(headers or {})


def public_info(info: ErrorInfo, request_id: str, *, status: bool = False) -> ErrorInfo:
    """A failure of a provider as strangers may see it.

    `status`: for an HTTP error, which has the status, and what had come of the answer, since it is nowhere else.
    """
    told = TABLE.get(info.kind, TABLE["internal"])
    return ErrorInfo(
        told.kind,
        told.text,
        retryable=info.retryable,
        status_code=told.status if status else None,
        retry_after=info.retry_after,
        request_id=request_id,
        attempts=info.attempts,
        partial=_public_message(info.partial) if status and info.partial is not None else None,
    )


def public_event(event: StreamEvent, request_id: str) -> StreamEvent:
    """An event as strangers may see it: failures in fixed words, and nothing of the provider's frames and headers.

    Why a tool of the server's own failed is kept back, and logged.
    """
    changed: dict[str, Any] = {} if event.raw is None else {"raw": None}
    if event.type is EventType.ERROR:
        info = public_info(failure_of(event), request_id)
        changed |= {"error": info.message, "error_info": info}
    elif event.retry is not None:
        told = TABLE.get(event.retry.kind, TABLE["internal"])
        changed["retry"] = replace(event.retry, reason=told.text, kind=told.kind)
    start = event.start
    if start is not None and (start.rate_limits or start.request_id):
        changed["start"] = replace(start, rate_limits={}, request_id=None)
    result = event.tool_result
    if result is not None and _public_part(result) is not result:
        logger.warning("request %s: tool %s: %s", request_id, result.name, result.content)
        changed["tool_result"] = _public_part(result)
    if event.message is not None:
        changed["message"] = _public_message(event.message)
    if event.messages is not None:
        changed["messages"] = [_public_message(message) for message in event.messages]
    return replace(event, **changed) if changed else event


def _public_part(part: P) -> P:
    """A failed result without its words, which may be an exception's; what a provider says of its own tools stays."""
    if isinstance(part, ToolResult) and part.is_error and part.executed_by == "caller":
        return replace(part, content=_NO_RESULT)
    return part


def _public_message(message: Message) -> Message:
    return replace(message, parts=[_public_part(part) for part in message.parts])


def render_error(info: ErrorInfo, request_id: str) -> dict[str, Any]:
    """The body of an error in our own words: an ERROR event's JSON, with `request_id` beside `error`."""
    event = StreamEvent(
        EventType.ERROR, error=info.message, error_info=replace(info, request_id=request_id)
    )
    return {**event.to_dict(), "request_id": request_id}


def error_headers(info: ErrorInfo) -> dict[str, str]:
    """Retry-After in whole seconds, where there is something to wait for; else whether to try again at all.

    OpenAI's and Anthropic's clients try every 408, 409, 429 and 5xx again, unless `x-should-retry` says no.
    """
    if info.retry_after is not None and not math.isnan(info.retry_after):
        return {"retry-after": str(max(0, math.ceil(min(info.retry_after, 86_400.0))))}
    return {} if info.retryable else {"x-should-retry": "false"}


def new_request_id(given: str | None = None) -> str:
    """The id that the client or a proxy gave, if it is short and plain; else one of our own."""
    return given if given is not None and _SANE.fullmatch(given) else secrets.token_hex(8)


def log_failure(info: ErrorInfo, request_id: str, problem: BaseException | None = None) -> None:
    """Log why an answer failed, in one record. `problem` is what the events raised, where they raised it."""
    if problem is not None and not isinstance(problem, LLMError):
        logger.error(
            "request %s: the events raised %s", request_id, type(problem).__name__, exc_info=problem
        )
        return
    theirs = "" if info.request_id is None else f"; their request id: {info.request_id}"
    logger.warning("request %s: %s%s", request_id, info, theirs)


def log_refusal(problem: RefusedError, request_id: str, where: str = "") -> None:
    """Log what the server itself refused, in one record. `where` says what was asked for, and by whom.

    A client's own mistakes are for the client to know, so they are on the level INFO. Refused keys and limits are
    warnings, and so is a busy server.
    """
    status = problem.info.status_code or 500
    failed = status >= 500 and problem.info.kind != "overloaded"
    noted = logging.WARNING if status >= 500 or status in _WARNED else logging.INFO
    level = logging.ERROR if failed else noted
    told = "; ".join(filter(None, (str(problem), problem.reason, where)))
    cause = problem.__cause__ if status >= 500 else None
    logger.log(level, "request %s: refused with %s: %s", request_id, status, told, exc_info=cause)
