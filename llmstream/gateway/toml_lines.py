"""Lines of a TOML document: where each of its keys stands, which `tomllib` doesn't say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""The keys that lead to a value; numbers count the items of an array."""
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Statement(NamedTuple):
    """Lines of a document that belong together: the first and the last one, and what stands after them."""

    first: int
    last: int
    document: dict[str, Any]


class TomlLines:
    """The lines of a document that `tomllib` can read."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def find(self, path: Path) -> int:
        """The line of a key, or of the nearest one around it. The first line is 1."""
        while path:
            for statement in self._statements():
                if _has(statement.document, path):
                    return self._line_within(statement, path)
            path = path[:-1]
        return 1

    def _statements(self) -> Iterator[Statement]:
        """Each statement with the document up to its end: as much as `tomllib` can read of it."""
        first = 1
        for last in range(1, len(self._lines) + 1):
            try:
                document = tomllib.loads("\n".join(self._lines[:last]))
            except tomllib.TOMLDecodeError:  # a value that goes on in the next line
                continue
            yield Statement(first, last, document)
            first = last + 1

    def _line_within(self, statement: Statement, path: Path) -> int:
        """Of a value over several lines, the line with the key or the item itself."""
        words = [word for word in path if isinstance(word, str)]
        value = _find(statement.document, path)
        sought = [rf"\b{re.escape(words[-1])}[\"']?\s*="]
        if isinstance(path[-1], int) and isinstance(value, str):
            sought.insert(0, rf"[\"']{re.escape(value)}[\"']")
        numbers = range(statement.first, statement.last + 1)
        for pattern in sought:
            for number in numbers:
                if re.search(pattern, self._lines[number - 1]):
                    return number
        return statement.last


def syntax_flaw(problem: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line and the words of what `tomllib` could not read."""
    words = str(problem)
    place = _PLACE.search(words)
    at_end = len(text.rstrip("\n").split("\n"))
    if place is None:
        return at_end, words
    return int(place[1] or at_end), words[: place.start()]


def _has(document: Any, path: Path) -> bool:
    try:
        _find(document, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _find(document: Any, path: Path) -> Any:
    for word in path:
        document = document[word]
    return document
