"""Keeps out of the servers' own logs what we did on purpose, and what clients said, as they said it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from importlib.util import find_spec

from llmstream.web.native_encoders import AbortedError

_SPEC = find_spec("websockets")
_WEBSOCKETS = tuple(_SPEC.submodule_search_locations or ()) if _SPEC else ()
REFUSED: ContextVar[bool] = ContextVar("llmstream.refused", default=False)
"""Whether this task answered a WebSocket with an HTTP refusal, which uvicorn's log takes for no answer at all."""


def is_unexpected(record: logging.LogRecord) -> bool:
    """A filter, which drops what was meant to happen, and what isn't for a log.

    That is the exception that cuts an answer, the error that uvicorn's WebSockets (0.54) log for every refusal that is
    an HTTP answer, and what the package websockets (15) writes at DEBUG: heads with their keys, frames, and the reason
    for which a client goes, with its line breaks.
    """
    if record.levelno == logging.DEBUG and _is_of_websockets(record):
        return False
    if record.exc_info is None:
        return not (REFUSED.get() and "without completing handshake" in record.getMessage())
    return not isinstance(record.exc_info[1], AbortedError)


def _is_of_websockets(record: logging.LogRecord) -> bool:
    # Its records come through uvicorn's own logger.
    return record.pathname.startswith(_WEBSOCKETS)


def filter_server_logs() -> None:
    """Have the servers' loggers drop it. Doing it again changes nothing."""
    for name in ("uvicorn.error", "hypercorn.error", "gunicorn.error"):
        logging.getLogger(name).addFilter(is_unexpected)
