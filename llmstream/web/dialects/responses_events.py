"""Events of a Responses answer with all that the official clients' types promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.events.types import EventType, RefusalDelta, Start, Status, StreamEvent
from llmstream.events.unfold import unfold_stream
from llmstream.messages import FinishReason, Source
from llmstream.plain_values import amended
from llmstream.web.dialects.base import Ask
from llmstream.web.dialects.openai_errors import render_error
from llmstream.web.dialects.provider_data import seal
from llmstream.web.dialects.responses_compaction import Summary
from llmstream.web.dialects.responses_tools import ClientTools
from llmstream.wire.openai_responses.encode import ResponsesEncoder
from llmstream.wire.openai_responses.items import FORMAT
from llmstream.wire.openai_responses.open_item import Frame
from llmstream.wire.openai_responses.values import render_annotation, render_usage

_FINISH = {
    FinishReason.PAUSE: FinishReason.LENGTH,
    FinishReason.OTHER: FinishReason.STOP,
    FinishReason.UNKNOWN: FinishReason.STOP,
}
_FAILURES = {
    "rate_limit": "rate_limit_exceeded",
    "context_length": "context_length_exceeded",
    "quota": "insufficient_quota",
    "invalid_request": "invalid_prompt",
    "content_filter": "invalid_prompt",
}
"""The code of a failed response, by the kind of failure: the words of `openai.types.responses.ResponseError`, and those
that Codex knows beside them (codex-rs/codex-api/src/sse/responses.rs)."""
_SPAN = {"start_index": 0, "end_index": 0}
_CITATIONS: Mapping[str, Mapping[str, Any]] = {
    "url_citation": {"title": "", **_SPAN},
    "file_citation": {"filename": "", "index": 0},
    "file_path": {"index": 0},
    "container_file_citation": {"container_id": "", "filename": "", **_SPAN},
}
_NO_INPUT = {"cached_tokens": 0, "cache_write_tokens": 0}
_NO_OUTPUT = {"reasoning_tokens": 0}
_NO_USAGE = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
"""What the client's types ask of a citation and of usage, where nobody said it."""


@dataclass(slots=True)
class ResponsesReply:
    """What an answer says of itself."""

    id: str
    created: int
    """Seconds since 1970."""
    echo: dict[str, Any]
    """What it repeats of its request."""
    now: Callable[[], float]
    compacts: bool = False
    """Whether the answer is a summary of the conversation, to go on from."""
    keep: Callable[[list[dict[str, Any]]], None] | None = None
    """Called with the items of a whole answer, where the client may name them later."""
    input: Any = None
    """What the client sent, where the answer repeats some of it."""


class OfficialEvents(ResponsesEncoder):
    """One answer's events."""

    def __init__(self, ask: Ask) -> None:
        self._reply: ResponsesReply = ask.reply
        self._view: ClientTools | Summary
        self._view = Summary(ask.reply.id) if ask.reply.compacts else ClientTools(ask.request.tools)
        self._model = ask.model
        self._refused = False
        self.output: list[dict[str, Any]] | None = None
        """The items of the answer, once it is over; None if it failed."""
        super().__init__(custom_tools=self._view.custom, created_at=self._reply.created)

    def payloads(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The JSON values of one event."""
        for each in self._unfolded(event):
            for restored in self._view.restore(each):
                yield from super().payloads(restored)

    def _unfolded(self, event: StreamEvent) -> Iterator[StreamEvent]:
        if event.type is EventType.MESSAGE_COMPLETE and self._start is None:
            yield from unfold_stream(event)
        yield event

    # --- the response as a whole ---------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> Iterator[Frame]:
        start = amended(event.start or Start(), id=self._reply.id)
        return super()._begin(amended(event, start=start))

    def _response(self, status: str, **more: Any) -> dict[str, Any]:
        usage = more.get("usage")
        response = super()._response(status, **more)
        completed = int(self._reply.now()) if status == "completed" else None
        return {
            **response,
            **self._reply.echo,
            "model": response["model"] or self._model,
            "completed_at": completed,
            "usage": None if usage is None else official_usage(usage),
        }

    def _end(self, event: StreamEvent) -> Iterator[Frame]:
        reason = event.finish_reason or FinishReason.UNKNOWN
        if reason is FinishReason.REFUSAL:
            reason = FinishReason.STOP if self._refused else FinishReason.CONTENT_FILTER
        official = _FINISH.get(reason, reason)
        yield from super()._end(amended(event, finish_reason=official, raw_finish_reason=None))
        self.output = [*filter(None, self._output)]
        if self._reply.keep is not None:
            self._reply.keep(self.output)

    def _error(self, event: StreamEvent) -> Iterator[Frame]:
        info = event.error_info
        if info is None:
            return
        if self._start is None:
            yield from self._begin(event)
        error = render_error(info)
        flat = {name: error[name] for name in ("code", "message", "param")}
        yield "error", {**flat, "error": error}
        code = _FAILURES.get(info.kind, "server_error")
        failed = {"code": code, "message": error["message"]}
        usage = event.usage and render_usage(event.usage)
        yield "response.failed", {"response": self._response("failed", error=failed, usage=usage)}

    def text_payload(self) -> dict[str, Any] | None:
        """The event of a text that goes on in the open item, without its number and its text."""
        if self._open is None:
            return None
        kind, payload = self._open.delta_frame("")
        return {"type": kind, "sequence_number": 0, **payload}

    def add_text(self, content: str) -> int:
        """Note a text that goes on with the last one, and was written already. Returns its sequence number."""
        if self._open is not None:
            self._open.chunks.append(content)
        number = self._sequence
        self._sequence += 1
        return number

    # --- items ---------------------------------------------------------------------------------------------

    def _refusal_delta(self, delta: RefusalDelta) -> Iterator[Frame]:
        self._refused = True
        return super()._refusal_delta(delta)

    def _annotation(self, source: Source, before: int) -> dict[str, Any]:
        annotation = render_annotation(source, before)
        return {**_CITATIONS.get(annotation["type"], {}), **annotation}

    def _status(self, status: Status) -> Iterator[Frame]:
        """An item that only another provider understands goes as reasoning: clients send that back as it is."""
        data = status.data or {}
        is_foreign = "item" in data and data.get("format") != FORMAT
        if status.kind == "opaque" and is_foreign and self._start is not None:
            id = self._id("rs")
            item = {"id": id, "type": "reasoning", "summary": [], "encrypted_content": seal(data)}
            status = Status("opaque", data={"format": FORMAT, "item": item})
        return super()._status(status)

    def _signature(self, data: dict[str, Any]) -> Iterator[Frame]:
        """The item keeps the id that it began with; the provider's own is sealed with the signature."""
        if "span" in data:
            late = {"format": FORMAT, "signature": seal(data), "span": data["span"]}
            return super()._signature(late)
        opened = self._open
        is_open = opened is not None and opened.item["type"] == "reasoning"
        id = opened.item["id"] if is_open and opened is not None else self._id("rs")
        return super()._signature({"format": FORMAT, "signature": seal(data), "id": id})


def official_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Usage with every member that the client's types ask for."""
    read = {**_NO_INPUT, **usage.get("input_tokens_details", {})}
    written = {**_NO_OUTPUT, **usage.get("output_tokens_details", {})}
    details = {"input_tokens_details": read, "output_tokens_details": written}
    return {**_NO_USAGE, **usage, **details}
