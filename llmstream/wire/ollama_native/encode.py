"""Events to the lines of an Ollama answer: the inverse of `decode.py`.

What the format has no place for is left out: sources, tools that the provider ran, calls whose arguments aren't an
object, STATUS and RETRY; a refusal's words become text. A failure that only a cut can express (truncated, connection)
writes nothing: whoever sends the bytes ends them there.
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
)
from llmstream.messages import File, FinishReason, ToolCall, Usage
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import EventEncoder, Writer, ending_word, sayable_failure
from llmstream.wire.json_fields import present
from llmstream.wire.ollama_native.decode import FORMAT
from llmstream.wire.outbound import encode_json, input_of

LONG_AGO = "1970-01-01T00:00:00Z"
"""Ollama's clients want a time in each line. What is encoded has none."""
_REASONS = {
    FinishReason.LENGTH: "length",
    FinishReason.PAUSE: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "refusal",
}
"""Ollama has no words for the last two, but an answer that was kept back must not look like a whole one."""
_TYPES = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "invalid_request": "bad_request",
    "context_length": "context_length_exceeded",
    "content_filter": "content_filter",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "overloaded_error",
    "tool_use_failed": "tool_use_failed",
}
_Lines = Iterator[dict[str, Any]]


class OllamaEncoder(EventEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    def __init__(self) -> None:
        self._model: str | None = None
        self._started = False
        self._calls = 0

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(_line, self._frames(event)))

    def _begin(self, event: StreamEvent) -> _Lines:
        self._started = True
        start = event.start or Start()
        self._model = start.model
        yield self._message({"content": ""}, **present(id=start.id))

    def _text(self, delta: TextDelta | RefusalDelta) -> _Lines:
        yield self._message({"content": delta.content})

    def _reasoning(self, delta: ReasoningDelta) -> _Lines:
        yield self._message({"content": "", "thinking": delta.content})

    def _call(self, call: ToolCall) -> _Lines:
        given = input_of(call)
        if call.executed_by == "provider" or not call.complete or given is None:
            return
        function = {"index": self._calls, "name": call.name, "arguments": given}
        self._calls += 1
        yield self._message({"content": "", "tool_calls": [{"id": call.id, "function": function}]})

    def _file(self, file: File) -> _Lines:
        if file.is_image and file.data is not None:
            yield self._message({"content": "", "images": [file.data]})

    def _end(self, event: StreamEvent) -> _Lines:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        usage = event.usage or Usage()
        yield {
            **self._message({"content": ""}),
            "done": True,
            **present(
                done_reason=ending_word(event, FORMAT, _REASONS, "stop"),
                prompt_eval_count=usage.input_tokens,
                eval_count=usage.output_tokens,
            ),
        }

    def _error(self, event: StreamEvent) -> _Lines:
        info = sayable_failure(event)
        if info is not None:
            yield render_error(info)

    def _message(self, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        head = {**present(model=self._model), "created_at": LONG_AGO, **more}
        return {**head, "message": {"role": "assistant", **message}, "done": False}

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text,
        EventType.REASONING_DELTA: _reasoning,
        EventType.REFUSAL_DELTA: _text,
        EventType.TOOL_CALL: _call,
        EventType.FILE: _file,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _end,
        EventType.ERROR: _error,
    }


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """Ollama's error, which is a text. A type stands beside it where the rest doesn't say the kind."""
    body = {"error": info.message, **present(code=info.code)}
    if parse_error(body).kind != info.kind:
        body["type"] = _TYPES.get(info.kind, "server_error")
    return body


def _line(payload: dict[str, Any]) -> bytes:
    return encode_json(json.dumps(payload, ensure_ascii=False, separators=(",", ":"))) + b"\n"
