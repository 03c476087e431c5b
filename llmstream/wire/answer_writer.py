"""AnswerWriter: what a format finds in an answer, as events. It knows nothing of bytes and frames.

It holds MESSAGE_START back until there is a piece, keeps tool calls until they may leave, joins characters that were
cut in two, and decides what the end of an answer means.

It is a long file because each piece depends on what is held back of all others.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo, ErrorKind
from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    TEXTS,
    EventType,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    opaque,
)
from llmstream.log import escape
from llmstream.messages import File, FinishReason, Message, Source, ToolResult, Usage
from llmstream.wire.error_body import MAX_CODE
from llmstream.wire.finish_words import read_finish_word
from llmstream.wire.json_fields import STAND_IN, HalfText, as_string, ends_in_half, mend
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.text_numbers import TextNumbers
from llmstream.wire.text_record import TextRecord
from llmstream.wire.unread import Unread
from llmstream.wire.usage_counts import overlay

_CUT = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER})
"""Finish reasons after which the last call's arguments may be missing rather than empty."""
_TEXT = EventType.TEXT_DELTA
"""Looked up once: Python 3.11 takes 50 ns for a member of an enum, a tenth of what an event costs here."""
_REASONING = EventType.REASONING_DELTA
NOT_UNDERSTOOD = "not_understood"
"""The `code` of the ERROR for an answer of which nothing was understood."""


class AnswerWriter:
    """The events of one answer. After `ended` nothing may be written."""

    format: ClassVar[str]

    def __init__(self, *, keep_message: bool) -> None:
        self._builder = MessageBuilder() if keep_message else None
        self._out: list[StreamEvent] = []
        self._started = False
        self._direct = False  # text needs no more than to be emitted
        self._half: tuple[EventType, str] | None = (
            None  # half a character, and the kind of its text
        )
        self._next_half: tuple[EventType, str] | None = None  # that of the text being written
        self._reasons = False  # the last piece was reasoning
        self._reasoned = 0  # characters of all reasoning
        self._thought_since = 0  # those before the reasoning that goes on
        self._signs = False  # `_signature` has something for the end of the reasoning that goes on
        self._record = TextRecord()  # the text that goes on
        self._said = self._record.chunks
        self._has_text = False  # an earlier record has some
        self._has_media = False
        self._refused = False
        self._calls: deque[OpenCall] = deque()  # those that have not left, in order
        self._waiting: deque[OpenCall] = deque()  # those that weren't announced, in order
        self._call_count = 0  # calls for the caller
        self._ran_count = 0  # calls that the provider ran
        # Ids of the caller's calls. Two results under one id would answer neither call.
        self._ids: set[str] = set()
        self._called = False  # a call for the caller has left
        self._phantoms = 0  # calls without a name
        self._unread = Unread()
        self._kept = False  # something was kept to be sent back
        self.start = Start()
        """What MESSAGE_START will say; a provider adds its name and warnings before it feeds."""
        self._texts = TextNumbers()
        self._part = 0  # the number of the text that goes on
        self._usage: Usage | None = None
        self._finish_reason: FinishReason | None = None
        self._raw_finish_reason: str | None = None
        self._stop_details: dict[str, Any] | None = None
        self._failure: tuple[ErrorKind, str] | None = None  # of a finish word that means one
        self.ended = False
        """The terminal event was returned: stop reading."""

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

    # --- pieces --------------------------------------------------------------------------------------------

    def _text(self, content: str) -> None:
        content = self._joined(_TEXT, content)
        if content:
            self._say(content)
        self._hold_half()

    def _say(self, content: str) -> None:
        event = StreamEvent(_TEXT, TextDelta(content, self._part))
        if self._direct:
            # Nearly every event of a client's: the same as `_piece`, in half the time.
            self._said.append(content)
            self._out.append(event)
        else:
            self._piece(event)

    def _reasoning(self, content: str) -> str:
        """Returns what was emitted: half a character at its end waits for the other half."""
        if not self._reasons:
            self._thought_since = self._reasoned
        told = self._worded(_REASONING, content)
        self._reasoned += len(told)
        return told

    def _refusal(self, content: str) -> str:
        """As `_reasoning`."""
        self._refused = self._refused or bool(content)
        return self._worded(EventType.REFUSAL_DELTA, content)

    def _source(self, source: Source) -> None:
        self._piece(StreamEvent(EventType.SOURCE, source=source))

    def _file(self, file: File) -> None:
        self._has_media = True
        self._piece(StreamEvent(EventType.FILE, file=file))

    def _tool_result(self, result: ToolResult) -> None:
        self._piece(StreamEvent(EventType.TOOL_RESULT, tool_result=result))

    def _opaque(self, *, understood: bool = True, **data: Any) -> None:
        """Keep what only this provider understands, to be sent back: `signature=` (and `id=`), or a whole `item=`."""
        self._flush_calls()
        self._settle()
        self._reasons = False
        self._keep(opaque(self.format, **data))
        self._kept = self._kept or understood

    def _seal(self, thought: tuple[int, int] | None, **data: Any) -> None:
        """Keep what goes back with reasoning, be it over: that between two characters of all reasoning.

        None: it had no words.
        """
        end = self._reasoned
        self._settle_half()
        if thought is None:
            self._opaque(**data)
            return
        start, until = thought
        until = self._reasoned if until == end else until
        if self._reasons and (start, until) == (self._thought_since, self._reasoned):
            self._opaque(**data)
        else:
            self._opaque(span=[self._reasoned - start, self._reasoned - until], **data)

    def _note_call(self, call: OpenCall, notes: dict[str, Any]) -> None:
        """Keep what goes back with a call, which may have left."""
        known = call.provider_data or {}
        if notes.items() <= known.items():
            return
        call.provider_data = {"format": self.format, **known, **notes}
        if call.has_left:
            self._opaque(understood=False, call=call.id, provider_data=call.provider_data)

    def _will_sign(self) -> None:
        """Ask `_signature` when the reasoning that goes on is over."""
        self._flush_calls()
        self._signs = True
        self._direct = False

    def _signature(self) -> dict[str, Any]:
        """What `opaque` says of the reasoning that is over, for formats that call `_will_sign`."""
        raise NotImplementedError

    def _record_text(self, record: TextRecord) -> None:
        """The text that follows belongs to this record."""
        self._has_text = self._has_text or bool(self._record)
        self._record, self._said = record, record.chunks
        self._part = record.part

    # --- tool calls ----------------------------------------------------------------------------------------

    def _open_call(self, id: str | None, name: str, *, by_provider: bool = False) -> OpenCall:
        """A new call begins. Its name may come later, in pieces, or never: then it isn't a call."""
        self._flush_calls()
        if self._signs:
            self._settle()
        call = OpenCall(as_string(id or ""), as_string(name))
        if by_provider:
            call.executed_by = "provider"
            self._number(call)
        else:
            self._waiting.append(call)
        self._calls.append(call)
        self._direct = self._reasons = False
        return call

    def _call_delta(
        self, call: OpenCall, arguments: str, *, first: bool = False, named: bool = False
    ) -> None:
        """The next characters of a call's arguments: the `first` ones share a delta with its name.

        A call is announced when its arguments begin, for until then its name may grow; at once if it is `named` whole.
        Calls are announced in order.
        """
        chunks = call.take(arguments)
        if call.executed_by == "provider":
            return  # nobody waits for it, and a delta could not say who runs it
        if call.index is not None:
            self._write(call, chunks)
        else:
            call.named = call.named or named
            self._announce_ready(call if first else None)

    def _announce_ready(self, first: OpenCall | None = None) -> None:
        """Announce the calls whose turn it is; the `first` piece of that call's arguments has just come."""
        while self._waiting and self._waiting[0].is_ready:
            call = self._waiting[0]
            self._announce(call, together=call is first)

    def _announce(self, call: OpenCall, *, together: bool = False) -> None:
        """The first delta of a call: with its arguments so far, or followed by them."""
        if self._waiting and self._waiting[0] is call:
            self._waiting.popleft()
        self._number(call)
        written = list(call.chunks)
        begun = "".join(written) if together else ""
        delta = ToolCallDelta(call.index or 0, call.id, call.name, begun, call.provider_data)
        self._emit(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta))
        if not together:
            self._write(call, written)

    def _write(self, call: OpenCall, chunks: list[str]) -> None:
        for chunk in chunks:
            delta = ToolCallDelta(call.index or 0, arguments=chunk)
            self._emit(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta))

    def _number(self, call: OpenCall) -> None:
        """Give a call its place, and an id from the message's id and that place, unless it has one of its own."""
        by_provider = call.executed_by == "provider"
        if not call.id or (call.id in self._ids and not by_provider):
            call.id = f"call_{self.start.id or ''}_{self._call_count + self._ran_count}"
        if by_provider:
            call.index = self._ran_count
            self._ran_count += 1
            return
        call.index = self._call_count
        self._call_count += 1
        self._ids.add(call.id)

    def _flush_calls(self, finish_reason: FinishReason | None = None) -> None:
        """Emit the calls that are surely whole, in order; with a finish reason, all of them."""
        while self._calls:
            call = self._calls[0]
            if finish_reason is None and not call.is_whole():
                return
            self._calls.popleft()
            is_last = not self._calls
            self._emit_call(call, cut=is_last and finish_reason in _CUT)

    def _emit_call(self, call: OpenCall, *, cut: bool) -> None:
        is_phantom = not call.name
        if is_phantom or call.repeats():
            self._phantoms += is_phantom
            self._dismiss(call)
            return
        chunks = call.settle()
        if call.executed_by == "caller":
            self._called = True
            if call.newer is not None:
                chunks = self._begin_again(call)
            if call.index is None:
                self._announce(call)
            else:
                self._write(call, chunks)
        self._settle()
        self._reasons = False
        self._emit(StreamEvent(EventType.TOOL_CALL, tool_call=call.finish(cut=cut)))
        call.has_left = True
        self._announce_ready()

    def _begin_again(self, call: OpenCall) -> list[str]:
        """A call came again with more in it: what was announced of it isn't a call, and it gets a place of its own."""
        call.index = None
        return call.begin_again()

    def _dismiss(self, call: OpenCall) -> None:
        """It isn't a call, or not another one: those behind it need not wait."""
        if self._waiting and self._waiting[0] is call:
            self._waiting.popleft()
        self._announce_ready()

    # --- events --------------------------------------------------------------------------------------------

    def _worded(self, kind: EventType, content: str) -> str:
        content = self._joined(kind, content)
        if content:
            self._piece(TEXTS[kind](content))
        self._hold_half()
        return content

    def _joined(self, kind: EventType, content: str) -> str:
        """The text with the half of a character that came before it. Its own last half waits in `_next_half`."""
        if not content or (type(content) is str and self._half is None):
            return content or ""
        halves = content.halves if isinstance(content, HalfText) else as_string(content)
        if self._half is not None and self._half[0] is kind:
            if not _begins_with_half(halves, self._half[1]):  # else the character is told whole
                halves = self._half[1] + halves
            self._half = None
        if ends_in_half(halves):
            self._next_half = (kind, halves[-1])
            halves = halves[:-1]
        return mend(halves)

    def _hold_half(self) -> None:
        if self._next_half is None:
            return
        self._settle_half()
        self._half, self._next_half = self._next_half, None
        self._direct = False

    def _piece(self, event: StreamEvent) -> None:
        kind = event.type
        if self._half is not None:
            self._settle_half()
        if self._signs and kind is not _REASONING:
            self._settle()
        if self._calls:
            self._flush_calls()
        if event.text_delta is not None:
            self._said.append(event.text_delta.content)
        self._emit(event)
        self._reasons = kind is _REASONING
        is_plain = not (self._calls or self._signs or self._reasons)
        self._direct = is_plain and self._builder is None

    def _settle(self) -> None:
        """What goes on is over: emit what was held back for it."""
        self._settle_half()
        if self._signs:
            self._signs = self._reasons = False
            self._keep(opaque(self.format, **self._signature()))
            self._kept = True

    def _settle_half(self) -> None:
        """The other half of a character never came."""
        if self._half is None:
            return
        kind, self._half = self._half[0], None
        if kind is _REASONING:
            self._reasoned += len(STAND_IN)
        self._piece(TEXTS[kind](STAND_IN))

    def _keep(self, event: StreamEvent) -> None:
        if self._builder is not None:
            self._builder.add(event)
        self._out.append(event)

    def _emit(self, event: StreamEvent) -> None:
        if not self._started:
            self._started = True
            self._out.append(StreamEvent(EventType.MESSAGE_START, start=self.start))
        if self._builder is not None:
            self._builder.add(event)
        self._out.append(event)

    def _count(self, usage: Usage | None) -> None:
        """Overlay the usage: per field the last number counts."""
        self._usage = overlay(self._usage, usage)

    # --- the end -------------------------------------------------------------------------------------------

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
        if self._is_empty and self._unread and not self._kept:
            self._fail_unread()
            return
        if reason is FinishReason.UNKNOWN and self._is_empty:
            self._fail(ErrorInfo("truncated", "the provider ended the stream without an answer"))
            return
        self._flush_calls(reason)
        self._settle()
        if self._phantoms and not self._has_answer:
            if self._unread:
                self._fail_unread()
                return
            self._fail(ErrorInfo("invalid_output", "the model called a tool without naming it"))
            return
        if self._unread:
            self._tell_unread()
        if reason is FinishReason.STOP and self._called:
            reason = FinishReason.TOOL_CALLS  # three APIs say "stop" although tools were called
        elif reason is FinishReason.STOP and self._refused:
            reason = FinishReason.REFUSAL
        self._emit_end(reason)

    @property
    def _is_empty(self) -> bool:
        return not (self._started or self._calls or self._half)

    @property
    def _has_answer(self) -> bool:
        """Whether more than reasoning has come."""
        has_words = self._has_text or self._record or self._refused
        return bool(has_words or self._called or self._ran_count or self._has_media)

    def _emit_end(self, reason: FinishReason) -> None:
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
                stop_details=self._stop_details,
                usage=self._usage,
            )
        )

    def _tell_unread(self) -> None:
        data = {"format": self.format, "members": self._unread.names}
        told = f"members of the answer that weren't understood: {self._unread}"
        self._out.append(StreamEvent(EventType.STATUS, status=Status("unread", told, data)))

    def _fail_unread(self) -> None:
        told = f"nothing of the answer was understood; it holds {self._unread}"
        self._fail(ErrorInfo("protocol", told, retryable=False, code=NOT_UNDERSTOOD))
        self._out[-1].raw = escape(self._unread.excerpt)

    def _fail(self, info: ErrorInfo) -> None:
        """The answer failed. The first failure counts."""
        if self.ended:
            return
        if self._started:
            self._show_open()
        self.ended = True
        partial = self.partial
        if partial is not None and partial.parts:
            info.partial = partial
        event = error(info)
        event.usage = self._usage
        self._out.append(event)

    def _show_open(self) -> None:
        """Emit what was held back, for the partial message."""
        self._settle()
        for call in self._calls:
            may_be_told = call.original is not None or call.twins
            if call.executed_by == "provider" or may_be_told or not call.name:
                continue
            chunks = call.settle()
            if call.index is None:
                self._announce(call)
            else:
                self._write(call, chunks)


def _begins_with_half(text: str, half: str) -> bool:
    """Whether the first character of a text is one whose first half this is."""
    return text[:1].encode("utf-16-le", "surrogatepass")[:2] == half.encode(
        "utf-16-le", "surrogatepass"
    )
