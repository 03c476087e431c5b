"""Events to the bytes of a generateContent stream: the inverse of `decode.py`.

What the format has no place for is left out: STATUS and RETRY; a refusal's words become text. A call leaves whole, for
its arguments are an object here; one that was cut leaves as the text of its beginning, in pieces that nobody closes. A
failure that only a cut can express (truncated, connection) writes no error: whoever sends the bytes ends them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object
from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
)
from llmstream.messages import File, FinishReason, Source, ToolCall, ToolResult, parse_arguments
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import Writer, sayable_failure
from llmstream.wire.finish_words import read_finish_word, render_finish_word
from llmstream.wire.gemini_generate.decode import CONTINUATION
from llmstream.wire.gemini_generate.partial_args import split_arguments
from llmstream.wire.gemini_generate.parts import (
    FORMAT,
    SIGNATURE,
    own_beside,
    render_media,
    render_ran,
    render_result,
)
from llmstream.wire.gemini_generate.sources import render_source
from llmstream.wire.gemini_generate.usage import render_usage
from llmstream.wire.json_fields import present
from llmstream.wire.opaque_encoder import OpaqueEncoder
from llmstream.wire.outbound import encode_json

_REASONS = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.PAUSE: "CONTINUATION",
    FinishReason.UNKNOWN: "FINISH_REASON_UNSPECIFIED",
}
_ERRORS = {
    "authentication": (401, "UNAUTHENTICATED"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "overloaded": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
}
_CODES = {
    "quota": "insufficient_quota",
    "context_length": "context_length_exceeded",
    "content_filter": "content_filter",
    "tool_use_failed": "tool_use_failed",
    "invalid_output": "output_parse_failed",
}
"""Words for kinds that Google has no status for."""
_DETAIL = "type.googleapis.com/google.rpc.ErrorInfo"
_Chunks = Iterator[dict[str, Any]]


class GenerateEncoder(OpaqueEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    format = FORMAT
    _placeless = frozenset({"call", "span"})

    def __init__(self) -> None:
        super().__init__()
        self._head: dict[str, Any] = {}
        self._prose: list[str] = []  # all text, for the places of sources
        self._thinks = False  # the last part was reasoning
        self._continuation: str | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_frame, self._frames(event)))

    def _text(self, delta: TextDelta | RefusalDelta) -> _Chunks:
        self._prose.append(delta.content)
        yield self._part({"text": delta.content})

    def _reasoning(self, delta: ReasoningDelta) -> _Chunks:
        yield self._part({"text": delta.content, "thought": True})
        self._thinks = True

    def _source(self, source: Source) -> _Chunks:
        yield self._chunk(render_source(source, "".join(self._prose)))

    def _file(self, file: File) -> _Chunks:
        if file.data is not None or file.url is not None:
            media = render_media(file.data, file.url, file.media_type, file.name)
            yield self._part({**media, **own_beside(file.provider_data)})

    def _kept(self, data: Mapping[str, Any]) -> _Chunks:
        item = data.get("item")
        if item is None:
            thought = {"thought": True} if self._thinks else {}
            yield self._part({"text": "", **thought, SIGNATURE: data.get("signature") or ""})
        elif CONTINUATION in item:
            self._continuation = item[CONTINUATION]
        else:
            yield self._part(item)

    def _call(self, call: ToolCall) -> _Chunks:
        if call.executed_by == "provider":
            part = render_ran(call)
            if part is not None:
                yield self._part(part)
            return
        said = {"id": call.id, "name": call.name}
        extra = own_beside(call.provider_data)
        whole = parse_arguments(call.arguments)
        if whole is None:
            pieces = present(partialArgs=split_arguments(call.arguments) or None)
            yield self._part({"functionCall": {**said, "willContinue": True, **pieces}, **extra})
            return
        args = {"args": whole} if call.arguments else {}
        yield self._part({"functionCall": {**said, **args}, **extra})

    def _result(self, result: ToolResult) -> _Chunks:
        part = render_result(result)
        if part is not None:
            yield self._part(part)

    # --- the message ---------------------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> _Chunks:
        self._started = True
        start = event.start or Start()
        self._head = present(modelVersion=start.model, responseId=start.id)
        yield self._part({"text": ""})
        yield from self._tell_early()

    def _complete(self, event: StreamEvent) -> _Chunks:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        usage = present(usageMetadata=render_usage(event.usage))
        details = as_object(event.stop_details)
        if _is_block(event):
            blocked = {**details, "blockReason": event.raw_finish_reason}
            yield {**self._head, "promptFeedback": blocked, **usage}
            return
        ratings = details.get("safetyRatings")
        beside = present(finishMessage=details.get("finishMessage"), safetyRatings=ratings)
        end = {
            "finishReason": _render_reason(event),
            **beside,
            **present(**{CONTINUATION: self._continuation}),
        }
        yield {**self._chunk(end), **usage}

    def _error(self, event: StreamEvent) -> _Chunks:
        if event.usage is not None:
            yield {**self._head, "usageMetadata": render_usage(event.usage)}
        info = sayable_failure(event)
        if info is not None:
            yield {"error": render_error(info)}

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        self._thinks = False
        return self._chunk({"content": {"parts": [part], "role": "model"}})

    def _chunk(self, candidate: dict[str, Any]) -> dict[str, Any]:
        return {"candidates": [{**candidate, "index": 0}], **self._head}

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text,
        EventType.REASONING_DELTA: _reasoning,
        EventType.REFUSAL_DELTA: _text,
        EventType.TOOL_CALL: _call,
        EventType.TOOL_RESULT: _result,
        EventType.SOURCE: _source,
        EventType.FILE: _file,
        EventType.STATUS: OpaqueEncoder.write_status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _complete,
        EventType.ERROR: _error,
    }


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """Google's error object. A code of somebody else's, or a kind without a status, is its reason."""
    number, word = _ERRORS.get(info.kind, (500, "INTERNAL"))
    body: dict[str, Any] = {"code": number, "message": info.message, "status": word}
    reason = info.code or _CODES.get(info.kind)
    if reason is not None and reason != word:
        body["details"] = [{"@type": _DETAIL, "reason": reason}]
    if parse_error({"error": body}).kind != info.kind and info.kind in _CODES:
        body["details"] = [{"@type": _DETAIL, "reason": _CODES[info.kind]}]
    return body


def _is_block(event: StreamEvent) -> bool:
    """Whether the prompt was blocked: the answer is empty, and its word isn't one that ends answers so."""
    raw = event.raw_finish_reason
    if event.finish_reason is not FinishReason.CONTENT_FILTER or raw is None:
        return False
    is_told = "blockReason" in as_object(event.stop_details)
    return is_told or read_finish_word(raw, FORMAT) is not FinishReason.CONTENT_FILTER


def _render_reason(event: StreamEvent) -> str:
    raw, reason = event.raw_finish_reason, event.finish_reason
    word = render_finish_word(raw, reason, FORMAT)
    return word or _REASONS.get(reason or FinishReason.STOP, "STOP")


def _frame(payload: dict[str, Any]) -> bytes:
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + encode_json(data) + b"\n\n"
