"""The library's loggers, `llmstream.*`: one for each part, and nothing foreign in a record can forge another.

1. Nobody has to configure them. Until a program adds a handler, Python itself writes warnings and errors to stderr.
   From then on its handlers and levels alone decide. `llmstream.client` is the exception: it is silent until then,
   because what it reports is an event or a Python warning as well.
2. A message is one line of printable characters, whoever formats it: its arguments are escaped as `repr` does it, and
   cut after 1,000 characters. They may come from a provider, a model, a client or an exception.
3. The lines of a traceback are escaped as well, and indented, so that no text in one looks like a record of its own.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import PurePath
from types import TracebackType

from llmstream.errors import ConfigurationError

_LONGEST = 1000
"""Characters of an argument, or of a line in a traceback."""
_FIRST_LINES, _LAST_LINES = 100, 300
"""Lines of a traceback that are kept of a longer one."""
_NUMBERS = (int, float, bool, type(None))

# Without a handler Python prints the records itself.
logging.getLogger("llmstream.client").addHandler(logging.NullHandler())


def get_logger(name: str) -> logging.Logger:
    """The logger of a part of the library, such as "llmstream.web". Its messages are constant formats."""
    logger = logging.getLogger(name)
    logger.addFilter(_escape_record)
    return logger


def escape(text: str) -> str:
    """The text in printable characters; the others as `repr` shows them: line ends, terminal codes, half surrogates."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def describe(problem: BaseException) -> str:
    """An exception's type and place. Its words may hold what a person wrote; those of a ConfigurationError are ours."""
    told = type(problem).__name__
    if isinstance(problem, ConfigurationError):
        told += f": {problem}"
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{told} at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else told


def _escape_record(record: logging.LogRecord) -> bool:
    """A filter, since it sees a record before any handler does."""
    given = record.args if isinstance(record.args, tuple) else (record.args,)
    record.args = tuple(map(_escape_argument, given))
    if record.exc_info:
        # Formatters use this text in place of their own.
        record.exc_text = _format_traceback(record.exc_info)
    return True


def _escape_argument(value: object) -> object:
    if type(value) in _NUMBERS:
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  # a log line must not cost anybody the answer
        text = f"<{type(value).__name__}>"
    return escape(_cut(text))


def _format_traceback(
    raised: tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None],
) -> str | None:
    kind, problem, frames = raised
    if kind is None:
        return None
    try:
        lines = "".join(traceback.format_exception(kind, problem, frames)).rstrip("\n").split("\n")
    except Exception:  # noqa: BLE001  # as above
        lines = [kind.__name__]
    if len(lines) > _FIRST_LINES + _LAST_LINES:
        lines[_FIRST_LINES:-_LAST_LINES] = ["…"]
    return "\n".join(f"  {escape(_cut(line))}" for line in lines)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
