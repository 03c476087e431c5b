"""Formats by lane: those that most providers speak are in the core, of the others only what is their own.

Tests that ask the same of every format ask it of the others in the lane `slow`.
"""

from __future__ import annotations

from typing import Any

import pytest

from llmstream.wire.formats import FORMATS

COMMON = ("openai-chat", "openai-responses", "anthropic-messages")


def marks_of(format: str) -> tuple[Any, ...]:
    """The marks of a case of this format."""
    return () if format in COMMON else (pytest.mark.slow,)


def every_format() -> list[Any]:
    """All formats, as parameters."""
    return [pytest.param(name, id=name, marks=marks_of(name)) for name in FORMATS]


def every_provider() -> list[Any]:
    """The provider of each format, as parameters."""
    rows = FORMATS.values()
    return [pytest.param(row.provider, id=row.provider, marks=marks_of(row.name)) for row in rows]
