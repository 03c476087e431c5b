"""Fast path: recognise frames of text that differ only in their text.

Nearly every frame of a stream is, byte for byte, the one before it with another string in one place, and perhaps with
another number or padding. Such a frame needs no JSON parser and no look at its fields: comparing what stands still
costs a third. Frames that differ in more, and texts with escapes in them, go the ordinary way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

_QUOTE = ord('"')
PATIENCE = 16
"""Frames that are learned from in vain: then this stream's frames differ in more than their text."""


_is_word = re.compile(rb"[\w.:+-]+").fullmatch
"""Whether a value is letters, digits and what times have between them: nothing that JSON escapes."""


class _Value(NamedTuple):
    """A value that differs from frame to frame: the text, or one that means nothing."""

    start: int
    end: int
    fits: Callable[[bytes], object] | None
    """Whether other bytes may stand there; None: it is the text."""


class _Fixed(NamedTuple):
    """Bytes that all these frames share, and the value after them."""

    literal: bytes
    closing: bytes
    """The byte that ends the value, and begins the next literal."""
    fits: Callable[[bytes], object] | None
    """As in `_Value`."""


@cache  # one for each format
def _patterns(member: str, free: tuple[str, ...]) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What finds the text in a frame, and the values that mean nothing."""
    names = "|".join(free) or "(?!)"
    values = rf'"(?:{names})": ?(?:(\d+)(?=[,}}])|"([\w.:+-]+)")'
    return re.compile(rf'"{member}": ?"'.encode()), re.compile(values.encode())


class TextTemplate:
    """Learned from one frame of text, for those like it that follow until an event of another name.

    `member` is the JSON member that holds the text, `free` are those that mean nothing to us and may differ. A name,
    quoted and followed by a string or a number, can stand nowhere but where a member of that name is: quotes inside
    strings are escaped. If it stands with this very text in one place only, the text came from there.
    """

    __slots__ = (
        "_begin",
        "_end",
        "_free",
        "_head",
        "_is_alone",
        "_key",
        "_patience",
        "_pieces",
        "_used",
        "known",
    )

    def __init__(self, member: str, free: tuple[str, ...] = ()) -> None:
        self._key, self._free = _patterns(member, free)
        self._head = b""  # what stands before the data
        self._pieces: list[_Fixed] = []
        self._is_alone = False  # the text is the only value
        self._begin = self._end = b""
        self._patience = PATIENCE
        self._used = 0
        self.known = False
        """Whether there is a frame to be like."""

    @property
    def wanted(self) -> bool:
        """Whether frames are worth learning from."""
        return self._patience > 0

    def may_fit(self, data: bytes) -> bool:
        """Whether there may be a text in these frames."""
        return self._key.search(data) is not None

    def learn(self, head: bytes, data: bytes, text: str) -> None:
        """A frame that meant `text` and nothing else. `head` is what its block has before the data."""
        self._patience = PATIENCE if self._used > 1 else self._patience - 1
        self._used = 0
        self.known = False
        value = text.encode("utf-8", "surrogatepass") + b'"'
        places = [
            key.end() for key in self._key.finditer(data) if data.startswith(value, key.end())
        ]
        if len(places) != 1:
            return
        start = places[0]
        self._head = head
        self._cut(data, _Value(start, start + len(value) - 1, None))

    def _cut(self, data: bytes, text: _Value) -> None:
        """Keep the bytes between the values of a frame, with the value that follows each."""
        values = [text]
        for match in self._free.finditer(data):
            number, word = match.span(1), match.span(2)
            if match[1] is not None:
                values.append(_Value(*number, bytes.isdigit))
            else:
                values.append(_Value(*word, bytes.isalnum if match[2].isalnum() else _is_word))
        self._pieces = []
        at = 0
        literal = self._head
        for value in sorted(values, key=lambda value: value.start):
            literal += data[at : value.start]
            closing = data[value.end : value.end + 1]
            self._pieces.append(_Fixed(literal, closing, value.fits))
            at = value.end
            literal = b""
        self._begin = self._pieces[0].literal
        self._end = data[at:]
        self._is_alone = len(values) == 1
        self.known = True

    def text(self, block: bytes) -> str | None:
        """The text of a frame, whose head and data these are, if it is like the one that was learned from."""
        value = self._only(block) if self._is_alone else self._among(block)
        if not value:
            return None
        try:
            content = value.decode()
        except UnicodeDecodeError:
            return None
        # Control characters are not printable; nor are some others that JSON allows, which costs only time.
        if "\\" in content or not content.isprintable():
            return None
        self._used += 1
        return content

    def _only(self, block: bytes) -> bytes | None:
        """The text, where nothing else differs; None if the frame isn't like that."""
        if not block.startswith(self._begin):
            # An event of another name: after it the same frame may have another meaning.
            self.known = False
        if not self.known or not block.endswith(self._end):
            return None
        value = block[len(self._begin) : -len(self._end)]
        return None if _QUOTE in value else value

    def _among(self, block: bytes) -> bytes | None:
        """The text among other values that differ; None if the frame isn't like that."""
        at, text = 0, b""
        for literal, closing, fits in self._pieces if self.known else ():
            if not block.startswith(literal, at):
                self.known = self.known and at > 0  # as in `_only`
                return None
            at += len(literal)
            end = block.find(closing, at)
            value = block[at:end]
            if fits is None:
                text = value
            elif not fits(value):
                return None
            at = end
        return text if block[at:] == self._end else None
