"""TextRecord: what has streamed of a text, so that nothing is told twice when the text comes again as a whole."""

from __future__ import annotations

from zlib import crc32

LONG = 512
"""Chunks after which a record should be folded."""


class TextRecord:
    """The deltas of one text. It keeps a sum of them in place of a long text."""

    __slots__ = ("_size", "_sum", "chunks")

    def __init__(self) -> None:
        self.chunks: list[str] = []
        """The last deltas. Append to it; call `fold` from time to time."""
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
        end = self.end_in(whole, 0)
        return None if end is None else whole[end:]

    def end_in(self, whole: str, start: int) -> int | None:
        """Where this text ends in a whole one, if it stands at `start`; None if another text stands there."""
        self.fold()
        end = start + self._size
        if end > len(whole) or _sum_of(whole[start:end], 0) != self._sum:
            return None
        return end


def _sum_of(text: str, before: int) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"), before)
