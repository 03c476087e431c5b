"""TextRecord: what has streamed of a text, so that nothing is told twice when the text comes again as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

LONG = 512
"""Chunks after which a record should be folded."""


class TextRecord:
    """The deltas of one text. It keeps a sum of them in place of a long text."""

    __slots__ = ("_size", "_sum", "chunks", "part")

    def __init__(self) -> None:
        self.chunks: list[str] = []
        """The last deltas. Append to it; call `fold` from time to time."""
        self.part = 0
        """Its number among the texts of the answer."""
        self._size = 0
        self._sum = 0

    def __bool__(self) -> bool:
        return bool(self._size or self.chunks)

    @property
    def size(self) -> int:
        """Characters that have streamed."""
        self.fold()
        return self._size

    def fold(self) -> None:
        """Forget the deltas, and keep their sum."""
        text = "".join(self.chunks)
        self.chunks.clear()
        self._size += len(text)
        self._sum = _sum_of(text, self._sum)

    def rest(self, whole: str) -> str | None:
        """The part of the whole text that hasn't streamed; None if another text has streamed."""
        size = self.size
        return whole[size:] if self.says(whole[:size]) else None

    def says(self, text: str) -> bool:
        """Whether this text has streamed."""
        return self.size == len(text) and _sum_of(text, 0) == self._sum


def told_by(records: Iterable[TextRecord], whole: str) -> int | None:
    """How many characters of a text these have told, one after the other; None if they told other words."""
    end = 0
    for record in records:
        start, end = end, end + record.size
        if not record.says(whole[start:end]):
            return None
    return end


def _sum_of(text: str, before: int) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"), before)
