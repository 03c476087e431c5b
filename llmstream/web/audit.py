"""AuditLog: one line for each request to an app, whatever became of it. Never content.

    time=2026-11-30T09:05:01.250Z request=9f0c… client=192.0.2.7 key=ann method=POST path=/v1/chat/completions
    api=openai-chat status=200 outcome=complete model=fast provider=openai input=12 output=80 first_ms=310 ms=1204

A refused request has `error`, its kind; one that a provider failed has `upstream`, likewise. What isn't known is left
out. `key` is the name of a key, never the key. Foreign text is escaped, so no path forges a line or a field.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial
from logging.handlers import WatchedFileHandler
from typing import Any, Final, TextIO

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.log import get_logger
from llmstream.messages import Usage
from llmstream.observe import as_word, dollars, milliseconds
from llmstream.web.served_request import RequestObserver, ServedRequest
from llmstream.wire.json_fields import present

__all__ = ["AuditLog"]

logger = get_logger("llmstream.audit")

_UNTOLD: Final = frozenset({"/healthz", "/readyz"})
"""Paths that machines ask every few seconds."""
_LONGEST: Final = 100
"""Characters of a value in JSON."""


class AuditLog(RequestObserver):
    """Writes the lines to a file (its path, or an open one), or to the logger `llmstream.audit`.

    `as_json`: each is a JSON object. The logger needs no configuration: until a program has handlers of its own, the
    lines go to stderr. A file of a path is appended to, readable by its owner alone, and opened again once it was
    renamed, as logrotate does; `close` closes it. Lines are written at once, so let it be on a disk of this machine.
    Health checks leave no line. What the server refuses without the app (a head that is late, too large or no HTTP, a
    connection too many) leaves one without method and path, if the server has our protocol class. Raises
    ConfigurationError for a file that can't be written.
    """

    def __init__(
        self, to: str | os.PathLike[str] | TextIO | None = None, *, as_json: bool = False
    ) -> None:
        self._render = _render_json if as_json else _render_words
        self._file: WatchedFileHandler | None = None
        if to is None:
            self._write = _write_to_logger
        elif isinstance(to, (str, os.PathLike)):
            self._file = _open(os.fspath(to))
            self._write = self._write_to_file
        else:
            problem = f"an audit goes to a path or an open text file, not {to!r}"
            require(callable(getattr(to, "write", None)), problem, TypeError)
            self._write = partial(_write_to_stream, to)

    def end(self, request: ServedRequest) -> None:
        """Write the line."""
        if request.path in _UNTOLD:
            return
        self._write(self._render(present(**_fields(request))))

    def close(self) -> None:
        """Close the file, if it was given by its path."""
        if self._file is not None:
            self._file.close()

    def _write_to_file(self, line: str) -> None:
        if self._file is not None:
            self._file.handle(logging.makeLogRecord({"msg": line}))


def _write_to_stream(file: TextIO, line: str) -> None:
    file.write(f"{line}\n")
    file.flush()


class _PrivateFile(WatchedFileHandler):
    """A file for its owner alone, also where it takes the place of one that was renamed.

    Whoever reads it sees who asks, and how much.
    """

    def _open(self) -> Any:
        private = partial(os.open, mode=0o600)
        return open(  # a Path has no opener
            self.baseFilename,
            self.mode,
            encoding=self.encoding,
            errors=self.errors,
            opener=private,
        )


def _open(path: str) -> WatchedFileHandler:
    try:
        return _PrivateFile(path, encoding="ascii", errors="backslashreplace")
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise ConfigurationError(f"{path} can't be written: {why}") from None


class _StderrHandler(logging.Handler):
    """Writes to stderr, as long as nobody else takes the records."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        others = [each for each in _handlers() if each is not self]
        if not others:
            _write_to_stream(sys.stderr, record.getMessage())


def _handlers() -> list[logging.Handler]:
    """Those that get the audit's records."""
    loggers = (logger, get_logger("llmstream"), logging.root)
    return [handler for each in loggers for handler in each.handlers]


def _write_to_logger(line: str) -> None:
    if not any(isinstance(each, _StderrHandler) for each in logger.handlers):
        logger.addHandler(_StderrHandler())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    logger.info("%s", line)


def _fields(request: ServedRequest) -> dict[str, Any]:
    usage = request.usage or Usage()
    began = datetime.fromtimestamp(request.began_at, UTC)
    return {
        "time": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request": request.id,
        "client": request.client,
        "key": request.key,
        "method": request.method,
        "path": request.path,
        "api": request.api,
        "status": request.status,
        "outcome": request.outcome,
        "upstream" if request.is_upstream else "error": request.error,
        "model": request.model,
        "provider": request.provider,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cost": dollars(usage.cost),
        "first_ms": milliseconds(request.began, request.first_piece),
        "ms": milliseconds(request.began, request.ended),
    }


def _render_words(fields: dict[str, Any]) -> str:
    return " ".join(f"{name}={as_word(value)}" for name, value in fields.items())


def _render_json(fields: dict[str, Any]) -> str:
    """As JSON in ASCII, in one line of printable characters, shorter than what a logger cuts."""
    shown = {name: _shown(value) for name, value in fields.items()}
    return json.dumps(shown, separators=(",", ":"))


def _shown(value: Any) -> Any:
    return ascii(value)[1:-1][:_LONGEST] if isinstance(value, str) else value
