"""The terminal: `llmstream "question"`, `llmstream chat`, `llmstream models`.

Plain in the core; the extra `[cli]` brings rich, which renders Markdown while it streams. The answer goes to stdout,
everything else to stderr, and the exit code says how it went (`llmstream --help` lists them).
"""

from __future__ import annotations

from llmstream.cli.command import main, run

__all__ = ["main", "run"]
