"""A JSON array that streams: each object in it is a frame. Google answers so where nobody asked for events.

- Objects are cut at their last brace, whatever the blanks and line ends between them.
- A body that doesn't begin with `[` isn't one: its framing falls back to server-sent events (`EventsOrArray`).
- `finish()` returns the beginning of an object as a frame marked `terminated=False`. Whatever else stands in the array,
  or behind it, is returned as `stray`.

Linear in the input: each byte is looked at once. Bounded by `max_frame` bytes an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmstream.wire.framing.framer import MAX_FRAME, Frame, Framer
from llmstream.wire.framing.sse import SSE, SSEFramer

_BOM = b"\xef\xbb\xbf"
_MARKS = re.compile(rb'["{}\\]')
_IN_STRING = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,"
"""What may stand between two objects."""


class JSONArrayFramer:
    """Feed it the body in any pieces; it returns the objects completed so far."""

    __slots__ = (
        "_depth",
        "_escaped",
        "_in_string",
        "_max",
        "_pending",
        "_size",
        "_stray",
        "oversized",
    )

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self._max = max_frame
        self._stray = (
            bytearray()
        )  # what is no object: the array's brackets, and what shouldn't be there
        self._pending: list[bytes] = []  # pieces of the object that goes on
        self._size = 0
        self._depth = 0  # braces that are open
        self._in_string = False
        self._escaped = False
        self.oversized = False

    def feed(self, data: bytes) -> list[Frame | str]:
        """The frames that `data` completes."""
        frames: list[Frame | str] = []
        at = 0
        while at < len(data) and not self.oversized:
            at = self._go_on(data, at, frames) if self._depth else self._open(data, at)
        return frames

    def finish(self) -> list[Frame]:
        """The body is over: the object that was cut, and what was no object."""
        frames: list[Frame] = []
        if self._pending and not self.oversized:
            frames.append(Frame("", b"".join(self._pending), terminated=False))
        stray = bytes(self._stray).removeprefix(_BOM).removeprefix(b"[").removesuffix(b"]")
        if stray:
            frames.append(Frame("", stray, stray=True))
        return frames

    def learn(self, frame: Frame, text: str) -> None:
        """Nothing: whole objects are cut here, which differ in more than their text."""

    def _open(self, data: bytes, at: int) -> int:
        """Look for the next object. Returns the place where it begins, or the end of the data."""
        brace = data.find(b"{", at)
        end = len(data) if brace < 0 else brace
        self._between(data[at:end])
        return end if brace < 0 else self._go_on_from(brace)

    def _go_on_from(self, brace: int) -> int:
        self._depth = 1
        self._pending.append(b"{")
        self._size = 1
        return brace + 1

    def _between(self, data: bytes) -> None:
        self._stray += data.translate(None, _BETWEEN)
        self.oversized = self.oversized or len(self._stray) > self._max

    def _go_on(self, data: bytes, at: int, frames: list[Frame | str]) -> int:
        """Take the object that is open up to its end, or to that of the data. Returns where it stopped."""
        end = self._end_of_object(data, at)
        self._pending.append(data[at:end])
        self._size += end - at
        if self._size > self._max:
            self.oversized = True
            self._pending.clear()
        elif not self._depth:
            frames.append(Frame("", b"".join(self._pending)))
            self._pending.clear()
        return end

    def _end_of_object(self, data: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            at += 1
        while self._depth:
            mark = (_IN_STRING if self._in_string else _MARKS).search(data, at)
            if mark is None:
                return len(data)
            at = mark.end()
            if mark[0] == b"\\":
                self._escaped = at == len(data)
                at += 1
            elif mark[0] == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark[0] == b"{" else -1
        return min(at, len(data))


class EventsOrArrayFramer:
    """Reads server-sent events, or one JSON array: the first byte that isn't blank tells which."""

    __slots__ = ("_framer", "_max", "_pending")

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self._max = max_frame
        self._framer: Framer | None = None
        self._pending = b""  # the beginning of a mark

    @property
    def oversized(self) -> bool:
        """A frame exceeded the limit."""
        return self._framer is not None and self._framer.oversized

    def feed(self, data: bytes) -> Iterable[Frame | str]:
        """The frames that `data` completes."""
        if self._framer is None:
            data = self._pending + data
            is_mark = len(data) < len(_BOM) and _BOM.startswith(data)
            self._pending = data if is_mark else b""
            begun = data.removeprefix(_BOM).lstrip()
            if is_mark or not begun:
                return ()
            is_array = begun.startswith(b"[")
            kind = JSONArrayFramer if is_array else SSEFramer
            self._framer = kind(max_frame=self._max)
        return self._framer.feed(data)

    def finish(self) -> list[Frame]:
        """The body is over."""
        return [] if self._framer is None else self._framer.finish()

    def learn(self, frame: Frame, text: str) -> None:
        """Nothing: frames that count their tokens differ in more than their text."""


@dataclass(frozen=True, slots=True)
class EventsOrArray:
    """The framing of answers that are server-sent events, or the same objects in a JSON array. It writes events."""

    events: SSE = field(default_factory=SSE)

    @property
    def content_type(self) -> str:
        """The media type of such a body."""
        return self.events.content_type

    @property
    def keep_alive(self) -> bytes:
        """Bytes that mean nothing between two frames."""
        return self.events.keep_alive

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> EventsOrArrayFramer:
        """A framer for one body."""
        return EventsOrArrayFramer(max_frame=max_frame)

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one event. `data` is one line."""
        return self.events.frame(data, event)

    def unframe(self, frame: bytes) -> bytes:
        """The data of one event."""
        return self.events.unframe(frame)

    def split(self, body: bytes) -> list[bytes]:
        """The events of a body, each with its blank line."""
        return self.events.split(body)
