"""Exceptions that the events raised, as errors for the client, the same in every answer.

1. **RefusedError**, an **HTTPException**, a **StrictError** and what a conversation refuses are answers to the request:
   the client reads their words, with their status where nothing has been sent.
2. **LLMError** is a failure like any ERROR event: `llmstream.web.errors` says what of it strangers are told.
3. Anything else is a mistake in the server, which its log has: "internal".
"""

from __future__ import annotations

from dataclasses import replace

from starlette.exceptions import HTTPException

from llmstream.errors import (
    ConfigurationError,
    ErrorInfo,
    ErrorKind,
    LLMError,
    LLMStreamError,
    StrictError,
)
from llmstream.events.types import EventType, StreamEvent
from llmstream.web.errors import RefusedError

_KINDS: dict[int, ErrorKind] = {
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
    503: "overloaded",
}

_FULL_FOR = 60.0
"""Seconds after which a client may try a store again that is full: room comes with what grows old."""


def refusal_in(problem: BaseException) -> RefusedError | None:
    """The refusal that an exception is or stands for; None for one that is a failure."""
    if isinstance(problem, RefusedError):
        return problem
    if isinstance(problem, HTTPException):
        return http_refusal(problem)
    if isinstance(problem, StrictError):
        return _caused(RefusedError(400, "invalid_request", str(problem)[:500]), problem)
    if not isinstance(problem, LLMStreamError) or isinstance(
        problem, LLMError | ConfigurationError
    ):
        return None
    # Loaded already if it is one; `respond` does without.
    from llmstream.conversations import ConversationError

    return conversation_refusal(problem) if isinstance(problem, ConversationError) else None


def failure_in(problem: BaseException) -> ErrorInfo:
    """The failure that an exception means."""
    return (
        problem.info
        if isinstance(problem, LLMError)
        else ErrorInfo("internal", type(problem).__name__)
    )


def refusal_event(problem: RefusedError, request_id: str) -> StreamEvent:
    """A refusal as the ERROR that ends an answer."""
    info = replace(problem.info, request_id=request_id, status_code=None)
    return StreamEvent(EventType.ERROR, error=info.message, error_info=info)


def http_refusal(problem: HTTPException) -> RefusedError:
    """An HTTPException of Starlette or FastAPI: its detail is for the client."""
    status = problem.status_code
    headers = {name.lower(): value for name, value in (problem.headers or {}).items()}
    wait = float(headers.pop("retry-after")) if headers.get("retry-after", "").isdecimal() else None
    kind = _KINDS.get(status, "invalid_request" if status < 500 else "internal")
    return _caused(
        RefusedError(status, kind, str(problem.detail), retry_after=wait, headers=headers), problem
    )


def conversation_refusal(problem: LLMStreamError) -> RefusedError:
    """The public error for a conversation that can't be opened or continued."""
    from llmstream.conversations import (
        AccessError,
        ContextTooLongError,
        ConversationBusyError,
        ConversationLimitError,
        StoreFullError,
        TurnError,
    )

    if isinstance(problem, AccessError):
        refusal = RefusedError(
            404, "not_found", "There is no such conversation, or it is not yours."
        )
    elif isinstance(problem, ConversationBusyError):
        text = "Another turn of this conversation is being answered."
        refusal = RefusedError(409, "overloaded", text, retry_after=problem.retry_after)
    elif isinstance(problem, ContextTooLongError):
        refusal = RefusedError(
            400, "context_length", "The conversation is too long for this model."
        )
    elif isinstance(problem, ConversationLimitError):
        text = "The question, or the conversation, is larger than this server keeps: ask for less, or begin another."
        refusal = RefusedError(413, "invalid_request", text)
    elif isinstance(problem, StoreFullError):
        text = "The server keeps as many conversations as it may. Please try again later."
        refusal = RefusedError(503, "overloaded", text, retry_after=_FULL_FOR)
    elif isinstance(problem, TurnError):
        refusal = RefusedError(400, "invalid_request", "This turn can't be asked.")
    else:
        refusal = RefusedError(503, "internal", "The conversation could not be read or stored.")
    return _caused(refusal, problem)


def _caused(refusal: RefusedError, problem: Exception) -> RefusedError:
    """For the log, which has the cause of what the server could not do."""
    refusal.__cause__ = problem
    return refusal
