"""`llmstream keys`: makes keys for clients of `llmstream serve`, and the lines by which it knows them."""

from __future__ import annotations

import sys
from getpass import getpass

from llmstream.checks import require
from llmstream.cli.arguments import Options
from llmstream.cli.turn import UsageError
from llmstream.errors import ConfigurationError

_USAGE = """keys takes two more words:
  llmstream keys new NAME    makes a key: the key to stderr, its line NAME:SHA256 to stdout
  llmstream keys hash NAME   reads a key of yours from stdin, and writes its line"""


def keys(options: Options) -> int:
    """Make a key, or hash one. Raises UsageError."""
    try:
        from llmstream.web.keys import hash_line, new_key
    except ImportError as problem:
        raise UsageError(
            f'keys needs the extra "server": pip install "llmstream-core[server]" ({problem})'
        ) from problem
    _, *words = options.words
    require(len(words) == 2 and words[0] in ("new", "hash"), _USAGE, UsageError)
    action, name = words
    is_new = action == "new"
    key = new_key() if is_new else _read_key()
    try:
        line = hash_line(name, key)
    except ConfigurationError as problem:
        raise UsageError(str(problem)) from None
    if is_new:
        sys.stderr.write(f"The key of {name}, which is shown this once: {key}\n")
        sys.stderr.flush()
    sys.stdout.write(f"{line}\n")
    return 0


def _read_key() -> str:
    """A key from stdin, which a terminal doesn't show."""
    return (getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
