"""Places in a text: Google counts bytes of UTF-8, our Sources count characters."""

from __future__ import annotations


def characters_in(text: str, size: int) -> int:
    """How many characters the first bytes of a text are. Places beyond its end are those of text that comes."""
    if text.isascii():
        return size
    encoded = text.encode("utf-8", "replace")
    return len(encoded[:size].decode("utf-8", "ignore")) + max(0, size - len(encoded))


def bytes_of(text: str, count: int) -> int:
    """The bytes of so many characters: the inverse of `characters_in`."""
    return len(text[:count].encode("utf-8", "replace")) + max(0, count - len(text))
