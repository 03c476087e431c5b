"""JSON that is still being written: feed it text as it comes, and look at what is there so far.

Rules (RFC 8259; the same documents are taken and refused as by jiter, which both SDKs and pydantic use):

- Work is linear in the text, however it is cut: each character is looked at once. Reading `value` costs the length of
  the string that is open, and nothing for the rest, because objects and lists grow in place.
- `value` never shows what may still change: a string grows, a number appears when the character after it came, `true`,
  `false` and `null` when they are whole, a key with its value. So it is always a prefix of the final value. (A key that
  a document has twice is the exception: the last one wins.)
- Not taken: NaN, Infinity, control characters in strings, lone surrogates, more than MAX_DEPTH levels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

MAX_DEPTH = 200
"""Objects and lists inside one another; as deep as jiter goes."""
MAX_DIGITS = 4300
"""Of a whole number: reading one takes quadratic time, so Python stops here, too."""

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the root."""


class Completed(NamedTuple):
    """A value that is whole now. Objects and lists come after what is in them; the root's path is `()`."""

    path: Path
    value: Any


class _Open:
    """An object or a list that is not closed yet."""

    __slots__ = ("container", "key", "path")

    def __init__(self, container: dict[str, Any] | list[Any], path: Path) -> None:
        self.container = container
        self.path = path
        self.key: str | int = 0 if isinstance(container, list) else ""


_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMERAL = re.compile(r"[-+.0-9eE]+")
_WORDS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
_NOTHING: Any = object()


class PartialJSON:
    """One document. `feed()` text, read `value`, `completed` and `path`; `finish()` when no more will come.

    Raises ValueError, with the position, for what can't be JSON; what was read before it stays readable.
    """

    def __init__(self) -> None:
        self.completed: list[Completed] = []
        """What became whole during the last `feed()` or `finish()`, in the order of the text."""
        self.complete = False
        """The root is whole: only white space may follow."""
        self.failed_at = 0
        """Where in the last text the character was that raised."""
        self._root: Any = _NOTHING
        self._stack: list[_Open] = []
        self._base = 0  # characters before the current text
        self._read: Callable[[str, int], int] = self._value
        self._chunks: list[str] = []  # of the string, number or word that is open
        self._escape = ""  # the part of an escape that has come
        self._is_key = False
        self._growing = False  # a string that is a value is open

    @property
    def started(self) -> bool:
        """Whether there is a value to show."""
        return self._root is not _NOTHING or self._growing

    @property
    def value(self) -> Any:
        """What has come; None before anything has. Objects and lists are the same ones each time, and grow."""
        if self._growing:
            text = self.text or ""
            if not self._stack:
                return text
            self._place(self._stack[-1], text)
        return None if self._root is _NOTHING else self._root

    @property
    def text(self) -> str | None:
        """What has come of the string that is open as a value; None when none is."""
        if not self._growing:
            return None
        if len(self._chunks) > 1:
            self._chunks[:] = ["".join(self._chunks)]
        return self._chunks[0] if self._chunks else ""

    @property
    def path(self) -> Path:
        """The path of the string that is open, else of the innermost open object or list."""
        if not self._stack:
            return ()
        top = self._stack[-1]
        return (*top.path, top.key) if self._growing else top.path

    @property
    def in_list(self) -> bool:
        """Whether the innermost of what is open is a list."""
        return bool(self._stack) and isinstance(self._stack[-1].container, list)

    def feed(self, text: str) -> None:
        """Take the next characters."""
        self.completed = []
        at = 0
        while at < len(text):
            at = self._read(text, at)
        self._base += len(text)

    def finish(self) -> None:
        """No more text will come. Raises ValueError if the document is not whole."""
        self.completed = []
        if self._read == self._number:
            self._number(" ", 0)
        if not self.complete:
            raise ValueError(f"the JSON ends too early, at character {self._base}")

    # --- between tokens: each takes the text and a position, and gives the position after what it took ---------

    def _value(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if char == '"':
            return self._open_string(at, is_key=False)
        if char == "{":
            self._open({}, self._first_key, at)
        elif char == "[":
            self._open([], self._first_value, at)
        elif char in _WORDS:
            self._read = self._word
            return at
        elif char in "-0123456789" and char:
            self._read = self._number
            return at
        elif char:
            raise self._error("a value", text, at)
        return at + 1

    def _first_value(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if char == "]":
            return self._close(at)
        if char:
            self._read = self._value
        return at

    def _first_key(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if char == "}":
            return self._close(at)
        return self._key(text, at) if char else at

    def _key(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if char and char != '"':
            raise self._error("a key in quotes", text, at)
        return self._open_string(at, is_key=True) if char else at

    def _colon(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if not char:
            return at
        if char != ":":
            raise self._error("a colon", text, at)
        self._read = self._value
        return at + 1

    def _after_value(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        top = self._stack[-1]
        is_list = isinstance(top.container, list)
        if char == ("]" if is_list else "}"):
            return self._close(at)
        if char == ",":
            self._read = self._value if is_list else self._key
            return at + 1
        if char:
            raise self._error(
                "a comma or the end of the " + ("list" if is_list else "object"), text, at
            )
        return at

    def _end(self, text: str, at: int) -> int:
        at, char = self._next(text, at)
        if char:
            raise self._error("nothing more", text, at)
        return at

    def _next(self, text: str, at: int) -> tuple[int, str]:
        """The position of the next character that is no white space, and that character; empty if none has come."""
        match = _SPACE.match(text, at)
        at = match.end() if match else at
        return at, text[at : at + 1]

    # --- inside tokens ---------------------------------------------------------------------------------------

    def _open_string(self, at: int, *, is_key: bool) -> int:
        self._chunks.clear()
        self._is_key, self._growing = is_key, not is_key
        self._read = self._string
        return at + 1

    def _string(self, text: str, at: int) -> int:
        if (plain := _PLAIN.match(text, at)) is not None:
            self._chunks.append(plain[0])
            at = plain.end()
        char = text[at : at + 1]
        if char == '"':
            return self._close_string(at)
        if char == "\\":
            self._escape, self._read = "\\", self._escaped
        elif char:
            raise self._error("no control character in a string", text, at)
        return at + 1

    def _close_string(self, at: int) -> int:
        string = "".join(self._chunks)
        self._chunks.clear()
        if self._is_key:
            self._stack[-1].key = string
            self._read = self._colon
        else:
            self._growing = False
            self._scalar(string)
        return at + 1

    def _escaped(self, text: str, at: int) -> int:
        """One more character of an escape: two in all, six for a code point, twelve for a pair of surrogates."""
        char = text[at]
        self._escape += char
        place = (len(self._escape) - 1) % 6
        if len(self._escape) == 2 and char in _ESCAPES:
            self._chunks.append(_ESCAPES[char])
            self._read = self._string
        elif place > 1 and char not in _HEX:
            raise self._error("four hexadecimal digits", text, at)
        elif place < 2 and char != "\\u"[place]:
            raise self._error(
                "an escape" if len(self._escape) == 2 else "the second half of a pair", text, at
            )
        elif place == 5:
            self._close_escape(text, at)
        return at + 1

    def _close_escape(self, text: str, at: int) -> None:
        code = int(self._escape[-4:], 16)
        if len(self._escape) == 12:
            if not 0xDC00 <= code < 0xE000:
                raise self._error("the second half of a pair", text, at)
            code = 0x10000 + ((int(self._escape[2:6], 16) - 0xD800) << 10) + (code - 0xDC00)
        elif 0xDC00 <= code < 0xE000:
            raise self._error("the first half of a pair before the second", text, at)
        elif 0xD800 <= code < 0xDC00:
            return
        self._chunks.append(chr(code))
        self._read = self._string

    def _word(self, text: str, at: int) -> int:
        word, value = _WORDS[self._chunks[0] if self._chunks else text[at]]
        if text[at] != word[len(self._chunks)]:
            raise self._error(word, text, at)
        self._chunks.append(text[at])
        if len(self._chunks) == len(word):
            self._chunks.clear()
            self._scalar(value)
        return at + 1

    def _number(self, text: str, at: int) -> int:
        if (more := _NUMERAL.match(text, at)) is not None:
            self._chunks.append(more[0])
            at = more.end()
        if at < len(text):
            numeral = "".join(self._chunks)
            self._chunks.clear()
            match = _NUMBER.fullmatch(numeral)
            whole = match is not None and not (match[2] or match[3])
            if match is None or (whole and len(numeral) > MAX_DIGITS):
                raise self._error(f"a number of at most {MAX_DIGITS} digits", text, at)
            self._scalar(int(numeral) if whole else float(numeral))
        return at

    # --- the value -------------------------------------------------------------------------------------------

    def _open(
        self, container: dict[str, Any] | list[Any], then: Callable[[str, int], int], at: int
    ) -> None:
        if len(self._stack) == MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels at character {self._base + at}")
        path: Path = ()
        if self._stack:
            top = self._stack[-1]
            path = (*top.path, top.key)
            self._place(top, container)
        else:
            self._root = container
        self._stack.append(_Open(container, path))
        self._read = then

    def _close(self, at: int) -> int:
        closed = self._stack.pop()
        self._whole(closed.path, closed.container)
        return at + 1

    def _scalar(self, value: Any) -> None:
        if not self._stack:
            self._root = value
            self._whole((), value)
            return
        top = self._stack[-1]
        self._place(top, value)
        self._whole((*top.path, top.key), value)

    def _place(self, top: _Open, value: Any) -> None:
        container, key = top.container, top.key
        if isinstance(container, dict) or key != len(container):
            container[key] = value  # type: ignore[index]  # a list's key is its index
        else:
            container.append(value)

    def _whole(self, path: Path, value: Any) -> None:
        self.completed.append(Completed(path, value))
        if not self._stack:
            self.complete, self._read = True, self._end
            return
        top = self._stack[-1]
        if isinstance(top.key, int):
            top.key += 1
        self._read = self._after_value

    def _error(self, wanted: str, text: str, at: int) -> ValueError:
        self.failed_at = at
        return ValueError(
            f"expected {wanted}, not {text[at : at + 1]!r}, at character {self._base + at}"
        )
