"""Checks of values from outside, in one line each.

An argument that is wrong raises, with the error's words. A field of somebody's JSON is read as the
type that it should have, and as nothing where it has another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from sys import float_info
from typing import Any, TypeVar

T = TypeVar("T")


def require(holds: object, problem: str, kind: Callable[[str], Exception] = ValueError) -> None:
    """Raise `kind` with these words unless something holds.

    The words are made in any case, so this is for arguments, not for each event.
    """
    if not holds:
        raise kind(problem)


def require_value(
    value: T | None, problem: str, kind: Callable[[str], Exception] = ValueError
) -> T:
    """Return `value` if it isn't None. Else raise `kind` with these words."""
    if value is None:
        raise kind(problem)
    return value


def raise_flaw(flaw: str | None, kind: Callable[[str], Exception]) -> None:
    """Raise `kind` with these words, if there are any."""
    if flaw is not None:
        raise kind(flaw)


def require_type(value: object, wanted: type[T], problem: str) -> T:
    """Return `value` if it is of this type. Else raise TypeError with these words, and the type that it is of."""
    if not isinstance(value, wanted):
        raise TypeError(f"{problem}, not {type(value).__name__}")
    return value


def require_methods(given: object, names: Iterable[str], problem: str) -> None:
    """Raise TypeError with these words, and the reason, unless it is an object that has all these methods."""
    missing = [name for name in names if not callable(getattr(given, name, None))]
    lacks = f"it lacks {', '.join(missing)}" if missing else "it is a class"
    if missing or isinstance(given, type):
        raise TypeError(f"{problem}, not {given!r} ({lacks})")


def require_list(value: object, problem: str) -> Sequence[Any]:
    """The value, if it is a sequence of things, which a string isn't. Else raise TypeError with these words."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(problem)
    return value


def require_mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return `value` if it is a mapping. Else raise TypeError that names its place."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict, not {type(value).__name__}")
    return value


def is_count(value: object) -> bool:
    """Whether it is a whole number from 1 on, which True isn't."""
    return isinstance(value, int) and value is not True and value >= 1


def check_number(value: Any, name: str, wanted: str, *, least: float) -> None:
    """Raise TypeError for what isn't a real number, True included; ValueError below `least`, or if it isn't finite."""
    problem = f"{name} must be {wanted}, not {value!r}"
    kind = type(value)
    require(issubclass(kind, Real) and not issubclass(kind, bool), problem, TypeError)
    require(least <= value <= float_info.max, problem)


def is_limit(seconds: float | None) -> bool:
    """Whether it is a time above 0, or None, which sets no limit."""
    return seconds is None or seconds > 0


def check_type(value: Any, kinds: type[Any] | tuple[type[Any], ...], problem: str) -> Any:
    """Return `value` if it is None or one of these types. Else raise TypeError with these words.

    A flag is not a number. Raises ValueError for NaN and infinity.
    """
    if value is None:
        return None
    is_flag_for_another = isinstance(value, bool) and kinds is not bool
    if is_flag_for_another or not isinstance(value, kinds):
        raise TypeError(f"{problem}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{problem}, not {value!r}")
    return value


def check_unicode(text: str, where: str) -> str:
    """Return `text` if UTF-8 has bytes for it. Raises ValueError for half a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        told = f"{where}: not valid Unicode (a lone surrogate at {error.start})"
        raise ValueError(told) from None
    return text


def sequence_of(value: Any, what: str) -> Sequence[Any]:
    """Return `value` if it is a list or tuple. Else raise TypeError that names `what`."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{what} must be a list, not {type(value).__name__}")
    return value


def items_at(value: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The items of a list, each with its place. Raises TypeError for what isn't a list."""
    return ((item, f"{where}[{index}]") for index, item in enumerate(sequence_of(value, where)))


def ensure_json(value: Any, what: str) -> None:
    """Raise TypeError unless `value` can be written as JSON."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{what} can't be written as JSON: {error}") from None


def as_text(value: Any) -> str | None:
    """A field that should be a string; None for anything else, and for nothing."""
    return value if isinstance(value, str) and value else None


def as_object(value: Any) -> Mapping[str, Any]:
    """A field that should be an object; an empty one for anything else."""
    if type(value) is dict:  # nearly always; to ask an ABC takes ten times as long
        return value
    return value if isinstance(value, Mapping) else {}
