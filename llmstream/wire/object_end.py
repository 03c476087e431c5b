"""The end of a JSON object, found while its text comes: every character is looked at once."""

from __future__ import annotations

import re

_MARKS = re.compile(r'["{}\[\]\\]')
_IN_STRING = re.compile(r'["\\]')


class ObjectEnd:
    """Feed it a text that begins with a brace."""

    __slots__ = ("_depth", "_escaped", "_in_string", "ended")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.ended = False
        """The first bracket has been closed. Whether the text is JSON is for a parser to say."""

    def feed(self, text: str) -> None:
        """Take the next characters."""
        at = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        while not self.ended:
            mark = (_IN_STRING if self._in_string else _MARKS).search(text, at)
            if mark is None:
                return
            at = mark.end()
            if mark[0] == "\\":
                self._escaped = at == len(text)
                at += 1
            elif mark[0] == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark[0] in "{[" else -1
                self.ended = self._depth == 0
