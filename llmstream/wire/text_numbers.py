"""TextNumbers: which text of an answer a delta belongs to, where several go on at once."""

from __future__ import annotations

from collections.abc import Hashable


class TextNumbers:
    """0 for each text, as long as one ends before the next begins. From the first that doesn't, each has its own."""

    __slots__ = ("_last", "_numbers", "_open")

    def __init__(self) -> None:
        self._last = 0
        self._open: set[Hashable] = set()
        self._numbers: dict[Hashable, int] = {}

    def begin(self, key: Hashable) -> int:
        """The number of a text, which begins or goes on."""
        if key in self._open:
            return self._numbers[key]
        if self._open or self._last:
            self._last += 1
        self._open.add(key)
        self._numbers[key] = self._last
        return self._last

    def end(self, key: Hashable) -> None:
        """A text is over."""
        self._open.discard(key)
        self._numbers.pop(key, None)
