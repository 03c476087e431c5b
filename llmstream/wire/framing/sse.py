"""Server-sent events: bytes to frames, and back.

The format is WHATWG HTML 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html). Rules:

- Lines end in LF, CRLF or CR and nothing else: U+2028 and friends are ordinary characters of a JSON string.
- A byte order mark is dropped at the very start only. `id` sticks, and one with NUL is ignored; `retry` is
  digits only. A frame without data is not dispatched.
- Where the standard drops an unterminated last frame, `finish()` hands it over, marked `terminated=False`:
  several providers forget the last blank line, and whether it was cut is for the format to say.
- A line that is no field of the standard (bare JSON, `error: {…}`, an HTML page) is handed over in its place as a
  frame marked `stray`, because gateways put their errors there. A strict reader skips those.

Linear in the input: a line in many pieces is joined once. Bounded: beyond `max_frame` bytes in one frame the parser
sets `oversized` and takes no more; the frames before it are handed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from llmstream.wire.framing.framer import MAX_FRAME, Frame
from llmstream.wire.framing.text_frames import TextTemplate

_LF, _CR = b"\n\r"
"""As numbers: Python looks for those in a third of the time that it takes for bytes."""
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD_CUT = re.compile(rb"d(at?)?|e(v(en?)?)?|i|r(e(tr?)?)?")
"""A last line cut within its field name: not a line of some other body."""
LESSON = 1024
"""Bytes of a first read that are looked at before the rest of it."""


class SSEFramer:
    """Feed it the body in any pieces; it returns the frames completed so far.

    With a `template` it learns what the frames of text look like, and returns those as their text. It learns from the
    first frame of text in each read; by then the others of that read are cut already.
    """

    __slots__ = (
        "_at_start",
        "_data",
        "_data_size",
        "_event",
        "_id",
        "_is_between",
        "_lesson",
        "_max",
        "_may_learn",
        "_pending",
        "_pending_size",
        "_skip_lf",
        "_template",
        "id",
        "oversized",
        "retry",
    )

    def __init__(self, *, max_frame: int = MAX_FRAME, template: TextTemplate | None = None) -> None:
        self._max = max_frame
        self._pending: list[bytes] = []  # pieces of the unfinished line
        self._pending_size = 0
        self._data: list[bytes] = []  # data lines of the unfinished frame
        self._data_size = 0
        self._event = ""
        self._id = ""  # becomes `id` at the frame's blank line
        self._skip_lf = False  # the last piece ended in CR: an LF that follows belongs to it
        self._at_start = True
        self._is_between = False  # nothing of a frame is held
        self.id = ""
        """The last event id."""
        self.retry: int | None = None
        """Milliseconds, if the server asked for a reconnection time."""
        self._template = template
        self._may_learn = True
        self._lesson: tuple[bytes, bytes, str] | None = None  # of what to learn when it's needed
        self.oversized = False
        """A frame exceeded the limit: whatever comes now is ignored."""

    def feed(self, data: bytes) -> Iterable[Frame | str]:
        """The frames that `data` completes, to be taken before the next call."""
        template = self._template
        is_known = template is not None and template.known
        if is_known and self._is_between and data.endswith(b"\n\n"):
            # One more like the last, alone in its read: a model writes slower than we read.
            text = template.text(data[:-2])  # type: ignore[union-attr]  # it is known
            if text is not None and len(data) <= self._max:
                return (text,)
        if template is not None and not is_known and len(data) > LESSON:
            lesson = data.find(b"\n\n", LESSON) + 2
            if lesson > 1:
                # `chain` cuts the rest once the frames of the lesson have been taken, and learned from.
                parts = (data[:lesson], data[lesson:])
                return chain.from_iterable(map(self._feed, parts))
        return self._feed(data)

    def _feed(self, data: bytes) -> list[Frame | str]:
        self._may_learn = True
        if self.oversized:
            return []
        if self._lesson is not None:
            self._study(data)
        if self._at_start or self._skip_lf:
            data = self._open(data)
        frames: list[Frame | str] = []
        if _CR in data:
            data = data.replace(b"\r\n", b"\n")
        if _CR in data:  # the end of a line by itself, or the half of one
            rest = self._feed_lines(_LINE_END.split(data), frames)
            self._skip_lf = data.endswith(b"\r")
        else:
            rest = self._feed_lf(data, frames)
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            self._check()
        is_held = self._pending or self._data or self._event or self._skip_lf
        self._is_between = not (is_held or self.oversized)
        return frames

    def finish(self) -> list[Frame]:
        """The body is over: the frame that was not ended by a blank line, if there is one."""
        found: list[Frame | str] = []
        line = self._take(b"")
        if line and not _FIELD_CUT.fullmatch(line):
            self._line(line, found)
        last = bool(self._data) and not self.oversized
        if last:
            self._line(b"", found)
        frames = [frame for frame in found if isinstance(frame, Frame)]
        if last:
            frames[-1].terminated = False
        return frames

    def learn(self, frame: Frame, text: str) -> None:
        """`frame`, the last one taken, meant `text` and nothing else."""
        if self._template is None or not self._may_learn:
            return
        self._may_learn = False
        event = frame.event
        head = f"event: {event}\ndata: ".encode() if event else b"data: "
        self._lesson = (head, frame.data, text)

    def _study(self, data: bytes) -> None:
        """Learn from the lesson, once there may be a frame like it: many answers have one such frame."""
        template = self._template
        if template is None or self._lesson is None or not template.may_fit(data):
            return
        template.learn(*self._lesson)
        self._lesson = None
        if not template.wanted:
            self._template = None

    def _open(self, data: bytes) -> bytes:
        """Deal with what only the first bytes, or the byte after a CR, can be."""
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if self._at_start:
            data = self._take(data)
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._pending.append(data)
                return b""
            self._at_start = False
            data = data.removeprefix(_BOM)
        return data

    def _feed_lf(self, data: bytes, frames: list[Frame | str]) -> bytes:
        # The form every large provider sends: whole frames, LF only, `data` alone or after `event`. Splitting at blank
        # lines first costs a third of going line by line.
        if self._pending or self._data or self._event:
            blank = data.find(b"\n\n")
            if blank < 0:
                return self._feed_lines(data.split(b"\n"), frames)
            self._feed_lines(data[: blank + 2].split(b"\n"), frames)
            data = data[blank + 2 :]
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        template = self._template
        if template is not None and not template.known:
            template = None
        for block in blocks:
            if self.oversized:
                return b""
            fits = len(block) <= self._max
            if template is not None and fits and (text := template.text(block)) is not None:
                frames.append(text)
                continue
            event, data = "", block
            if block.startswith(b"event: "):
                head, _, data = block.partition(b"\n")
                event = head[7:].decode("utf-8", "replace")
            if data.startswith(b"data: ") and _LF not in data and fits:
                self.id = self._id
                frames.append(Frame(event, data[6:], self.id))
            else:
                for line in block.split(b"\n"):
                    self._line(line, frames)
                self._line(b"", frames)
        return self._feed_lines(rest.split(b"\n"), frames) if rest else rest

    def _feed_lines(self, lines: list[bytes], frames: list[Frame | str]) -> bytes:
        """Take the complete lines; give back the unfinished one."""
        rest = lines.pop()
        for line in lines:
            self._line(self._take(line) if self._pending else line, frames)
        return rest

    def _take(self, last: bytes) -> bytes:
        """The unfinished line with its last piece."""
        if not self._pending:
            return last
        line = b"".join((*self._pending, last))
        self._pending.clear()
        self._pending_size = 0
        return line

    def _check(self) -> None:
        if self._pending_size + self._data_size > self._max:
            self.oversized = True
            self._pending.clear()
            self._data.clear()

    def _line(self, line: bytes, frames: list[Frame | str]) -> None:
        if self.oversized or self._data_size + len(line) > self._max:
            self.oversized = True
            return
        if not line:
            self.id = self._id
            if self._data:
                frames.append(Frame(self._event, b"\n".join(self._data), self.id))
                self._data.clear()
                self._data_size = 0
            self._event = ""
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_size += len(line)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry":
            # int() of a hostile line is quadratic, then an error.
            if value.isdigit() and len(value) <= 18:
                self.retry = int(value)
        elif name:  # no name: a comment
            frames.append(Frame("", line, self.id, stray=True))


@dataclass(frozen=True, slots=True)
class SSE:
    """The framing of formats whose answers are server-sent events.

    `text_member` is the JSON member in which a frame of nothing but text has it; None: no shortcut for such frames.
    `free_members` mean nothing and differ from frame to frame.
    """

    text_member: str | None = None
    free_members: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    keep_alive: bytes = b": ping\n\n"

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> SSEFramer:
        """A framer for one body."""
        template = None
        if shortcuts and self.text_member is not None:
            template = TextTemplate(self.text_member, self.free_members)
        return SSEFramer(max_frame=max_frame, template=template)

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one event. `data` is one line."""
        name = f"event: {event}\n".encode() if event else b""
        return b"%sdata: %s\n\n" % (name, data)

    def unframe(self, frame: bytes) -> bytes:
        """The data of one event whose lines end in LF; empty if it has none."""
        data = [line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")]
        return b"\n".join(data)

    def split(self, body: bytes) -> list[bytes]:
        """The events of a body whose lines end in LF, each with its blank line."""
        return [event + b"\n\n" for event in body.split(b"\n\n") if event]
