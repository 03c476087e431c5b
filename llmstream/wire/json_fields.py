"""Fields of vendors' JSON, read as the type they should have: extra keys and odd types must not end an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jiter import from_json

from llmstream.checks import as_text

STAND_IN = "\ufffd"
"""U+FFFD: what half a character becomes whose other half never comes."""


class HalfText(str):
    r"""Text with half a character escaped in it (`"\ud83d"`, a token cut in two). U+FFFD stands in.

    `halves` is the text as it came. A decoder joins it with the next delta, which may begin with the other half.
    """

    __slots__ = ("halves",)
    halves: str


def parse_json(data: bytes) -> Any:
    """One JSON text. A string with half a character in it is a HalfText. Raises ValueError."""
    try:
        return from_json(data)
    except ValueError:
        if b"\\ud" not in data.lower():
            raise
        return _parse_halves(data)


def mend(halves: str) -> str:
    """Text whose halves of characters are joined where they meet, and replaced where they don't."""
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def ends_in_half(text: str) -> bool:
    """Whether the last character is the first half of one."""
    return "\ud800" <= text[-1:] <= "\udbff"


def _parse_halves(data: bytes) -> Any:
    try:
        return _mark_halves(json.loads(data))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _mark_halves(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _half_text(value)
    if isinstance(value, list):
        return [_mark_halves(item) for item in value]
    if isinstance(value, dict):
        return {mend(key): _mark_halves(item) for key, item in value.items()}
    return value


def _half_text(text: str) -> str:
    mended = mend(text)
    if mended == text:
        return text
    half = HalfText(mended)
    half.halves = text
    return half


def join_texts(texts: Iterable[str]) -> str:
    """Texts as one, in which the halves of characters meet. A HalfText, if some half doesn't meet its other."""
    return _half_text("".join(halves_of(text) for text in texts))


def halves_of(text: str) -> str:
    """The text as it came, with halves of characters in it."""
    return text.halves if isinstance(text, HalfText) else text


def as_string(value: Any) -> str:
    """What becomes part of the answer must be text; TypeError makes its frame a bad one."""
    if not isinstance(value, str):
        raise TypeError
    return value


def as_count(value: Any) -> int | None:
    """A field that should be a number of tokens; None for anything else, and for numbers below zero."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def holds_words(value: Any) -> bool:
    """Whether there is text in it that a person could read. Numbers, flags and empty values hold none."""
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict):
        return any(map(holds_words, value.values()))
    if isinstance(value, list):
        return any(map(holds_words, value))
    return False


_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s._-]+")


def snake_case(word: str) -> str:
    """A vendor's word in one spelling: "ContentFilter", "CONTENT-FILTER" and "content filter" are "content_filter"."""
    if word.islower() and word.isidentifier():
        return word
    return _BETWEEN.sub("_", _HUMP.sub("_", word).lower()).strip("_")


def as_list(value: Any) -> list[Any]:
    """A field that should be a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def listed(value: Any) -> list[Any]:
    """The items of a list, or the one that came without; none for None."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def first_text(fields: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of these fields that is a text with something in it."""
    return next(filter(None, (as_text(fields.get(name)) for name in names)), None)


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none for anything else."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def compact(value: Any) -> str:
    """JSON text without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def present(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: neither None nor an empty object."""
    return {key: value for key, value in fields.items() if value is not None and value != {}}
