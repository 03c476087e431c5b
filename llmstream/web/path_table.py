"""PathTable: what belongs to a path, where some paths have a model's name in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
MODEL = "{model}"


class PathTable(Generic[T]):
    """Finds the row of a path: one that is the same, then one that matches. `{model}` stands for any name.

    `below` are rows for all paths that begin so, the first of which counts, where no other row does.
    """

    def __init__(self, rows: Mapping[str, T], below: Iterable[tuple[str, T]] = ()) -> None:
        self._exact = {path: row for path, row in rows.items() if MODEL not in path}
        named = [path for path in rows if MODEL in path]
        self._patterns = [(_pattern(path), rows[path]) for path in named]
        self._below = tuple(below)

    def find(self, path: str) -> T | None:
        """The row of a path; None if there is none."""
        if path in self._exact:
            return self._exact[path]
        for pattern, row in self._patterns:
            if pattern.fullmatch(path):
                return row
        return next((row for begin, row in self._below if path.startswith(begin)), None)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(re.escape(MODEL), ".+"), re.DOTALL)
