"""Keeps out of the servers' own logs what we did on purpose, and of which `llmstream.web` has logged a line."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from llmstream.web.encode import AbortedError

REFUSED: ContextVar[bool] = ContextVar("llmstream.refused", default=False)
"""Whether this task answered a WebSocket with an HTTP refusal, which uvicorn's log takes for no answer at all."""


def is_unexpected(record: logging.LogRecord) -> bool:
    """A filter, which drops what was meant to happen.

    That is the exception that cuts an answer, and the error that uvicorn's WebSockets (0.54) log for every refusal
    that is an HTTP answer.
    """
    if record.exc_info is None:
        return not (REFUSED.get() and "without completing handshake" in record.getMessage())
    return not isinstance(record.exc_info[1], AbortedError)


def filter_server_logs() -> None:
    """Have the servers' loggers drop it. Doing it again changes nothing."""
    for name in ("uvicorn.error", "hypercorn.error", "gunicorn.error"):
        logging.getLogger(name).addFilter(is_unexpected)
