"""Fields of vendors' JSON, read as the type they should have: extra keys and odd types must not end an answer."""

from __future__ import annotations

import json
import re
from typing import Any

from jiter import from_json


def parse_json(data: bytes) -> Any:
    """One JSON text. Raises ValueError."""
    try:
        return from_json(data)
    except ValueError:
        if b"\\ud" not in data.lower():
            raise
        return _without_lone_surrogates(data)


def _without_lone_surrogates(data: bytes) -> Any:
    r"""JSON with half a character escaped in it (`"\ud83d"`, a token cut in two): U+FFFD stands in."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return from_json(
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    )


def as_string(value: Any) -> str:
    """What becomes part of the answer must be text; TypeError makes its frame a bad one."""
    if not isinstance(value, str):
        raise TypeError
    return value


def as_text(value: Any) -> str | None:
    """A field that should be a string; None for anything else, and for nothing."""
    return value if isinstance(value, str) and value else None


def as_count(value: Any) -> int | None:
    """A field that should be a number of tokens; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s._-]+")


def snake_case(word: str) -> str:
    """A vendor's word in one spelling: "ContentFilter", "CONTENT-FILTER" and "content filter" are "content_filter"."""
    if word.islower() and word.isidentifier():
        return word
    return _BETWEEN.sub("_", _HUMP.sub("_", word).lower()).strip("_")


def present(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: neither None nor an empty object."""
    return {key: value for key, value in fields.items() if value is not None and value != {}}
