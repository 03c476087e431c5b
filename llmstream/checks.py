"""Checks of arguments, in one line each: what must hold, and the error's words where it doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def require(holds: object, problem: str, kind: type[Exception] = ValueError) -> None:
    """Raise `kind` with these words unless something holds.

    The words are made in any case, so this is for arguments, not for each event.
    """
    if not holds:
        raise kind(problem)


def require_list(value: object, problem: str) -> Sequence[Any]:
    """The value, if it is a sequence of things, which a string isn't. Else raise TypeError with these words."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(problem)
    return value


def is_count(value: object) -> bool:
    """Whether it is a whole number from 1 on, which True isn't."""
    return isinstance(value, int) and value is not True and value >= 1


def is_limit(seconds: float | None) -> bool:
    """Whether it is a time above 0, or None, which sets no limit."""
    return seconds is None or seconds > 0
