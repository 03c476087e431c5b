"""Errors for strangers: a fixed table from a failure's kind to an HTTP status and a sentence.

A provider's own words, an exception's text, the name of a host or a key's tail stay in the server: what leaves is the
kind, the sentence of this table, whether and when to try again, and an id by which the server's log can be searched.
Of a refused request there is more to mend: the provider's code and the member that it names leave if both are on lists
of ours, and of a conversation that is too long, the numbers. A whole refusal leaves where `verbatim` allows it: clients
of Anthropic's own API read it, and mend themselves by its words.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, is_
from typing import Any, Final, TypeVar

from llmstream.errors import ErrorInfo, ErrorKind, LLMError
from llmstream.events.types import EventType, Retry, Start, StreamEvent, failure_of
from llmstream.limits.spend_limit import SPEND_LIMIT
from llmstream.log import get_logger
from llmstream.messages import Message, ToolResult
from llmstream.options import NAMES
from llmstream.plain_values import amended
from llmstream.web.served_request import note_error, without_keys
from llmstream.wire.context_overflow import parse_overflow, plain_words
from llmstream.wire.error_kinds import is_known
from llmstream.wire.pass_through import PASSED

P = TypeVar("P")
logger = get_logger("llmstream.web")

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_RESULT = "The tool gave no result."
_OF_THE_REQUEST = frozenset({"invalid_request", "context_length"})
_SPELLED = ("max_completion_tokens", "max_output_tokens", "stop_sequences", "text", "reasoning")
_MEMBERS = frozenset({"messages", "model", "input", "system", "instructions"}).union(
    NAMES, _SPELLED, *PASSED.values()
)
"""Names that the client may hear of a provider's refusal: they are on lists of ours, so they are nobody's secret."""
_WARNED = frozenset({401, 403, 429})
"""Statuses of refusals that whoever runs the server should see."""


@dataclass(frozen=True, slots=True)
class Told:
    """How strangers see a kind of failure."""

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
SPENT = Told(429, "What may be spent here is used up. Please try again later.", "quota")
"""Of a limit of the server's own: that of the key, or of its client."""


class RefusedError(Exception):
    """The server itself refuses a request: `info.message` is fit for strangers, `info.status_code` is set.

    `code` and `param` are a dialect's own words for it. `reason` is for the server's log alone.
    """

    def __init__(
        self,
        status: int,
        kind: ErrorKind,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        again = retry_after is not None
        self.info = ErrorInfo(
            kind,
            message,
            retryable=again,
            status_code=status,
            code=code,
            param=param,
            retry_after=retry_after,
        )
        self.headers = dict(headers or {})


def public_info(
    info: ErrorInfo, request_id: str, *, status: bool = False, verbatim: str | None = None
) -> ErrorInfo:
    """A failure of a provider as strangers may see it.

    `status`: for an HTTP error, which has the status, and what had come of the answer, since it is nowhere else.
    `verbatim`: the provider that may tell in its own words why it refused a request.
    """
    told = SPENT if info.code == SPEND_LIMIT else TABLE.get(info.kind, TABLE["internal"])
    may_be_told = info.kind == "invalid_request"
    return ErrorInfo(
        told.kind,
        _told_text(info, told, verbatim=verbatim),
        code=_told_code(info.code) if may_be_told else None,
        param=_told_param(info.param) if may_be_told else None,
        retryable=info.retryable,
        status_code=told.status if status else None,
        retry_after=info.retry_after,
        request_id=request_id,
        attempts=info.attempts,
        partial=_public_message(info.partial) if status and info.partial is not None else None,
    )


def _told_text(info: ErrorInfo, told: Told, *, verbatim: str | None) -> str:
    is_theirs = verbatim is not None and info.provider == verbatim
    if is_theirs and info.kind in _OF_THE_REQUEST and info.status_code == 400:
        return info.message
    if info.kind == "context_length":
        return plain_words(parse_overflow(info.message))
    param = _told_param(info.param) if info.kind == "invalid_request" else None
    return told.text if param is None else f"{told.text[:-1]}: it names {param}."


def _told_code(code: str | None) -> str | None:
    """A code that says more than the kind does."""
    if code is None or code.endswith("_error"):
        return None
    return code if is_known(code) else None


def _told_param(param: str | None) -> str | None:
    """The name of an option, without where in it the mistake is: that may be the client's own text."""
    name = re.split(r"[.\[]", param, maxsplit=1)[0] if param is not None else ""
    return name if name in _MEMBERS else None


def public_event(
    event: StreamEvent, request_id: str, *, verbatim: str | None = None
) -> StreamEvent:
    """An event as strangers may see it: failures in fixed words, and nothing of the provider's frames and headers.

    Why a tool of the server's own failed is kept back, and logged. `verbatim` as in `public_info`.
    """
    changed: dict[str, Any] = {}
    if event.type is EventType.ERROR:
        info = public_info(failure_of(event), request_id, verbatim=verbatim)
        changed = {"error": info.message, "error_info": info}
    if event.tool_result is not None:
        _log_failed(event.tool_result, request_id)
    for value, name in zip(_read_fields(event), _PUBLIC, strict=True):
        if value is None:
            continue
        shown = _PUBLIC[name](value)
        if shown is not value:
            changed[name] = shown
    return amended(event, **changed) if changed else event


def _log_failed(result: ToolResult, request_id: str) -> None:
    if _public_part(result) is not result:
        logger.warning("request %s: tool %s: %s", request_id, result.name, result.content)


def _public_retry(retry: Retry) -> Retry:
    told = TABLE.get(retry.kind, TABLE["internal"])
    return amended(retry, reason=told.text, kind=told.kind)


def _public_start(start: Start) -> Start:
    is_public = not start.rate_limits and not start.request_id
    return start if is_public else amended(start, rate_limits={}, request_id=None)


def _public_part(part: P) -> P:
    """A failed result without its words, which may be an exception's; what a provider says of its own tools stays."""
    if isinstance(part, ToolResult) and part.is_error and part.executed_by == "caller":
        return replace(part, content=_NO_RESULT)
    return part


def _public_message(message: Message) -> Message:
    parts = [*map(_public_part, message.parts)]
    is_public = all(map(is_, parts, message.parts))
    return message if is_public else amended(message, parts=parts)


def _public_messages(messages: Sequence[Message]) -> Sequence[Message]:
    shown = [*map(_public_message, messages)]
    return messages if all(map(is_, shown, messages)) else shown


_PUBLIC: Final[Mapping[str, Callable[[Any], Any]]] = {
    "raw": lambda _: None,
    "retry": _public_retry,
    "start": _public_start,
    "tool_result": _public_part,
    "message": _public_message,
    "messages": _public_messages,
}
"""Fields of an event that may hold what strangers must not see, and how each is made fit for them."""
_read_fields: Final = attrgetter(*_PUBLIC)


def render_error(info: ErrorInfo, request_id: str) -> dict[str, Any]:
    """The body of an error in our own words: an ERROR event's JSON, with `request_id` beside `error`."""
    event = StreamEvent(
        EventType.ERROR, error=info.message, error_info=replace(info, request_id=request_id)
    )
    return {**event.to_dict(), "request_id": request_id}


def error_headers(info: ErrorInfo) -> dict[str, str]:
    """Retry-After in whole seconds, where there is something to wait for; and whether to try again at once.

    OpenAI's and Anthropic's clients try every 408, 409, 429 and 5xx again, unless `x-should-retry` says no. It says so
    too once the server has tried again itself: 3 attempts of its own for each of the client's 3 would be 9.
    """
    headers = {}
    if info.retry_after is not None and not math.isnan(info.retry_after):
        headers["retry-after"] = str(max(0, math.ceil(min(info.retry_after, 86_400.0))))
    is_final = info.attempts > 1 or info.kind == "quota"
    if is_final or not (info.retryable or headers):
        headers["x-should-retry"] = "false"
    return headers


def new_request_id(given: str | None = None) -> str:
    """The id that the client or a proxy gave, if it is short and plain; else one of our own."""
    return given if given is not None and _SANE.fullmatch(given) else secrets.token_hex(8)


def log_failure(info: ErrorInfo, request_id: str, problem: BaseException | None = None) -> None:
    """Log why an answer failed, in one record. `problem` is what the events raised, where they raised it."""
    is_raised = problem is not None and not isinstance(problem, LLMError)
    is_ours = is_raised or info.kind == "internal" or info.code in ("limiter", SPEND_LIMIT)
    note_error(info, is_upstream=not is_ours)
    if is_raised:
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
    note_error(problem.info, is_upstream=False)
    status = problem.info.status_code or 500
    failed = status >= 500 and problem.info.kind != "overloaded"
    noted = logging.WARNING if status >= 500 or status in _WARNED else logging.INFO
    level = logging.ERROR if failed else noted
    told = "; ".join(filter(None, (str(problem), problem.reason, where)))
    cause = problem.__cause__ if status >= 500 else None
    line = "request %s: refused with %s: %s"
    logger.log(level, line, request_id, status, without_keys(told), exc_info=cause)
