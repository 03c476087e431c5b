"""Events to the bytes of an Anthropic Messages stream: the inverse of `decode.py`.

What the format has no place for is left out: files, STATUS and RETRY; a refusal's words become text. A failure that
only a cut can express (truncated, connection) writes no error: whoever sends the bytes ends them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmstream.messages import (
    FinishReason,
    Source,
    ToolCall,
    ToolResult,
    Usage,
    parse_arguments,
)
from llmstream.provider_data import own_data, own_notes
from llmstream.wire.anthropic_messages.blocks import FORMAT
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import Writer, sayable_failure
from llmstream.wire.finish_words import render_finish_word
from llmstream.wire.json_fields import present
from llmstream.wire.opaque_encoder import OpaqueEncoder
from llmstream.wire.outbound import json_bytes
from llmstream.wire.usage_counts import without_cached

_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.REFUSAL: "refusal",
    FinishReason.PAUSE: "pause_turn",
}
_ERRORS = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "invalid_request": "invalid_request_error",
    "content_filter": "invalid_request_error",
    "context_length": "request_too_large",
    "quota": "billing_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
}
_Frames = Iterator[dict[str, Any]]


class MessagesEncoder(OpaqueEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    format = FORMAT

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        self._prose: tuple[str, int] | None = None  # the open text or thinking block
        self._number = 0  # that of its words
        self._parked: dict[int, int] = {}  # others of its kind that go on: number to index
        self._calls: dict[int, int] = {}  # open tool blocks by the call's index
        self._ids: dict[str, int] = {}  # announced calls: id to the call's index
        self._texts: dict[
            int, bool
        ] = {}  # by the block: whether its input is a text, not an object

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_frame, self._frames(event)))

    # --- blocks --------------------------------------------------------------------------------------------

    def _open(self, block: dict[str, Any]) -> _Frames:
        yield {"type": "content_block_start", "index": self._next, "content_block": block}
        self._next += 1

    def _whole(self, block: dict[str, Any]) -> _Frames:
        yield from self._close_prose()
        yield from self._open(block)
        yield _stop(self._next - 1)

    def _close_prose(self) -> _Frames:
        if self._prose is not None:
            yield from map(_stop, (*self._parked.values(), self._prose[1]))
            self._parked.clear()
            self._prose = None

    def _ensure(self, kind: str, number: int | None = None) -> _Frames:
        """Text or thinking is open: that with this number, or the one that goes on."""
        if self._prose is None or self._prose[0] != kind:
            yield from self._close_prose()
            yield from self._open_prose(kind)
            self._number = number or 0
        elif number is not None and number != self._number:
            self._parked[self._number] = self._prose[1]
            self._number = number
            index = self._parked.pop(number, None)
            if index is None:
                yield from self._open_prose(kind)
            else:
                self._prose = (kind, index)

    def _open_prose(self, kind: str) -> _Frames:
        self._prose = (kind, self._next)
        empty = {"thinking": "", "signature": ""} if kind == "thinking" else {kind: ""}
        yield from self._open({"type": kind, **empty})

    def _delta(self, **delta: Any) -> dict[str, Any]:
        index = self._prose[1] if self._prose is not None else self._next - 1
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def _write(self, kind: str, content: str, number: int) -> _Frames:
        yield from self._ensure(kind, number)
        yield self._delta(**{"type": f"{kind}_delta", kind: content})

    def _prose_delta(self, delta: TextDelta | RefusalDelta) -> _Frames:
        yield from self._write("text", delta.content, delta.part)

    def _reasoning_delta(self, delta: ReasoningDelta) -> _Frames:
        yield from self._write("thinking", delta.content, delta.part)

    def _source(self, source: Source) -> _Frames:
        yield from self._ensure("text")
        yield self._delta(type="citations_delta", citation=_render_citation(source))

    def _end_text(self) -> _Frames:
        yield from self._close_prose()

    def _kept(self, data: Mapping[str, Any]) -> _Frames:
        if "item" in data:
            yield from self._whole(data["item"])
        else:
            yield from self._ensure("thinking")
            yield self._delta(type="signature_delta", signature=data.get("signature") or "")
            yield from self._close_prose()

    def _call_delta(self, delta: ToolCallDelta) -> _Frames:
        if delta.index not in self._calls and delta.id not in self._ids:
            yield from self._close_prose()
            whole = _whole_input(delta.arguments)
            self._calls[delta.index] = self._next
            self._ids[delta.id] = delta.index
            block = {"type": "tool_use", "id": delta.id, "name": delta.name, "input": whole or {}}
            yield from self._open({**block, **own_data(delta.provider_data, FORMAT)})
            if whole:
                return
        number = self._calls.get(delta.index)
        if delta.arguments and number is not None:
            yield self._input(number, delta.arguments)

    def _input(self, block: int, arguments: str) -> dict[str, Any]:
        """A piece of a call's input. Clients raise for one that isn't an object, so a text becomes a member of one."""
        is_first = block not in self._texts
        if is_first and arguments.strip():
            self._texts[block] = not arguments.lstrip().startswith("{")
        if self._texts.get(block):
            quoted = json.dumps(arguments, ensure_ascii=False)
            arguments = ('{"input":"' if is_first else "") + quoted[1:-1]
        return _input_delta(block, arguments)

    def _end_input(self, block: int) -> _Frames:
        """The end of a call's block."""
        if self._texts.get(block):
            yield _input_delta(block, '"}')
        yield _stop(block)

    def _call(self, call: ToolCall) -> _Frames:
        if call.executed_by == "caller":
            if call.id not in self._ids:
                delta = ToolCallDelta(
                    -1 - len(self._ids), call.id, call.name, provider_data=call.provider_data
                )
                yield from self._call_delta(delta)
                yield from self._call_delta(ToolCallDelta(delta.index, arguments=call.arguments))
            block = self._calls.pop(self._ids[call.id], None)
            if block is not None:
                yield from self._end_input(block)
            return
        extra = own_data(call.provider_data, FORMAT)
        yield from self._close_prose()
        yield from self._open(
            {"type": "server_tool_use", "id": call.id, "name": call.name, "input": {}, **extra}
        )
        block = self._next - 1
        if call.arguments:
            yield self._input(block, call.arguments)
        yield from self._end_input(block)

    def _result(self, result: ToolResult) -> _Frames:
        extra = own_data(result.provider_data, FORMAT)
        if "type" in extra:  # one of ours: another format's results have no place here
            yield from self._whole(
                {**extra, "tool_use_id": result.tool_call_id, "content": result.content}
            )

    # --- the message ---------------------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> _Frames:
        self._started = True
        start = event.start or Start()
        message: dict[str, Any] = {
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
        }
        message |= present(id=start.id, model=start.model)
        # Null, not zero, where a provider counts at the end only.
        usage = {"input_tokens": None, "output_tokens": None, **render_usage(start.usage)}
        yield {
            "type": "message_start",
            "message": {**message, "stop_sequence": None, "usage": usage},
        }
        yield from self._tell_early()

    def _complete(self, event: StreamEvent) -> _Frames:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        yield from self._close_prose()
        for index in self._calls.values():
            yield _stop(index)
        stop = {"stop_reason": _render_reason(event), "stop_sequence": None}
        yield {
            "type": "message_delta",
            "delta": {**stop, **present(stop_details=_own_details(event))},
            "usage": render_usage(event.usage),
        }
        yield {"type": "message_stop"}

    def _error(self, event: StreamEvent) -> _Frames:
        if event.usage is not None:
            yield {"type": "message_delta", "delta": {}, "usage": render_usage(event.usage)}
        info = sayable_failure(event)
        if info is not None:
            named = present(request_id=info.request_id)
            yield {"type": "error", "error": render_error(info), **named}

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _prose_delta,
        EventType.REASONING_DELTA: _reasoning_delta,
        EventType.REFUSAL_DELTA: _prose_delta,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _call,
        EventType.TOOL_RESULT: _result,
        EventType.SOURCE: _source,
        EventType.STATUS: OpaqueEncoder.write_status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _complete,
        EventType.ERROR: _error,
    }


def render_usage(usage: Usage | None) -> dict[str, Any]:
    """Anthropic's usage object, where `input_tokens` leaves out what was cached."""
    if usage is None:
        return {}
    fields = {
        "input_tokens": without_cached(usage),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": present(thinking_tokens=usage.reasoning_tokens),
    }
    return present(**fields)


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """Anthropic's error object; a `code` stands beside the type only where it could not be the type itself."""
    as_type = {"type": info.code, "message": info.message}
    if info.code is not None and parse_error({"error": as_type}).kind == info.kind:
        return as_type
    body = {"type": _ERRORS.get(info.kind, "api_error"), "message": info.message}
    return body if info.code is None else {**body, "code": info.code}


def _own_details(event: StreamEvent) -> dict[str, Any] | None:
    """The details of the end, if they have this format's shape: other providers say other things there."""
    details = event.stop_details
    return details if details is not None and "type" in details else None


def _render_reason(event: StreamEvent) -> str | None:
    raw, reason = event.raw_finish_reason, event.finish_reason
    if (word := render_finish_word(raw, reason, FORMAT)) is not None:
        return word
    return _REASONS.get(reason or FinishReason.UNKNOWN)


def _render_citation(source: Source) -> dict[str, Any]:
    own: dict[str, Any] | None = own_notes(source.provider_data, FORMAT).get("citation")
    if own is not None:
        return own
    if source.url is not None and source.start is None and source.end is None:
        fields: dict[str, Any] = {
            "type": "web_search_result_location",
            "url": source.url,
            "title": source.title,
        }
    elif source.url is not None:
        fields = {
            "type": "search_result_location",
            "source": source.url,
            "title": source.title,
            "start_block_index": source.start,
            "end_block_index": source.end,
        }
    else:
        fields = {
            "type": "char_location",
            "document_title": source.title,
            "start_char_index": source.start,
            "end_char_index": source.end,
        }
    fields |= {"cited_text": source.excerpt, "file_id": source.id}
    return present(**fields)


def _whole_input(arguments: str) -> dict[str, Any] | None:
    """The arguments as an object, where writing that would give the same text again."""
    whole = parse_arguments(arguments)
    if whole and json.dumps(whole, ensure_ascii=False, separators=(",", ":")) == arguments:
        return whole
    return None


def _input_delta(block: int, arguments: str) -> dict[str, Any]:
    piece = {"type": "input_json_delta", "partial_json": arguments}
    return {"type": "content_block_delta", "index": block, "delta": piece}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def _frame(payload: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (payload["type"].encode(), json_bytes(payload))
