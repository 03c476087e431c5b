"""Lines of a TOML document: where each of its keys stands, which `tomllib` doesn't say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""The keys that lead to a value; numbers count the items of an array."""
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class _Statement(NamedTuple):
    """Lines of a document that belong together, and what they say when they stand alone."""

    first: int
    last: int
    document: dict[str, Any]


class _KeyPlace(NamedTuple):
    statement: _Statement
    value: Any


class TomlLines:
    """The lines of a document that `tomllib` can read."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._found: dict[Path, _KeyPlace] = {}
        self._is_read = False

    def find(self, path: Path) -> int:
        """The line of a key, or of the nearest one around it. The first line is 1."""
        if not self._is_read:
            self._read()
        while path and path not in self._found:
            path = path[:-1]
        return self._line_within(path, self._found[path]) if path else 1

    def _read(self) -> None:
        """Note where each key was first written."""
        self._is_read = True
        table: Path = ()
        for statement in self._statements():
            is_header = self._lines[statement.first - 1].lstrip().startswith("[")
            if is_header:
                table = self._header(statement.document)
                keys = [(table[:size], None) for size in range(1, len(table) + 1)]
            else:
                keys = [*_keys_in(statement.document, table)]
            for path, value in keys:
                self._found.setdefault(path, _KeyPlace(statement, value))

    def _statements(self) -> Iterator[_Statement]:
        first = 1
        for last in range(1, len(self._lines) + 1):
            try:
                document = tomllib.loads("\n".join(self._lines[first - 1 : last]))
            except tomllib.TOMLDecodeError:  # a value that goes on in the next line
                continue
            if document:
                yield _Statement(first, last, document)
            first = last + 1

    def _header(self, document: Any) -> Path:
        """The path of the table that a header begins, which stands alone in `document`."""
        path: Path = ()
        while document:
            if isinstance(document, list):
                number = 0
                while (*path, number) in self._found:
                    number += 1
                path, document = (*path, number), document[0]
            else:
                (key,) = document
                path, document = (*path, key), document[key]
        return path

    def _line_within(self, path: Path, found: _KeyPlace) -> int:
        """Of a value over several lines, the line with the key or the item itself."""
        words = [word for word in path if isinstance(word, str)]
        sought = [rf"\b{re.escape(words[-1])}[\"']?\s*="]
        if isinstance(path[-1], int) and isinstance(found.value, str):
            sought.insert(0, rf"[\"']{re.escape(found.value)}[\"']")
        first, last, _ = found.statement
        for pattern in sought:
            for number in range(first, last + 1):
                if re.search(pattern, self._lines[number - 1]):
                    return number
        return first


def syntax_flaw(problem: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line and the words of what `tomllib` could not read."""
    words = str(problem)
    place = _PLACE.search(words)
    at_end = len(text.rstrip("\n").split("\n"))
    if place is None:
        return at_end, words
    return int(place[1] or at_end), words[: place.start()]


def _keys_in(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every key and item within a value, with what it holds."""
    if isinstance(value, dict):
        pairs: list[tuple[str | int, Any]] = [*value.items()]
    elif isinstance(value, list):
        pairs = [*enumerate(value)]
    else:
        return
    for key, inner in pairs:
        yield (*path, key), inner
        yield from _keys_in(inner, (*path, key))
