"""Events to the bytes of a Cohere stream: the inverse of `decode.py`.

What the format has no place for is left out: files, tools that the provider ran, STATUS and RETRY; a refusal's words
become text, a plan becomes thinking. A failure that only a cut can express (truncated, connection) writes nothing:
whoever sends the bytes ends them there.
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
from llmstream.messages import FinishReason, Source, ToolCall, Usage
from llmstream.wire.cohere_v2.citations import FORMAT, render_citation
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import EventEncoder, Writer, ending_word, sayable_failure
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import encode_json

_REASONS = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.PAUSE: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "TOOL_CALL",
}
_TYPES = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "invalid_request": "bad_request",
    "context_length": "TOO_MANY_TOKENS",
    "content_filter": "content_filter",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "overloaded_error",
    "tool_use_failed": "tool_use_failed",
}
_Frames = Iterator[dict[str, Any]]


class CohereEncoder(EventEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    def __init__(self) -> None:
        self._started = False
        self._next = 0  # the index of the next block
        self._open: str | None = None  # the kind of the open block
        self._said = 0  # characters of all text
        self._before = 0  # those before the last block of text
        self._cited = 0
        self._indexes: dict[str, int] = {}  # announced calls by id

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_frame, self._frames(event)))

    # --- blocks --------------------------------------------------------------------------------------------

    def _ensure(self, kind: str) -> _Frames:
        if self._open == kind:
            return
        yield from self._close()
        self._open = kind
        if kind == "text":
            self._before = self._said
        yield _event("content-start", self._next, content={"type": kind, kind: ""})

    def _close(self) -> _Frames:
        if self._open is not None:
            yield {"type": "content-end", "index": self._next}
            self._next += 1
            self._open = None

    def _text(self, delta: TextDelta | RefusalDelta) -> _Frames:
        yield from self._ensure("text")
        self._said += len(delta.content)
        yield _event("content-delta", self._next, content={"text": delta.content})

    def _reasoning(self, delta: ReasoningDelta) -> _Frames:
        yield from self._ensure("thinking")
        yield _event("content-delta", self._next, content={"thinking": delta.content})

    def _source(self, source: Source) -> _Frames:
        yield from self._ensure("text")
        citation = render_citation(source, self._before)
        yield _event("citation-start", self._cited, citations=citation)
        yield {"type": "citation-end", "index": self._cited}
        self._cited += 1

    # --- calls ---------------------------------------------------------------------------------------------

    def _call_delta(self, delta: ToolCallDelta) -> _Frames:
        if delta.id:
            yield from self._announce(delta.id, delta.name, delta.arguments)
        else:
            function = {"arguments": delta.arguments}
            yield _event("tool-call-delta", delta.index, tool_calls={"function": function})

    def _call(self, call: ToolCall) -> _Frames:
        if call.executed_by == "provider":
            return
        if call.id not in self._indexes:
            yield from self._announce(call.id, call.name, call.arguments)
        if call.complete:
            yield {"type": "tool-call-end", "index": self._indexes[call.id]}

    def _announce(self, id: str, name: str, arguments: str) -> _Frames:
        yield from self._close()
        index = self._indexes[id] = len(self._indexes)
        function = {"name": name, "arguments": arguments}
        call = {"id": id, "type": "function", "function": function}
        yield _event("tool-call-start", index, tool_calls=call)

    # --- the message as a whole ----------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> _Frames:
        self._started = True
        start = event.start or Start()
        message = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        head = present(id=start.id, model=start.model)
        yield {**head, "type": "message-start", "delta": {"message": message}}

    def _end(self, event: StreamEvent) -> _Frames:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        yield from self._close()
        usage = None if event.usage is None else render_usage(event.usage)
        delta = present(finish_reason=ending_word(event, FORMAT, _REASONS, "COMPLETE"), usage=usage)
        yield {"type": "message-end", "delta": delta}

    def _error(self, event: StreamEvent) -> _Frames:
        info = sayable_failure(event)
        if info is not None:
            usage = None if event.usage is None else render_usage(event.usage)
            delta = {"finish_reason": "ERROR", **render_error(info), **present(usage=usage)}
            yield {"type": "message-end", "delta": delta}

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text,
        EventType.REASONING_DELTA: _reasoning,
        EventType.REFUSAL_DELTA: _text,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _call,
        EventType.SOURCE: _source,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _end,
        EventType.ERROR: _error,
    }


def render_usage(usage: Usage) -> dict[str, Any]:
    """Cohere's usage object."""
    tokens = present(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
    return present(tokens=tokens, cached_tokens=usage.cache_read_tokens)


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """The members of `message-end` that say a failure; a type where the words don't say the kind."""
    told = {"message": info.message, **present(error_type=info.code)}
    if parse_error(told).kind != info.kind:
        told["error_type"] = _TYPES.get(info.kind, "server_error")
    return {"error": info.message, **present(error_type=told.get("error_type"))}


def _event(kind: str, index: int, **message: Any) -> dict[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": message}}


def _frame(payload: dict[str, Any]) -> bytes:
    data = encode_json(json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
    return b"event: %s\ndata: %s\n\n" % (str(payload["type"]).encode(), data)
