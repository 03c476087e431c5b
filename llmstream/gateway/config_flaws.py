"""Flaws of a configuration file: each with its line and what to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llmstream.errors import ConfigurationError

_KEYS_OUTSIDE = 'keys don\'t stand in this file: name the variable that holds it, key_env = "NAME"'
_MEANT = {
    **dict.fromkeys(("api_key", "api_keys", "key", "keys", "token", "secret"), _KEYS_OUTSIDE),
    **dict.fromkeys(("url", "urls", "base_urls", "endpoint"), "write base_url"),
    "total": "write max_streams",
    "provider": 'write it before the model: model = "openai:gpt-5-mini"',
}
"""Advice for keys that people try."""
_TYPES = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    dict: "a table",
    list: "such a list",
}


class Flaw(NamedTuple):
    """Something wrong in a file. `line` is 0 where no line is at fault."""

    line: int
    text: str


class ConfigFileError(ConfigurationError):
    """A file that can't be used, with all that is wrong in it, by line."""

    def __init__(self, name: str, flaws: Iterable[Flaw]) -> None:
        self.flaws = sorted(flaws)
        told = (
            f"{name}, line {line}: {text}" if line else f"{name}: {text}"
            for line, text in self.flaws
        )
        super().__init__("\n".join(told))


def advice(key: str, known: Sequence[str]) -> str:
    """Advice for a key that doesn't exist."""
    meant = _MEANT.get(key.lower())
    if meant is not None and any(name in meant for name in known):
        return meant
    return near_miss(key, known) or f"there are {', '.join(known)}"


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The known name that is like this one, as a question."""
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean {near[0]}?" if near else None


def describe_type(value: object) -> str:
    """The kind of a value. The value itself may be a key, so it isn't shown."""
    if value in ("", []):
        return "an empty one"
    return _TYPES.get(type(value), "a date or time")
