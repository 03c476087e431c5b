"""The AI SDK's UI message stream, version 1: `useChat` and every UI built on it, unchanged.

Format: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol; SDK 6 and 7 check each part against a schema and fail on
any they don't know, so nothing but the parts of both is sent, with one exception: `reset-step` (7), which drops what a
step has shown when it begins anew. SDK 6 has no such word, and the two can't be told apart by what they send: its
apps say `new DefaultChatTransport({body: {resetStep: false}})`, and an answer that would begin anew ends in an error.

STATUS and RETRY leave as transient `data-status` and `data-retry` parts (`onData`); usage, model and finish reason as
message metadata, and after a failure the request's id. What a provider wants sent back (a reasoning signature …)
travels in `providerMetadata.llmstream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.arguments import build_request
from llmstream.checks import check_type
from llmstream.errors import ErrorInfo
from llmstream.events.types import Retry, Status, StreamEvent, ToolCallDelta
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)
from llmstream.plain_values import dump
from llmstream.web.dialects.ai_sdk_messages import parse_tools, parse_ui_messages
from llmstream.web.dialects.answers import CUT_CALL, Frames, StepAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.request_checks import ask_for, object_of
from llmstream.wire.json_fields import present

_FINISH = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool-calls",
    FinishReason.CONTENT_FILTER: "content-filter",
    FinishReason.REFUSAL: "content-filter",
}


@dataclass(slots=True)
class UiReply:
    """How to answer."""

    message_id: str | None
    """Of the assistant message at the end, which this answer goes on with; a new one gets the client's own id."""
    resets: bool


@dataclass
class AiSdk:
    """The dialect."""

    format: str | None = None
    path: str = "/ai/chat"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"x-vercel-ai-ui-message-stream": "v1"}
    )
    keep_alive: bytes = b": keep-alive\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place.

        Beside the SDK's own fields an app may send `model`, `system`, `tools` (`{name: {description, parameters}}`)
        and `resetStep`.
        """
        body = object_of(body)
        model = check_type(body.get("model"), str, "model must be a string")
        system = check_type(body.get("system"), str, "system must be a string")
        resets = check_type(body.get("resetStep"), bool, "resetStep must be true or false")
        messages = parse_ui_messages(body.get("messages"))
        if system:
            messages.insert(0, Message("system", [TextPart(system)]))
        request = build_request(messages, model or "", tools=parse_tools(body.get("tools")))
        reply = UiReply(_continued(body["messages"]), resets is not False)
        return ask_for(request, model=model, stream=True, reply=reply)

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfText(_UiAnswer(ask.reply))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """There is none: raises TypeError."""
        raise TypeError("the AI SDK's chat has no document: its answers are streams")

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error; the SDK shows it as it is."""
        return {"error": info.message, "code": info.kind, "request_id": request_id}


class _UiAnswer(StepAnswer):
    """One UI message."""

    def __init__(self, reply: UiReply) -> None:
        super().__init__(takes_back=reply.resets)
        self._message_id = reply.message_id
        self._block: tuple[str, str, str] | None = None  # what is open: kind, part, id
        self._number = 0  # that of the words in it
        self._parked: dict[
            int, tuple[str, str, str]
        ] = {}  # others of its kind that go on, by number
        self._blocks = 0
        self._sources = 0

    def _encode(self, event: StreamEvent) -> bytes:
        frames = super()._encode(event)
        return frames + b"data: [DONE]\n\n" if self.ended else frames

    # --- steps ---------------------------------------------------------------------------------------------

    def _start(self) -> dict[str, Any]:
        return {"type": "start", **present(messageId=self._message_id)}

    def _step_start(self) -> dict[str, Any]:
        return {"type": "start-step"}

    def _step_end(self) -> dict[str, Any]:
        return {"type": "finish-step"}

    def _finish(self, event: StreamEvent) -> dict[str, Any]:
        model = event.start.model if event.start is not None else None
        metadata = present(
            model=model, finishReason=event.finish_reason, usage=_render_usage(event.usage)
        )
        reason = _FINISH.get(event.finish_reason or FinishReason.UNKNOWN, "other")
        return {"type": "finish", "finishReason": reason, **present(messageMetadata=metadata)}

    def _fail(self, info: ErrorInfo, event: StreamEvent) -> Frames:
        metadata = present(usage=_render_usage(event.usage), requestId=info.request_id)
        if metadata:
            yield {"type": "message-metadata", "messageMetadata": metadata}
        yield {"type": "error", "errorText": info.message or "Something went wrong."}

    def _notice(self, status: Status) -> dict[str, Any]:
        return {"type": "data-status", "data": dump(status), "transient": True}

    def _retry(self, retry: Retry) -> Frames:
        told = {
            "attempt": retry.attempt,
            "maxAttempts": retry.max_attempts,
            "delay": retry.delay,
            "kind": retry.kind,
        }
        yield {"type": "data-retry", "data": {**told, "discard": retry.discard}, "transient": True}
        if retry.discard:
            self._block = None
            self._parked.clear()
            self._early.clear()
            self._indexes.clear()
            yield {"type": "reset-step"}

    # --- pieces --------------------------------------------------------------------------------------------

    def _write(self, kind: str, content: str, number: int) -> Frames:
        if self._block is None or self._block[0] != kind:
            yield from self._close()
            yield self._open(kind)
        elif number != self._number:
            self._parked[self._number] = self._block
            self._block = self._parked.pop(number, None)
            if self._block is None:
                yield self._open(kind)
        self._number = number
        assert self._block is not None  # noqa: S101  # just opened
        _, part, id = self._block
        yield {"type": f"{part}-delta", "id": id, "delta": content}

    def _open(self, kind: str) -> dict[str, Any]:
        self._blocks += 1
        # A refusal's words are text, in a block of their own.
        part = "reasoning" if kind == "reasoning" else "text"
        self._block = (kind, part, f"{part}-{self._blocks}")
        return {"type": f"{part}-start", "id": self._block[2]}

    def _close(self, metadata: dict[str, Any] | None = None) -> Frames:
        for _, part, id in self._parked.values():
            yield {"type": f"{part}-end", "id": id}
        self._parked.clear()
        if self._block is not None:
            yield {"type": f"{self._block[1]}-end", "id": self._block[2], **_metadata(metadata)}
            self._block = None

    def _opaque(self, data: dict[str, Any]) -> Frames:
        if self._block is None or self._block[0] != "reasoning" or "item" in data:
            yield from self._close()
            yield self._open("reasoning")
        yield from self._close(data)

    def _call_delta(self, delta: ToolCallDelta) -> Frames:
        if delta.id and self._indexes.get(delta.index) != delta.id:
            yield from self._close()
            self._indexes[delta.index] = delta.id
            self._known.add(delta.id)
            yield {"type": "tool-input-start", "toolCallId": delta.id, "toolName": delta.name}
        if delta.arguments and (id := self._indexes.get(delta.index)) is not None:
            yield {"type": "tool-input-delta", "toolCallId": id, "inputTextDelta": delta.arguments}

    def _call(self, call: ToolCall) -> Frames:
        yield from self._close()
        self._known.add(call.id)
        named: dict[str, Any] = {
            "toolCallId": call.id,
            "toolName": call.name,
            **_metadata(call.provider_data),
        }
        if call.executed_by == "provider":
            named["providerExecuted"] = True
        if call.complete and call.input is not None:
            yield {"type": "tool-input-available", **named, "input": call.input}
        else:
            yield {
                "type": "tool-input-error",
                **named,
                "input": call.arguments,
                "errorText": CUT_CALL,
            }

    def _source(self, source: Source) -> Frames:
        self._sources += 1
        yield _render_source(source, f"source-{self._sources}")

    def _file(self, file: File) -> Frames:
        if file.url or file.data:
            media_type = file.media_type or "application/octet-stream"
            url = file.url or f"data:{media_type};base64,{file.data}"
            yield {"type": "file", "url": url, "mediaType": media_type}

    def _result(self, result: ToolResult) -> Frames:
        if result.tool_call_id not in self._known:
            return  # the client would fail on it
        named: dict[str, Any] = {
            "toolCallId": result.tool_call_id,
            **_metadata(result.provider_data),
        }
        if result.executed_by == "provider":
            named["providerExecuted"] = True
        if result.is_error:
            yield {"type": "tool-output-error", **named, "errorText": str(result.content)}
        else:
            yield {"type": "tool-output-available", **named, "output": result.content}


def _continued(messages: list[Any]) -> str | None:
    last = messages[-1]
    id = last.get("id")
    return id if last.get("role") == "assistant" and isinstance(id, str) else None


def _render_source(source: Source, id: str) -> dict[str, Any]:
    rest = {key: value for key, value in dump(source).items() if key not in ("title", "url")}
    if source.url is not None:
        named = {
            "type": "source-url",
            "sourceId": id,
            "url": source.url,
            **present(title=source.title),
        }
    else:
        title = source.title or source.id or "source"
        named = {
            "type": "source-document",
            "sourceId": id,
            "mediaType": "text/plain",
            "title": title,
        }
    return {**named, **_metadata(rest)}


def _render_usage(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    return present(
        inputTokens=usage.input_tokens,
        outputTokens=usage.output_tokens,
        totalTokens=usage.total_tokens,
        reasoningTokens=usage.reasoning_tokens,
        cachedInputTokens=usage.cache_read_tokens,
    )


def _metadata(data: dict[str, Any] | None) -> dict[str, Any]:
    return {"providerMetadata": {"llmstream": data}} if data else {}
