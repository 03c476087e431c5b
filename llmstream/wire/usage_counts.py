"""Usage that comes in pieces: per field the last number counts."""

from __future__ import annotations

from llmstream.messages import Usage

_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def overlay(before: Usage | None, usage: Usage | None) -> Usage | None:
    """The counts of both, the later one's where it has them. None if neither counted anything."""
    counts = {}
    for name in _FIELDS:
        for one in (before, usage):
            value = getattr(one, name, None)
            if value is not None:
                counts[name] = value
    return Usage(**counts) if counts else None
