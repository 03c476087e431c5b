"""Events to the bytes of a Converse stream: the inverse of `decode.py`. `whole_answer.py` has the document.

What the format has no place for is left out: ids and models, STATUS and RETRY, files that aren't pictures; a refusal's
words become text. A failure that only a cut can express (truncated, connection) writes no exception: whoever sends the
bytes ends them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmstream.messages import File, FinishReason, Source, ToolCall, ToolResult
from llmstream.provider_data import own_data, own_notes
from llmstream.wire.bedrock_converse.blocks import CITATION, FORMAT, SERVER_TOOL
from llmstream.wire.bedrock_converse.files import image_block
from llmstream.wire.bedrock_converse.members import DETAILS, FIELDS
from llmstream.wire.bedrock_converse.usage import render_usage
from llmstream.wire.error_kinds import classify
from llmstream.wire.event_encoder import Writer, sayable_failure
from llmstream.wire.finish_words import render_finish_word
from llmstream.wire.framing.event_stream import EventStream
from llmstream.wire.json_fields import present
from llmstream.wire.opaque_encoder import OpaqueEncoder
from llmstream.wire.outbound import encode_json

_FRAMING = EventStream()
_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "content_filtered",
    FinishReason.REFUSAL: "content_filtered",
    FinishReason.PAUSE: "max_tokens",
}
"""A pause has no word here; what stands isn't whole. The other reasons are left out."""
_EXCEPTIONS = {
    "authentication": "unrecognizedClientException",
    "permission": "accessDeniedException",
    "not_found": "resourceNotFoundException",
    "invalid_request": "validationException",
    "content_filter": "validationException",
    "context_length": "validationException",
    "quota": "serviceQuotaExceededException",
    "rate_limit": "throttlingException",
    "overloaded": "serviceUnavailableException",
    "timeout": "modelTimeoutException",
}
"""The class of an exception, by the kind of error. Others: the server's."""
_SERVER = "internalServerException"


class ConverseEvent(NamedTuple):
    """One event of the stream."""

    name: str
    payload: dict[str, Any]


_Events = Iterator[ConverseEvent]


class ConverseEncoder(OpaqueEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    format = FORMAT

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        self._prose: tuple[str, int] | None = None  # the open block of text or reasoning
        self._calls: dict[int, int] = {}  # open blocks of calls by the call's index
        self._ids: dict[str, int] = {}  # announced calls: id to the call's index

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_message, self._frames(event)))

    def events(self, event: StreamEvent) -> Iterator[ConverseEvent]:
        """The same, not yet bytes."""
        return self._frames(event)

    # --- blocks --------------------------------------------------------------------------------------------

    def _open(self) -> int:
        self._next += 1
        return self._next - 1

    def _whole(self, kind: str, start: dict[str, Any], *deltas: Any) -> _Events:
        """A block of another kind than words."""
        yield from self._close_prose()
        index = self._open()
        yield _start(index, kind, start)
        for delta in deltas:
            yield _delta(index, kind, delta)
        yield _stop(index)

    def _close_prose(self) -> _Events:
        if self._prose is not None:
            yield _stop(self._prose[1])
            self._prose = None

    def _write(self, kind: str, name: str, said: Any) -> _Events:
        """Add to the open block of words, or to a new one, which has no start."""
        if self._prose is None or self._prose[0] != kind:
            yield from self._close_prose()
            self._prose = (kind, self._open())
        yield _delta(self._prose[1], name, said)

    def _prose_delta(self, delta: TextDelta | RefusalDelta) -> _Events:
        yield from self._write("text", "text", delta.content)

    def _reasoning_delta(self, delta: ReasoningDelta) -> _Events:
        yield from self._write("reasoningContent", "reasoningContent", {"text": delta.content})

    def _source(self, source: Source) -> _Events:
        yield from self._write("text", "citation", render_citation(source))

    def _file(self, file: File) -> _Events:
        block = image_block(file)
        if block is not None:
            source = {"source": block["source"]}
            yield from self._whole("image", {"format": block["format"]}, source)

    def _end_text(self) -> _Events:
        yield from self._close_prose()

    def _kept(self, data: Mapping[str, Any]) -> _Events:
        said = data["item"].get("reasoningContent") if "item" in data else _signed(data)
        if said is not None:
            if "item" in data:
                yield from self._close_prose()
            yield from self._write("reasoningContent", "reasoningContent", said)
            yield from self._close_prose()

    def _call_delta(self, delta: ToolCallDelta) -> _Events:
        if delta.index not in self._calls and delta.id not in self._ids:
            yield from self._close_prose()
            self._calls[delta.index] = self._open()
            self._ids[delta.id] = delta.index
            start = {"toolUseId": delta.id, "name": delta.name}
            yield _start(self._calls[delta.index], "toolUse", start)
        index = self._calls.get(delta.index)
        if delta.arguments and index is not None:
            yield _delta(index, "toolUse", {"input": delta.arguments})

    def _call(self, call: ToolCall) -> _Events:
        if call.executed_by == "provider":
            start = {"toolUseId": call.id, "name": call.name, "type": SERVER_TOOL}
            deltas = [{"input": call.arguments}] if call.arguments else []
            yield from self._whole("toolUse", start, *deltas)
            return
        if call.id not in self._ids:
            index = -1 - len(self._ids)
            yield from self._call_delta(ToolCallDelta(index, call.id, call.name, call.arguments))
        block = self._calls.pop(self._ids[call.id], None)
        if block is not None:
            yield _stop(block)

    def _result(self, result: ToolResult) -> _Events:
        own = own_data(result.provider_data, FORMAT)
        if result.executed_by != "provider" or not own:
            return  # another format's results have no place here
        status = "error" if result.is_error else "success"
        start = {"toolUseId": result.tool_call_id, "status": status, **own}
        yield from self._whole("toolResult", start, render_content(result.content))

    # --- the message ---------------------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> _Events:
        self._started = True
        yield ConverseEvent("messageStart", {"role": "assistant"})
        yield from self._tell_early()

    def _complete(self, event: StreamEvent) -> _Events:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        yield from self._close_prose()
        for index in self._calls.values():
            yield _stop(index)
        yield ConverseEvent("messageStop", _ending(event))
        yield ConverseEvent("metadata", _metadata(event))

    def _error(self, event: StreamEvent) -> _Events:
        if event.usage is not None:
            yield ConverseEvent("metadata", _metadata(event))
        info = sayable_failure(event)
        if info is not None:
            yield ConverseEvent(exception_name(info), {"message": info.message})

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _prose_delta,
        EventType.REASONING_DELTA: _reasoning_delta,
        EventType.REFUSAL_DELTA: _prose_delta,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _call,
        EventType.TOOL_RESULT: _result,
        EventType.SOURCE: _source,
        EventType.FILE: _file,
        EventType.STATUS: OpaqueEncoder.write_status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _complete,
        EventType.ERROR: _error,
    }


def exception_name(info: ErrorInfo) -> str:
    """The class of the exception that reports a failure: its own code, if that says as much."""
    code = info.code
    if code is not None and code.endswith("Exception") and classify([code], "", None) == info.kind:
        return code
    return _EXCEPTIONS.get(info.kind, _SERVER)


def _signed(data: Mapping[str, Any]) -> dict[str, Any] | None:
    signature = data.get("signature")
    return {"signature": signature} if signature else None


def _ending(event: StreamEvent) -> dict[str, Any]:
    raw, reason = event.raw_finish_reason, event.finish_reason
    word = render_finish_word(raw, reason, FORMAT) or _REASONS.get(reason or FinishReason.UNKNOWN)
    fields = (event.stop_details or {}).get(FIELDS)
    return present(stopReason=word, **{FIELDS: fields})


def _metadata(event: StreamEvent) -> dict[str, Any]:
    told = event.stop_details or {}
    details = {name: told[name] for name in DETAILS if name in told and name != FIELDS}
    return {"usage": render_usage(event.usage), "metrics": {"latencyMs": 0}, **details}


def render_citation(source: Source) -> dict[str, Any]:
    """A citation in its own words, if it is one of this format's; else as one of a page or a document."""
    own: dict[str, Any] | None = own_notes(source.provider_data, FORMAT).get(CITATION)
    if own is not None:
        return own
    location: dict[str, Any] = {}
    if source.url is not None:
        location = {"web": {"url": source.url}}
    elif source.start is not None:
        place = {"documentIndex": 0, "start": source.start, **present(end=source.end)}
        location = {"documentChar": place}
    excerpt = [{"text": source.excerpt}] if source.excerpt else None
    return present(title=source.title, sourceContent=excerpt, location=location)


def render_content(content: Any) -> list[Any]:
    """What a result says, as a list of blocks."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    is_own = isinstance(content, list) and all(isinstance(each, dict) for each in content)
    return content if is_own else [{"json": content}]


def _start(index: int, kind: str, start: dict[str, Any]) -> ConverseEvent:
    return ConverseEvent("contentBlockStart", {"contentBlockIndex": index, "start": {kind: start}})


def _delta(index: int, kind: str, delta: Any) -> ConverseEvent:
    return ConverseEvent("contentBlockDelta", {"contentBlockIndex": index, "delta": {kind: delta}})


def _stop(index: int) -> ConverseEvent:
    return ConverseEvent("contentBlockStop", {"contentBlockIndex": index})


def _message(event: ConverseEvent) -> bytes:
    text = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    write = _FRAMING.exception if event.name.endswith("Exception") else _FRAMING.frame
    return write(encode_json(text), event.name)
