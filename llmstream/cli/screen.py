"""The terminal as a device: what it can do, a region that is drawn again and again, and text made harmless for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

if sys.platform != "win32":
    import termios

RESET = "\x1b[0m"
DIM = "\x1b[2m"
RED = "\x1b[31m"
_SHOW_CURSOR, _HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
_WRAP, _NO_WRAP = "\x1b[?7h", "\x1b[?7l"
_TOGETHER, _SHOWN = "\x1b[?2026h", "\x1b[?2026l"
# The rows below first, then this one: "erase all below" at the top left corner would make tmux keep what it erases.
_ERASE = "\r\x1b7\x1b[B\x1b[J\x1b8\x1b[K"

# Control characters as their pictures (ESC is ␛), C1 controls as the replacement character. "\r" is Harmless's.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


class Harmless:
    """Makes streamed text unable to act on a terminal: no escape sequence survives, every line end is a newline."""

    def __init__(self) -> None:
        self._after_return = False

    def feed(self, text: str) -> str:
        """The next piece. A CRLF may be split between two."""
        if self._after_return:
            text = text.removeprefix("\n")
        self._after_return = text.endswith("\r")
        return text.replace("\r\n", "\n").replace("\r", "\n").translate(_PICTURES)


def one_line(text: str) -> str:
    """Foreign text as one harmless line of a notice."""
    return " ".join(Harmless().feed(text).split())


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at it."""
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False


def can_draw(stream: TextIO) -> bool:
    """Whether lines can be drawn again there."""
    return is_terminal(stream) and (os.environ.get("TERM") or "dumb") != "dumb"


def styled(text: str, style: str, stream: TextIO) -> str:
    """`text` in a style, where the stream can show it and NO_COLOR (https://no-color.org) does not forbid it."""
    if not can_draw(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"{style}{text}{RESET}"


def size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows, as they are now."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return columns or 80, rows or 24


class Keys:
    """Whether a terminal echoes what is typed. Where it can't be asked or is not ours, it is left alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before: list[Any] | None = None

    def hide(self) -> None:
        """Echo nothing from now on."""
        if (now := self._ask()) is not None:
            self._before = now if self._before is None else self._before
            self._set([*now[:3], now[3] & ~termios.ECHO, *now[4:]])

    def restore(self) -> None:
        """As it was before."""
        if self._before is not None and self._ask() is not None:
            self._set(self._before)

    def _ask(self) -> list[Any] | None:
        if sys.platform == "win32" or not can_draw(self._stream):
            return None
        try:
            number = self._stream.fileno()
            # In the background: touching the terminal would stop us.
            if os.tcgetpgrp(number) != os.getpgrp():
                return None
            return termios.tcgetattr(number)
        # It isn't the controlling terminal, or it is gone.
        except (OSError, ValueError, termios.error):
            return None

    def _set(self, attributes: list[Any]) -> None:
        if sys.platform != "win32":
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._stream.fileno(), termios.TCSANOW, attributes)


@contextmanager
def keys_unseen(stream: TextIO) -> Iterator[Keys]:
    """Keep keys that are typed meanwhile for the next prompt, without an echo in the drawing. Ctrl-C is heard."""
    keys = Keys(stream)
    keys.hide()
    try:
        yield keys
    finally:
        keys.restore()


class Region:
    """Rows at the end of the terminal's text that can be replaced.

    The cursor waits at the region's first row, never at its last. A terminal that is resized keeps the cursor with the
    text it stands on, whether or not it wraps lines anew, so the next drawing begins where this one did. Rows are cut
    at the right margin by the terminal itself: a character wider than we believe can't shift the rows below it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = False

    def draw(self, rows: list[str], *, above: str = "") -> None:
        """Replace the region by `rows`, after printing `above` for good (whole lines). Takes as many as fit."""
        _, height = size(self._stream)
        rows = rows[-max(1, height - 1) :]
        if not rows:
            self.clear(above=above)
            return
        back = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        region = _HIDE_CURSOR + _NO_WRAP + "\r\n".join(rows) + RESET + _WRAP + "\r" + back
        erase = _ERASE if self._drawn else ""
        # Set before the write, which a signal may end.
        self._drawn = True
        self._write(_TOGETHER + erase + above + region + _SHOWN)

    def clear(self, *, above: str = "") -> None:
        """Take the region away, and print `above` in its place."""
        if self._drawn or above:
            self._write((_ERASE + _SHOW_CURSOR if self._drawn else "") + above)
        self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
