"""Events to the bytes of an interaction's stream: the inverse of `decode.py`.

What the format has no place for is left out: STATUS and RETRY, tools of another provider's; a refusal's words become
text. A filtered answer is `incomplete`. A failure that only a cut can express (truncated, connection) writes no error:
whoever sends the bytes ends them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from llmstream.checks import as_text
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
from llmstream.messages import File, FinishReason, Source, ToolCall, ToolResult
from llmstream.provider_data import own_notes
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import Writer, ending_word, sayable_failure
from llmstream.wire.gemini_interactions.citations import render_citation
from llmstream.wire.gemini_interactions.steps import (
    CALL,
    CONTINUATION,
    FORMAT,
    own_step,
    render_media,
)
from llmstream.wire.gemini_interactions.usage import render_usage
from llmstream.wire.json_fields import present
from llmstream.wire.opaque_encoder import OpaqueEncoder
from llmstream.wire.outbound import encode_json

_STATUSES = {
    FinishReason.LENGTH: "incomplete",
    FinishReason.CONTENT_FILTER: "incomplete",
    FinishReason.TOOL_CALLS: "requires_action",
    FinishReason.PAUSE: "requires_continuation",
}
_CODES = {
    "authentication": "authentication",
    "permission": "permission_denied",
    "not_found": "not_found",
    "invalid_request": "invalid_request",
    "rate_limit": "rate_limit_exceeded",
    "quota": "payment_required",
    "overloaded": "service_unavailable",
    "timeout": "deadline_exceeded",
    "content_filter": "safety",
    "invalid_output": "malformed_function_call",
    "context_length": "context_length_exceeded",
    "tool_use_failed": "tool_use_failed",
}
"""https://ai.google.dev/gemini-api/docs/api-errors, and OpenAI's words for the last two, which it has none for."""
_Frames = Iterator[dict[str, Any]]


class _ToldText(NamedTuple):
    """The text of one step."""

    step: int
    before: int
    """Characters of the answer before it."""
    chunks: list[str]


class InteractionsEncoder(OpaqueEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    format = FORMAT
    _placeless = frozenset({"call", "span"})

    def __init__(self) -> None:
        super().__init__()
        self._head: dict[str, Any] = {}
        self._next = 0  # the index of the next step
        self._open: str | None = None  # the type of the step that goes on, which is the last one
        self._texts: list[_ToldText] = []
        self._going: dict[int, _ToldText] = {}  # those whose steps go on, by their numbers
        self._told = 0  # characters of all text
        self._calls: dict[str, int] = {}  # the steps of calls by id
        self._indexes: dict[int, int] = {}  # the same, by the delta's index
        self._continuation: str | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_frame, self._frames(event)))

    # --- steps ---------------------------------------------------------------------------------------------

    def _ensure(self, kind: str) -> _Frames:
        """Make sure that a step of this type goes on."""
        if self._open == kind:
            return
        yield from self._close()
        yield self._start_step({"type": kind})
        self._open = kind

    def _start_step(self, step: dict[str, Any]) -> dict[str, Any]:
        index = self._next
        self._next += 1
        return {"index": index, "step": step, "event_type": "step.start"}

    def _close(self) -> _Frames:
        if self._open is not None:
            self._open = None
            going = [text.step for text in self._going.values()]
            self._going.clear()
            yield from map(_stop, going or [self._next - 1])

    def _whole(self, step: dict[str, Any] | None) -> _Frames:
        """A step that comes at once; None has no place here."""
        if step is not None:
            yield from self._close()
            yield self._start_step(step)
            yield _stop(self._next - 1)

    def _delta(self, kind: str, **said: Any) -> dict[str, Any]:
        return _delta(self._next - 1, kind, **said)

    def _text(self, delta: TextDelta | RefusalDelta) -> _Frames:
        yield from self._ensure_text(delta.part)
        text = self._going[delta.part]
        text.chunks.append(delta.content)
        self._told += len(delta.content)
        yield _delta(text.step, "text", text=delta.content)

    def _ensure_text(self, number: int | None = None) -> _Frames:
        """Make sure that a text goes on: that with this number, beside others, or any."""
        if number in self._going or (number is None and self._going):
            return
        if not self._going:
            yield from self._close()
        yield self._start_step({"type": "model_output"})
        self._open = "model_output"
        text = self._going[number or 0] = _ToldText(self._next - 1, self._told, [])
        self._texts.append(text)

    def _reasoning(self, delta: ReasoningDelta) -> _Frames:
        yield from self._ensure("thought")
        yield self._delta("thought_summary", content={"type": "text", "text": delta.content})

    def _source(self, source: Source) -> _Frames:
        """A citation stands with the text that it is about, which may be an earlier step's."""
        if not self._texts:
            yield from self._ensure_text()
        start = source.start or 0
        about = next((text for text in reversed(self._texts) if text.before <= start), None)
        place = self._texts[-1] if about is None or source.end is None else about
        annotation = render_citation(source, "".join(place.chunks), place.before)
        yield _delta(place.step, "text_annotation_delta", annotations=[annotation])

    def _file(self, file: File) -> _Frames:
        if file.data is None and file.url is None:
            return
        content = render_media(file.data, file.url, file.media_type, file.provider_data)
        if content["type"] == "audio":  # pieces of one step are one sound
            yield from self._close()
        yield from self._ensure_text()
        yield _delta(self._next - 1, **content)
        if content["type"] == "audio":
            yield from self._close()

    def _kept(self, data: Mapping[str, Any]) -> _Frames:
        item = data.get("item")
        if item is None:
            yield from self._ensure("thought")
            yield self._delta("thought_signature", signature=data.get("signature") or "")
            yield from self._close()
        elif CONTINUATION in item:
            self._continuation = item[CONTINUATION]
        else:
            yield from self._whole(item)

    # --- calls ---------------------------------------------------------------------------------------------

    def _call_delta(self, delta: ToolCallDelta) -> _Frames:
        if delta.id:
            yield from self._announce(delta.id, delta.name, delta.provider_data)
            self._indexes[delta.index] = self._calls[delta.id]
        if delta.arguments:
            yield _arguments(self._indexes[delta.index], delta.arguments)

    def _announce(self, id: str, name: str, data: Mapping[str, Any] | None) -> _Frames:
        yield from self._close()
        self._calls[id] = self._next
        step = {"type": CALL, "id": id, "name": name, "arguments": {}, **_signature(data)}
        yield self._start_step(step)

    def _call(self, call: ToolCall) -> _Frames:
        if call.executed_by == "provider":
            yield from self._whole(own_step(call))
            return
        if call.id not in self._calls:
            yield from self._announce(call.id, call.name, call.provider_data)
            if call.arguments:
                yield _arguments(self._calls[call.id], call.arguments)
        if call.complete:
            yield _stop(self._calls[call.id])

    def _result(self, result: ToolResult) -> _Frames:
        yield from self._whole(own_step(result))

    # --- the message ---------------------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> _Frames:
        self._started = True
        start = event.start or Start()
        head = {"id": start.id or "", "object": "interaction"}
        self._head = {**head, **present(model=start.model)}
        yield self._interaction("created", "in_progress")
        yield from self._tell_early()

    def _interaction(self, happened: str, status: str, **more: Any) -> dict[str, Any]:
        interaction = {**self._head, "status": status, **present(**more)}
        return {"interaction": interaction, "event_type": f"interaction.{happened}"}

    def _end(self, event: StreamEvent) -> _Frames:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        yield from self._close()
        status = ending_word(event, FORMAT, _STATUSES, "completed") or "completed"
        more = {CONTINUATION: self._continuation, "usage": render_usage(event.usage)}
        yield self._interaction("completed", status, **more)

    def _error(self, event: StreamEvent) -> _Frames:
        if event.usage is not None:
            update = {"interaction_id": self._head.get("id", ""), "status": "in_progress"}
            update["usage"] = render_usage(event.usage)
            yield {**update, "event_type": "interaction.status_update"}
        info = sayable_failure(event)
        if info is not None:
            yield {"error": render_error(info), "event_type": "error"}

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text,
        EventType.REASONING_DELTA: _reasoning,
        EventType.REFUSAL_DELTA: _text,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _call,
        EventType.TOOL_RESULT: _result,
        EventType.SOURCE: _source,
        EventType.FILE: _file,
        EventType.STATUS: OpaqueEncoder.write_status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _end,
        EventType.ERROR: _error,
    }


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """Google's error object. The code says the kind, where the provider's own doesn't."""
    told = {"code": info.code or _CODES.get(info.kind, "api_error"), "message": info.message}
    if parse_error({"error": told}).kind != info.kind:
        told["code"] = _CODES.get(info.kind, "api_error")
    return told


def _signature(data: Mapping[str, Any] | None) -> dict[str, Any]:
    return present(signature=as_text(own_notes(data, FORMAT).get("signature")))


def _stop(index: int) -> dict[str, Any]:
    return {"index": index, "event_type": "step.stop"}


def _delta(index: int, type: str, **said: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"type": type, **said}, "event_type": "step.delta"}


def _arguments(index: int, arguments: str) -> dict[str, Any]:
    return _delta(index, "arguments_delta", arguments=arguments)


def _frame(payload: dict[str, Any]) -> bytes:
    data = encode_json(json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
    return b"event: %s\ndata: %s\n\n" % (str(payload["event_type"]).encode(), data)
