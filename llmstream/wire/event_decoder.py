"""Decoder: the bytes of one answer in, its StreamEvents out. What every format has in common is here.

A format subclasses `Decoder` and says in `parse_frame` what one JSON frame means, by calling `_text`, `_reasoning`,
`_open_call` … and finally `_complete` or `_fail`. This class holds MESSAGE_START back until there is a piece, keeps
tool calls until they may leave, knows a cut stream from a finished one, and reads what is no event stream at all:
a whole JSON document, a bare JSON error, an HTML page.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo, ErrorKind
from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    EventType,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
)
from llmstream.messages import (
    FinishReason,
    Message,
    Source,
    ToolResult,
    Usage,
)
from llmstream.wire.error_body import MAX_CODE, is_error, parse_error
from llmstream.wire.finish_words import read_finish_word
from llmstream.wire.framing.framer import MAX_FRAME, Frame, Framing
from llmstream.wire.json_fields import as_string, parse_json
from llmstream.wire.open_calls import OpenCall

_CUT = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER})
"""Finish reasons after which the last call's arguments may be missing rather than empty."""

_TEXT = EventType.TEXT_DELTA
"""Looked up once: Python 3.11 takes 50 ns for a member of an enum, a tenth of what an event costs here."""
AT_ONCE = "stream: the provider answered with one whole document"
"""Said in `start.warnings` where nothing was streamed."""


class Decoder:
    """Base of the formats' decoders. Never raises; after `ended` it ignores further bytes.

    `keep_message=False` leaves `partial` and `MESSAGE_COMPLETE.message` to somebody else (the client's guard).
    """

    format: ClassVar[str]
    framing: ClassVar[Framing]
    """How the bytes are cut into frames: server-sent events, lines …"""

    def __init__(
        self, *, include_raw: bool = False, keep_message: bool = True, max_frame: int = MAX_FRAME
    ) -> None:
        # A raw event needs the payload of its frame, so that none may be taken for its text.
        self._framer = self.framing.framer(max_frame=max_frame, shortcuts=not include_raw)
        self._plain: str | None = None  # the text of the current frame, if the format saw no more
        self._builder = MessageBuilder() if keep_message else None
        self._include_raw = include_raw
        self._out: list[StreamEvent] = []
        self._stray = bytearray()
        self._max_stray = max_frame
        self._started = False
        self._refused = False
        self._calls: deque[OpenCall] = deque()  # those that have not left, in order
        self._call_count = 0  # calls for the caller
        self._ran_count = 0  # calls that the provider ran
        # Ids of the caller's calls. Two results under one id would answer neither call.
        self._ids: set[str] = set()
        self._called = False  # a call for the caller has left
        self.start = Start()
        """What MESSAGE_START will say; a provider adds its name and warnings before it feeds."""
        self._usage: Usage | None = None
        self._finish_reason: FinishReason | None = None
        self._raw_finish_reason: str | None = None
        self._failure: tuple[ErrorKind, str] | None = None  # of a finish word that means one
        self.finishing = False
        """A finish reason came after which a cut, or 5 s of silence, still completes the answer."""
        self.ended = False
        """The terminal event was returned: stop reading."""
        self.frames = 0
        """Frames so far; keep-alives are none."""

    # --- for the caller, who has bytes -------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data` completes."""
        out = self._out = list[StreamEvent]()
        if self.ended:
            return out
        for frame in self._framer.feed(data):
            if isinstance(frame, str):
                self.frames += 1
                self._say(frame)
                continue
            self._frame(frame)
            if self.ended:
                return out
        if self._framer.oversized:
            self._too_large()
        return out

    def finish(self) -> list[StreamEvent]:
        """No more bytes will come, for whatever reason: the terminal event, if there was none."""
        out = self._out = list[StreamEvent]()
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
        out = self._out = list[StreamEvent]()
        if not self.ended:
            self._fail(info)
        return out

    @property
    def begun(self) -> bool:
        """A piece was returned."""
        return self._started

    @property
    def partial(self) -> Message | None:
        """What has come so far; None with `keep_message=False`."""
        if self._builder is None:
            return None
        return self._builder.partial(id=self.start.id, model=self.start.model)

    # --- for the format ------------------------------------------------------------------------------------

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """Say what one frame means."""
        raise NotImplementedError

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """Decode a whole answer that came as one JSON document; False if it is none."""
        raise NotImplementedError

    def done_marker(self) -> None:
        """`[DONE]` came. Formats that end otherwise ignore it."""

    def _text(self, content: str) -> None:
        if content:
            self._say(as_string(content))

    def _say(self, content: str) -> None:
        event = StreamEvent(_TEXT, TextDelta(content))
        if self._builder is None and self._started and not self._calls:
            # Nearly every event of a client's: the same as `_piece`, in half the time.
            self._out.append(event)
        else:
            self._piece(event)

    def _plain_text(self, content: str) -> None:
        """Text of a frame in which the format saw nothing else: others like it need no parser."""
        self._text(content)
        self._plain = content

    def _reasoning(self, content: str) -> None:
        if content:
            self._piece(reasoning_delta(as_string(content)))

    def _refusal(self, content: str) -> None:
        if content:
            self._piece(
                StreamEvent(EventType.REFUSAL_DELTA, refusal_delta=RefusalDelta(as_string(content)))
            )
            self._refused = True

    def _source(self, source: Source) -> None:
        self._piece(StreamEvent(EventType.SOURCE, source=source))

    def _tool_result(self, result: ToolResult) -> None:
        self._piece(StreamEvent(EventType.TOOL_RESULT, tool_result=result))

    def _opaque(self, **data: Any) -> None:
        """Keep what only this provider understands, to be sent back: `signature=` (and `id=`), or a whole `item=`."""
        self._flush_calls()
        event = opaque(self.format, **data)
        if self._builder is not None:
            self._builder.add(event)
        self._out.append(event)

    def _open_call(self, id: str | None, name: str, *, by_provider: bool = False) -> OpenCall:
        """A new call begins. Without an id, or with another call's, it gets one from the message id and its place."""
        self._flush_calls()
        index = self._ran_count if by_provider else self._call_count
        if not id or (id in self._ids and not by_provider):
            id = f"call_{self.start.id or ''}_{self._call_count + self._ran_count}"
        call = OpenCall(index, as_string(id), as_string(name))
        if by_provider:
            call.executed_by = "provider"
            self._ran_count += 1
        else:
            self._call_count += 1
            self._ids.add(id)
        self._calls.append(call)
        return call

    def _call_delta(self, call: OpenCall, arguments: str, *, first: bool = False) -> None:
        """The next characters of a call's arguments; with `first` the call is announced."""
        if arguments:
            call.chunks.append(as_string(arguments))
            call.size += len(arguments)
        elif not first:
            return
        if call.executed_by == "provider":
            return  # nobody waits for it, and a delta could not say who runs it
        delta = ToolCallDelta(call.index, arguments=arguments)
        if first:
            delta.id, delta.name, delta.provider_data = call.id, call.name, call.provider_data
        self._emit(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta))

    def _piece(self, event: StreamEvent) -> None:
        if self._calls:
            self._flush_calls()
        self._emit(event)

    def _emit(self, event: StreamEvent) -> None:
        if not self._started:
            self._started = True
            self._out.append(StreamEvent(EventType.MESSAGE_START, start=self.start))
        if self._builder is not None:
            self._builder.add(event)
        self._out.append(event)

    def _flush_calls(self, finish_reason: FinishReason | None = None) -> None:
        """Emit the calls that are surely whole, in order; with a finish reason, all of them."""
        while self._calls:
            call = self._calls[0]
            if finish_reason is None and not call.is_whole():
                return
            self._calls.popleft()
            is_last = not self._calls
            tool_call = call.finish(cut=is_last and finish_reason in _CUT)
            self._called = self._called or call.executed_by == "caller"
            self._emit(StreamEvent(EventType.TOOL_CALL, tool_call=tool_call))

    def _finish_word(self, word: str, *, native: Any = None, raw: str | None = None) -> bool:
        """The provider's word for why the answer ends; False if it says that more comes.

        `native`: the word of whom the provider asked. `raw`: what is kept as `raw_finish_reason`, if not the word.
        """
        meaning = read_finish_word(word, self.format)
        if meaning is None:
            return False
        failed = not isinstance(meaning, FinishReason)
        if failed and isinstance(native, str):
            closer = read_finish_word(native, self.format)
            if closer is not None and not isinstance(closer, FinishReason):
                word, meaning = native, closer
        self._raw_finish_reason = raw or word
        if isinstance(meaning, FinishReason):
            self._finish_reason, self._failure = meaning, None
        else:
            self._finish_reason, self._failure = None, (meaning, word[:MAX_CODE])
        return True

    def _complete(self) -> None:
        """The provider's own end came. After an error it says nothing."""
        if self.ended:
            return
        if self._failure is not None:
            kind, word = self._failure
            told = f"the provider ended the answer with the finish reason {word!r}"
            self._fail(ErrorInfo(kind, told, code=word))
            return
        reason = self._finish_reason or FinishReason.UNKNOWN
        if reason is FinishReason.UNKNOWN and not self._started and not self._calls:
            self._fail(ErrorInfo("truncated", "the provider ended the stream without an answer"))
            return
        self._flush_calls(reason)
        if reason is FinishReason.STOP and self._called:
            reason = FinishReason.TOOL_CALLS  # three APIs say "stop" although tools were called
        elif reason is FinishReason.STOP and self._refused:
            reason = FinishReason.REFUSAL
        if not self._started:
            self._started = True
            self._out.append(StreamEvent(EventType.MESSAGE_START, start=self.start))
        self.ended = True
        message = None
        if self._builder is not None:
            message = self._builder.message(
                id=self.start.id, model=self.start.model, finish_reason=reason, usage=self._usage
            )
        self._out.append(
            StreamEvent(
                EventType.MESSAGE_COMPLETE,
                start=self.start,
                message=message,
                finish_reason=reason,
                raw_finish_reason=self._raw_finish_reason,
                usage=self._usage,
            )
        )

    def _fail(self, info: ErrorInfo) -> None:
        """The answer failed. The first failure counts."""
        if self.ended:
            return
        self.ended = True
        partial = self.partial
        if partial is not None and partial.parts:
            info.partial = partial
        event = error(info)
        event.usage = self._usage
        self._out.append(event)

    # --- frames --------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        data = frame.data
        if frame.stray:
            self._stray_line(data)
            return
        self.frames += 1
        try:
            payload = parse_json(data)
        except ValueError as problem:
            if data.strip() == b"[DONE]":
                self.done_marker()
            elif frame.terminated and data.strip():
                self._bad_frame(frame, str(problem))
            return  # the last frame, cut: `finish` says so
        if type(payload) is not dict:
            self._parse_other(payload, frame)
            return
        before, usage, reason = len(self._out), self._usage, self._raw_finish_reason
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

    def _parse_other(self, payload: Any, frame: Frame) -> None:
        """A frame whose JSON isn't an object: Google sends errors in a list."""
        is_list_of_errors = isinstance(payload, list) and any(map(_is_error, payload))
        if is_list_of_errors or frame.event == "error":
            self._fail(parse_error(payload))
        else:
            self._bad_frame(frame, "not a JSON object")

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
        if text[:1] in (b"{", b"["):
            try:
                payload = parse_json(text)
            except ValueError:
                payload = None
            if isinstance(payload, list):
                payload = next(filter(_is_error, payload), None)  # Google wraps errors in a list
            if isinstance(payload, dict) and self._body(payload):
                return
        if self.finishing:
            self._complete()
        elif text and not self.frames and text[:1] != b"{":
            excerpt = parse_error(text[:8192].decode("utf-8", "replace")).message[:200]
            self._fail(ErrorInfo("wrong_body", f"the body is not an answer: {excerpt!r}"))
        else:
            self._fail(ErrorInfo("truncated", "the answer was cut before the provider's own end"))

    def _body(self, payload: dict[str, Any]) -> bool:
        """A bare JSON object among or in place of the frames; True if that settled it."""
        if is_error(payload):
            self._fail(parse_error(payload))
        elif self.frames:
            return False
        else:
            self.start.warnings = (*self.start.warnings, AT_ONCE)
            try:
                known = self.parse_document(payload)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                known = False
            if not known and not self.ended:
                shown = json.dumps(payload)[:200]
                self._fail(ErrorInfo("wrong_body", f"JSON that is not an answer: {shown}"))
        return True


def _is_error(item: Any) -> bool:
    return isinstance(item, dict) and is_error(item)
