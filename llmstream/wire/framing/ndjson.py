"""Newline-delimited JSON (https://github.com/ndjson/ndjson-spec): each line is a frame.

- Lines end in LF; a CR before it is dropped, and so is a byte order mark at the start. Blank lines are keep-alives.
- A `data:` before a line, which proxies put there, is dropped too, and so are the other lines of an event.
- `finish()` returns a last line without LF as a frame marked `terminated=False`. The format decides if it was cut.
- A body whose first line isn't an object on that line is not NDJSON: an HTML page, or indented JSON. All its lines are
  returned as `stray`. So is a body of one line without LF: a whole JSON document, or an error.

Linear in the input: a line in many pieces is joined once. Bounded by `max_frame` bytes a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmstream.wire.framing.framer import MAX_FRAME, Frame
from llmstream.wire.framing.text_frames import TextTemplate

_BOM = b"\xef\xbb\xbf"
_OF_EVENTS = (b":", b"event:", b"id:", b"retry:")
"""Beginnings of lines of server-sent events that are no data."""


class NDJSONFramer:
    """Feed it the body in any pieces; it returns the frames completed so far.

    With a `template` it learns what the lines of text look like, and returns those as their text. It learns from the
    first line of text in each read; by then the others of that read are cut already.
    """

    __slots__ = (
        "_begun",
        "_max",
        "_may_learn",
        "_pending",
        "_pending_size",
        "_stray",
        "_template",
        "oversized",
    )

    def __init__(self, *, max_frame: int = MAX_FRAME, template: TextTemplate | None = None) -> None:
        self._max = max_frame
        self._template = template
        self._may_learn = True
        self._pending: list[bytes] = []  # pieces of the unfinished line
        self._pending_size = 0
        self._begun = False  # a line came that isn't blank
        self._stray = False  # the body is something else
        self.oversized = False

    def feed(self, data: bytes) -> list[Frame | str]:
        """The frames that `data` completes."""
        frames: list[Frame | str] = []
        self._may_learn = True
        if self.oversized:
            return frames
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._pending:
            lines[0] = self._take(lines[0])
        template = self._template
        for line in lines:
            text = None if template is None else template.text(line)
            if text is not None and len(line) <= self._max:  # nearly every line
                frames.append(text)
                continue
            self._end_line(line, frames)
            if self.oversized:
                return frames
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size > self._max:
                self._give_up()
        return frames

    def finish(self) -> list[Frame]:
        """The body is over: the last line, if it had no end."""
        found: list[Frame | str] = []
        if not self.oversized:
            self._stray = self._stray or not self._begun
            self._end_line(self._take(b""), found)
        frames = [frame for frame in found if isinstance(frame, Frame)]
        for frame in frames:
            frame.terminated = False
        return frames

    def learn(self, frame: Frame, text: str) -> None:
        """`frame`, the last one taken, meant `text` and nothing else."""
        if self._template is None or not self._may_learn:
            return
        self._may_learn = False
        self._template.learn(b"", frame.data, text)
        if not self._template.wanted:
            self._template = None

    def _take(self, last: bytes) -> bytes:
        """The unfinished line with its last piece."""
        line = b"".join((*self._pending, last))
        self._pending.clear()
        self._pending_size = 0
        return line

    def _end_line(self, line: bytes, frames: list[Frame | str]) -> None:
        if len(line) > self._max:
            self._give_up()
            return
        if not self._begun:
            line = line.removeprefix(_BOM)
        line = line.strip(b" \t\r").removeprefix(b"data:").lstrip()
        if not line or line.startswith(_OF_EVENTS):
            return
        if not self._begun:
            self._begun = True
            self._stray = self._stray or not (line.startswith(b"{") and line.endswith(b"}"))
        frames.append(Frame("", line, stray=self._stray))

    def _give_up(self) -> None:
        self.oversized = True
        self._pending.clear()


@dataclass(frozen=True, slots=True)
class NDJSON:
    """The framing of formats whose answers are lines of JSON. `text_member` and `free_members` are as in SSE."""

    text_member: str | None = None
    free_members: tuple[str, ...] = ()
    content_type: str = "application/x-ndjson"
    keep_alive: bytes = b"\n"

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> NDJSONFramer:
        """A framer for one body."""
        template = None
        if shortcuts and self.text_member is not None:
            template = TextTemplate(self.text_member, self.free_members)
        return NDJSONFramer(max_frame=max_frame, template=template)

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one frame. `data` is one line."""
        return data + b"\n"

    def unframe(self, frame: bytes) -> bytes:
        """The data of one frame."""
        return frame.strip()

    def split(self, body: bytes) -> list[bytes]:
        """The lines of a body, each with its LF."""
        return [line + b"\n" for line in body.split(b"\n") if line.strip()]
