"""Decoder: the bytes of one answer in, its StreamEvents out. What every format has in common is here.

A format subclasses `Decoder` and says in `parse_frame` what one JSON frame means, by calling `_text`, `_reasoning`,
`_open_call` … and finally `_complete` or `_fail` (see `answer_writer.py`). This class knows a cut stream from a
finished one, and reads what is no event stream at all: a whole JSON document, a bare JSON error, an HTML page.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, TextDelta
from llmstream.wire.answer_writer import AnswerWriter
from llmstream.wire.error_body import is_error, parse_error
from llmstream.wire.framing.framer import MAX_FRAME, BrokenFrame, Frame, Framing
from llmstream.wire.json_fields import parse_json
from llmstream.wire.text_record import LONG

_TEXT = EventType.TEXT_DELTA
AT_ONCE = "stream: the provider answered with one whole document"
"""Said in `start.warnings` where nothing was streamed."""
DONE = b"[DONE]"
"""The data of the last frame, where a format has such a thing. Some servers put it in quotes."""
KEEP_ALIVES = frozenset({"ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"})
"""Names of frames that mean nothing, whatever their data."""
_LONGEST_WORD = 20
"""Characters of a frame that is one word."""
END_NAMES = frozenset({"end", "done", "complete", "close", "finish", "stop", "eof"})
"""Names of frames that mean the end, unless their data is an object."""


class Decoder(AnswerWriter):
    """Base of the formats' decoders. Never raises; after `ended` it ignores further bytes.

    `keep_message=False` leaves `partial` and `MESSAGE_COMPLETE.message` to somebody else (the client's guard).
    """

    framing: ClassVar[Framing]
    """How the bytes are cut into frames: server-sent events, lines …"""

    def __init__(
        self, *, include_raw: bool = False, keep_message: bool = True, max_frame: int = MAX_FRAME
    ) -> None:
        super().__init__(keep_message=keep_message)
        # A raw event needs the payload of its frame, so that none may be taken for its text.
        self._framer = self.framing.framer(max_frame=max_frame, shortcuts=not include_raw)
        self._plain: str | None = None  # the text of the current frame, if the format saw no more
        self._include_raw = include_raw
        self._stray = bytearray()
        self._max_stray = max_frame
        self._is_known = False  # a frame of this format has come
        self.finishing = False
        """A finish reason came after which a cut, or 5 s of silence, still completes the answer."""
        self.frames = 0
        """Frames so far; keep-alives are none."""

    def reframe(self, framing: Framing) -> None:
        """Cut the bytes in another way than the format does: before any is fed."""
        self._framer = framing.framer(max_frame=self._max_stray, shortcuts=not self._include_raw)

    # --- for the caller, who has bytes -------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data` completes."""
        out: list[StreamEvent] = []
        self._out = out
        if self.ended:
            return out
        for frame in self._framer.feed(data):
            if isinstance(frame, str):
                self.frames += 1
                if self._direct:  # as in `_say`, without a call for each frame
                    self._said.append(frame)
                    out.append(StreamEvent(_TEXT, TextDelta(frame, self._part)))
                else:
                    self._say(frame)
                continue
            self._frame(frame)
            if self.ended:
                return out
        if len(self._said) > LONG:
            self._record.fold()
        if self._framer.oversized:
            self._too_large()
        return out

    def finish(self) -> list[StreamEvent]:
        """No more bytes will come, for whatever reason: the terminal event, if there was none."""
        out: list[StreamEvent] = []
        self._out = out
        if self.ended:
            return out
        for frame in self._framer.finish():
            self._frame(frame)
            if self.ended:
                return out
        if self._framer.oversized:
            self._too_large()
        else:
            self._at_end()
        return out

    def abort(self, info: ErrorInfo) -> list[StreamEvent]:
        """We stop reading for a reason of our own: the ERROR that says so, if the answer had not ended."""
        out: list[StreamEvent] = []
        self._out = out
        if not self.ended:
            self._fail(info)
        return out

    # --- for the format ------------------------------------------------------------------------------------

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """Say what one frame means."""
        raise NotImplementedError

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """Decode a whole answer that came as one JSON document; False if it is none."""
        raise NotImplementedError

    def is_failure(self, payload: dict[str, Any]) -> bool:
        """Whether a bare object reports a failure."""
        return is_error(payload)

    def done_marker(self) -> None:
        """`[DONE]` came. Formats that end otherwise ignore it."""

    def _plain_text(self, content: str) -> None:
        """Text of a frame in which the format saw nothing else: others like it need no parser."""
        self._text(content)
        self._plain = content

    # --- frames --------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        if frame.stray:
            self._read_stray_frame(frame)
            return
        if frame.event and frame.event.lower() in KEEP_ALIVES:
            self._read_lines(_whole_lines(frame))
            return
        self.frames += 1
        payload = self._payload(frame)
        if payload is not None:
            self._read(frame, payload)

    def _payload(self, frame: Frame) -> dict[str, Any] | None:
        """The JSON object of a frame. What isn't one is dealt with here."""
        data = frame.data
        if data == DONE:  # as `_no_json` would find, by way of an exception
            self.done_marker()
            return None
        try:
            payload = parse_json(data)
        except ValueError as problem:
            self._no_json(frame, str(problem))
            return None
        if type(payload) is dict:
            return payload
        is_list_of_errors = isinstance(payload, list) and any(map(_is_error, payload))
        if payload == DONE.decode():
            self.done_marker()
        elif is_list_of_errors or frame.event == "error":  # Google sends errors in a list
            self._fail(parse_error(payload))
        elif frame.event.lower() in END_NAMES:
            self._named_end()
        else:
            self._bad_frame(frame, "not a JSON object")
        return None

    def _read(self, frame: Frame, payload: dict[str, Any]) -> None:
        before, usage, reason = len(self._out), self._usage, self._raw_finish_reason
        self._unread.frame = frame.data
        try:
            self.parse_frame(payload, frame.event)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
            # A field of an unexpected type: checking every one on the way would cost more than all the rest.
            self._bad_frame(frame, f"{type(problem).__name__} in {self.format}")
        if frame.event == "error" and not self.ended:
            self._fail(parse_error(payload))
        if self._include_raw and len(self._out) > before:
            self._out[before].raw = payload
        if self._plain is not None:
            text, self._plain = self._plain, None
            alone = len(self._out) == before + 1
            if text and alone and usage is self._usage and reason is self._raw_finish_reason:
                self._framer.learn(frame, text)

    def _no_json(self, frame: Frame, problem: str) -> None:
        """A frame that is no JSON text: the end, several of them, or one that was cut or is broken."""
        data = frame.data.strip()
        word = data[:_LONGEST_WORD].strip(b"[]'").lower()
        if word == b"done":
            self.done_marker()
        elif word.decode("ascii", "replace") in KEEP_ALIVES:
            return
        elif frame.event.lower() in END_NAMES:
            self._named_end()
        elif lines := _whole_lines(frame):
            self._read_lines(lines)
        elif frame.terminated and data:
            self._bad_frame(frame, problem)
        # The last frame, cut: `finish` says so.

    def _read_lines(self, lines: list[bytes]) -> None:
        """Frames that came with one line end each, where two are wanted."""
        for line in lines:
            if not self.ended:
                self._frame(Frame("", line))

    def _named_end(self) -> None:
        """A frame that says by its name that the answer is over."""
        if self.finishing:
            self._complete()

    def _bad_frame(self, frame: Frame, problem: str) -> None:
        text = frame.data[:200].decode("utf-8", "replace")
        if self.ended:
            return
        if frame.event == "error":
            self._fail(parse_error(frame.data[:8192].decode("utf-8", "replace")))
        else:
            self._fail(ErrorInfo("protocol", f"a frame that can't be read ({problem}): {text!r}"))

    def _too_large(self) -> None:
        self._fail(ErrorInfo("frame_too_large", "one frame of the answer exceeds the size limit"))

    def _read_stray_frame(self, frame: Frame) -> None:
        if isinstance(frame, BrokenFrame):
            self._bad_frame(frame, frame.flaw)
        else:
            self._stray_line(frame.data)

    def _stray_line(self, line: bytes) -> None:
        if line.startswith(b"error:"):  # GPUStack
            try:
                payload = parse_json(line[6:].strip())
            except ValueError:
                payload = line[6:].decode("utf-8", "replace")
            self._fail(parse_error(payload))
            return
        self._stray += line + b"\n"
        if len(self._stray) > self._max_stray:
            self._too_large()

    def _at_end(self) -> None:
        text = bytes(self._stray).strip()
        if text[:1] in (b"{", b"[") and self._read_stray(text):
            return
        if self.finishing:
            self._complete()
        elif text and not self.frames and text[:1] != b"{":
            excerpt = parse_error(text[:8192].decode("utf-8", "replace")).message[:200]
            self._fail(ErrorInfo("wrong_body", f"the body is not an answer: {excerpt!r}"))
        elif self._unread and not self._is_known:
            self._fail_unread()
        else:
            self._fail_cut()

    def _fail_cut(self) -> None:
        self._fail(ErrorInfo("truncated", "the answer was cut before the provider's own end"))

    def _read_stray(self, text: bytes) -> bool:
        """JSON outside of frames: a document, an error, or one object on each line. True if that was the end."""
        try:
            payload = parse_json(text)
        except ValueError:
            if not self.frames:
                self._read_lines(_whole_lines(Frame("", text)))
            return self.ended
        if isinstance(payload, list):
            payload = next(filter(_is_error, payload), None)  # Google wraps errors in a list
        return isinstance(payload, dict) and self._body(payload)

    def _body(self, payload: dict[str, Any]) -> bool:
        """A bare JSON object among or in place of the frames; True if that settled it."""
        if self.is_failure(payload):
            self._fail(parse_error(payload))
        elif self.frames:
            return False
        else:
            self.start.warnings = (*self.start.warnings, AT_ONCE)
            self._unread.frame = json.dumps(payload).encode()
            try:
                known = self.parse_document(payload)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                known = False
            if not known and not self.ended:
                shown = json.dumps(payload)[:200]
                self._fail(ErrorInfo("wrong_body", f"JSON that is not an answer: {shown}"))
        return True


def _whole_lines(frame: Frame) -> list[bytes]:
    """The lines of a frame that are frames by themselves; none, unless all are. The last line may have been cut."""
    lines = [line for line in map(bytes.strip, frame.data.split(b"\n")) if line]
    if len(lines) > 1 and not frame.terminated and not _is_frame(lines[-1]):
        lines.pop()
    elif len(lines) < 2:
        return []
    return lines if all(map(_is_frame, lines)) else []


def _is_frame(line: bytes) -> bool:
    if line == DONE:
        return True
    try:
        payload = parse_json(line)
    except ValueError:
        return False
    return isinstance(payload, dict) or payload == DONE.decode()


def _is_error(item: Any) -> bool:
    return isinstance(item, dict) and is_error(item)
