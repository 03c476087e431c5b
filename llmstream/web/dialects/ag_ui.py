"""AG-UI 1.0: CopilotKit and other agent UIs.

Format: https://docs.ag-ui.com (spec 1.0). A run is one answer of as many steps as it takes. Every text, reasoning and
round of calls is a message with an id of its own; a client refuses a run that finishes with one open. Sources, files,
STATUS and RETRY leave as CUSTOM events (`source`, `file`, `status`, `retry`). What a provider wants sent back travels
as an encrypted value. Nothing shown can be taken back: an answer that would begin anew ends in RUN_ERROR.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.arguments import build_request
from llmstream.checks import as_text, check_type, require
from llmstream.errors import ErrorInfo
from llmstream.events.types import Retry, Start, Status, StreamEvent, ToolCallDelta
from llmstream.messages import File, FinishReason, Source, ToolCall, ToolResult, Usage
from llmstream.plain_values import dump
from llmstream.web.dialects.ag_ui_messages import parse_context, parse_messages
from llmstream.web.dialects.answers import CUT_CALL, Frames, StepAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.request_checks import ask_for, object_of
from llmstream.web.native_encoders import render_json
from llmstream.wire.json_fields import present

_VERSION = "1.0"
_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "reasoningTokens": "reasoning_tokens",
    "cachedInputTokens": "cache_read_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
}


@dataclass(slots=True)
class Run:
    """The members that name an answer."""

    thread_id: str
    run_id: str


@dataclass
class AgUi:
    """The dialect."""

    format: str | None = None
    path: str = "/agui"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b": ping\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a RunAgentInput. Raises ValueError or TypeError that name the place.

        `context` becomes a system message; `forwardedProps.model` names the model. State is the client's own affair.
        """
        body = object_of(body)
        for name in ("threadId", "runId"):
            require(as_text(body.get(name)), f"{name} is missing: name it with a string")
        require(not body.get("resume"), "resume: no run of this server is ever suspended")
        model = object_of(body.get("forwardedProps") or {}, "forwardedProps").get("model")
        check_type(model, str, "forwardedProps.model must be a string")
        messages = parse_context(body.get("context")) + parse_messages(body.get("messages"))
        request = build_request(messages, model or "", tools=body.get("tools"))
        reply = Run(body["threadId"], body["runId"])
        return ask_for(request, model=model, stream=True, reply=reply)

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfText(_RunAnswer(ask.reply))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """There is none: raises TypeError."""
        raise TypeError("AG-UI has no document: its answers are streams")

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error, in the words of RUN_ERROR."""
        return {"message": info.message, "code": info.kind, "requestId": request_id}


class _RunAnswer(StepAnswer):
    """One run."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._steps = 0
        self._ids = 0
        self._message: tuple[str, str] | None = None  # what is open: kind, id
        self._number = 0  # that of its words
        self._parked: dict[int, tuple[str, str]] = {}  # others of its kind that go on, by number
        self._parent: str | None = None  # the message that this step's calls belong to
        self._open: set[str] = set()  # calls whose arguments have begun
        self._pending: dict[str, None] = {}  # calls that nobody has answered, in order

    # --- the run and its steps -----------------------------------------------------------------------------

    def _names(self) -> dict[str, Any]:
        return {"threadId": self._run.thread_id, "runId": self._run.run_id}

    def _start(self) -> dict[str, Any]:
        return {"type": "RUN_STARTED", **self._names(), "protocolVersion": _VERSION}

    def _step_start(self) -> dict[str, Any]:
        self._steps += 1
        return {"type": "STEP_STARTED", "stepName": f"answer-{self._steps}"}

    def _step_end(self) -> dict[str, Any]:
        return {"type": "STEP_FINISHED", "stepName": f"answer-{self._steps}"}

    def _end_step(self) -> Frames:
        yield from super()._end_step()
        self._parent = None

    def _finish(self, event: StreamEvent) -> dict[str, Any]:
        outcome: dict[str, Any] = {"type": "success"}
        if self._pending:
            outcome["pendingToolCallIds"] = [*self._pending]
        reason = event.finish_reason or FinishReason.UNKNOWN
        return {
            "type": "RUN_FINISHED",
            **self._names(),
            "outcome": outcome,
            "result": {"finishReason": reason.value},
            **_usage(event.usage, event.start),
        }

    def _fail(self, info: ErrorInfo, event: StreamEvent) -> Frames:
        yield _render_failure(info, event)

    def _notice(self, status: Status) -> dict[str, Any]:
        return _custom("status", dump(status))

    def _retry(self, retry: Retry) -> Frames:
        yield _custom("retry", _render_retry(retry))

    # --- pieces --------------------------------------------------------------------------------------------

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._run.run_id}-{self._ids}"

    def _write(self, kind: str, content: str, number: int) -> Frames:
        if self._message is None or self._message[0] != kind:
            yield from self._close()
            yield from self._open_message(kind)
        elif number != self._number:
            self._parked[self._number] = self._message
            self._message = self._parked.pop(number, None)
            if self._message is None:
                yield from self._open_message(kind)
        self._number = number
        assert self._message is not None  # noqa: S101  # just opened
        what = "REASONING_MESSAGE_CONTENT" if kind == "reasoning" else "TEXT_MESSAGE_CONTENT"
        yield {"type": what, "messageId": self._message[1], "delta": content}

    def _open_message(self, kind: str) -> Frames:
        id = self._new_id()
        self._message = (kind, id)
        if kind == "reasoning":
            yield {"type": "REASONING_START", "messageId": id}
            yield {"type": "REASONING_MESSAGE_START", "messageId": id, "role": "reasoning"}
        else:
            self._parent = id
            yield {"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"}

    def _close(self) -> Frames:
        if self._message is None:
            return
        going_on = [*self._parked.values(), self._message]
        self._parked.clear()
        self._message = None
        for kind, id in going_on:
            if kind == "reasoning":
                yield {"type": "REASONING_MESSAGE_END", "messageId": id}
                yield {"type": "REASONING_END", "messageId": id}
            else:
                yield {"type": "TEXT_MESSAGE_END", "messageId": id}

    def _opaque(self, data: dict[str, Any]) -> Frames:
        if self._message is None or self._message[0] != "reasoning" or "item" in data:
            yield from self._close()
            yield from self._open_message("reasoning")
        assert self._message is not None  # noqa: S101  # just opened
        yield _encrypted("message", self._message[1], data)
        yield from self._close()

    def _call_delta(self, delta: ToolCallDelta) -> Frames:
        if delta.id and self._indexes.get(delta.index) != delta.id:
            self._indexes[delta.index] = delta.id
            yield from self._announce(delta.id, delta.name)
        if delta.arguments and (id := self._indexes.get(delta.index)) in self._open:
            yield {"type": "TOOL_CALL_ARGS", "toolCallId": id, "delta": delta.arguments}

    def _announce(self, id: str, name: str) -> Frames:
        yield from self._close()
        self._parent = self._parent or self._new_id()
        self._open.add(id)
        self._known.add(id)
        yield {
            "type": "TOOL_CALL_START",
            "toolCallId": id,
            "toolCallName": name,
            "parentMessageId": self._parent,
        }

    def _call(self, call: ToolCall) -> Frames:
        if call.id not in self._open:
            yield from self._announce(call.id, call.name)
            if call.arguments:
                yield {"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": call.arguments}
        self._open.discard(call.id)
        yield {"type": "TOOL_CALL_END", "toolCallId": call.id}
        if call.provider_data:
            yield _encrypted("tool-call", call.id, call.provider_data)
        if not call.complete or call.input is None:  # answered, so that no client runs it
            yield from self._result(ToolResult(call.id, CUT_CALL, is_error=True))
        elif call.executed_by == "caller":
            self._pending[call.id] = None

    def _source(self, source: Source) -> Frames:
        yield _custom("source", dump(source))

    def _file(self, file: File) -> Frames:
        yield _custom("file", dump(file))

    def _result(self, result: ToolResult) -> Frames:
        if result.tool_call_id not in self._known:
            return
        self._pending.pop(result.tool_call_id, None)
        content = result.content
        if not isinstance(content, str):
            content = render_json(content, default=str).decode()
        named = {"messageId": self._new_id(), "toolCallId": result.tool_call_id}
        yield {"type": "TOOL_CALL_RESULT", **named, "content": content, "role": "tool"}


def _custom(name: str, value: Any) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": name, "value": value}


def _render_retry(retry: Retry) -> dict[str, Any]:
    return {
        "attempt": retry.attempt,
        "maxAttempts": retry.max_attempts,
        "delay": retry.delay,
        "kind": retry.kind,
    }


def _render_failure(info: ErrorInfo, event: StreamEvent) -> dict[str, Any]:
    """The end of a run that failed. What is open stays so: closed, half an answer would look whole."""
    told = {"message": info.message or "Something went wrong.", "code": info.kind}
    named = present(metadata=present(requestId=info.request_id))
    return {"type": "RUN_ERROR", **told, **named, **_usage(event.usage, event.start)}


def _encrypted(subtype: str, id: str, data: dict[str, Any]) -> dict[str, Any]:
    value = json.dumps(data, separators=(",", ":"))
    return {
        "type": "REASONING_ENCRYPTED_VALUE",
        "subtype": subtype,
        "entityId": id,
        "encryptedValue": value,
    }


def _usage(usage: Usage | None, start: Start | None) -> dict[str, Any]:
    """All that was billed; the model is named where there was but one attempt."""
    if usage is None:
        return {}
    billed = usage.attempts or (usage,)
    counts = {name: _sum(billed, counted) for name, counted in _COUNTS.items()}
    entry = present(**counts)
    if not entry:
        return {}
    if len(billed) == 1 and start is not None:
        entry |= present(provider=start.provider, model=start.model)
    return {"usage": [entry]}


def _sum(billed: Iterable[Usage], counted: str) -> int | None:
    """The sum of this count over all reports; None without any."""
    counts = [getattr(each, counted) for each in billed]
    reported = [count for count in counts if count is not None]
    return sum(reported) if reported else None
