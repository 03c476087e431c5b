"""Events to the bytes of an OpenAI chat completions stream: the inverse of `decode.py`.

What the format has no place for is left out: files, tools that the provider ran, STATUS and RETRY. A failure that
only a cut can express (truncated, connection) writes nothing: whoever sends the bytes ends them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmstream.message_reader import FORMAT
from llmstream.messages import (
    FinishReason,
    Source,
    ToolCall,
    Usage,
)
from llmstream.provider_data import own_notes
from llmstream.wire.error_body import parse_error
from llmstream.wire.event_encoder import EventEncoder, Writer, ending_word, sayable_failure
from llmstream.wire.json_fields import present
from llmstream.wire.modalities import render_members
from llmstream.wire.outbound import json_bytes

_REASONS = {
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
}
# The word for a kind, and the status that says the same.
_TYPES: dict[str, tuple[str, int | None]] = {
    "authentication": ("authentication_error", 401),
    "permission": ("permission_error", 403),
    "not_found": ("not_found_error", 404),
    "invalid_request": ("invalid_request_error", 400),
    "context_length": ("context_length_exceeded", 413),
    "quota": ("insufficient_quota", 402),
    "rate_limit": ("rate_limit_exceeded", 429),
    "overloaded": ("overloaded_error", 503),
    "content_filter": ("content_filter", None),
    "tool_use_failed": ("tool_use_failed", None),
}
_COMPLETE = EventType.MESSAGE_COMPLETE
_BEGINNING = {"role": "assistant", "content": None}


class Chunk(NamedTuple):
    """What a chunk says, without the members that all chunks of an answer share."""

    delta: dict[str, Any] | None = None
    """None: it has no choice."""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    """It stands alone."""


_Chunks = Iterator[Chunk]


def _choice(delta: dict[str, Any], reason: str | None) -> bytes:
    """The end of a chunk, from its choice on."""
    ended = b"null" if reason is None else _quoted(reason)
    told = json_bytes(delta) if delta else b"{}"
    return b'{"index":0,"delta":%s,"finish_reason":%s}]}\n\n' % (told, ended)


_quoted = lru_cache(maxsize=64)(json_bytes)
"""A word in quotes; there are few."""
_FIRST_CHOICE = _choice(_BEGINNING, None)


def render_head(named: Mapping[str, str | None], *, created: int) -> bytes:
    """What the chunks of one answer have in common, up to their choices."""
    head = {**named, "object": "chat.completion.chunk", "created": created}
    return b"data: " + json_bytes(head)[:-1] + b',"choices":['


class ChatEncoder(EventEncoder):
    """One per answer; `feed` gives the bytes of each event."""

    _head = render_head({}, created=0)
    """What its chunks begin with."""

    def __init__(self) -> None:
        self._started = False
        self._early: list[dict[str, Any]] = []  # opaque data that came before MESSAGE_START
        self._indexes: dict[str, int] = {}  # announced calls by id
        self._custom: set[int] = set()  # those of custom tools

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        frames = b"".join(map(self._frame, self._frames(event)))
        return frames + b"data: [DONE]\n\n" if event.type is _COMPLETE else frames

    def _content(self, delta: TextDelta) -> _Chunks:
        yield Chunk({"content": delta.content})

    def _reasoning(self, delta: ReasoningDelta) -> _Chunks:
        yield Chunk({"reasoning_content": delta.content})

    def _refusal(self, delta: RefusalDelta) -> _Chunks:
        yield Chunk({"refusal": delta.content})

    def _source(self, source: Source) -> _Chunks:
        yield Chunk({"annotations": [render_annotation(source)]})

    def _begin(self, event: StreamEvent) -> _Chunks:
        self._started = True
        self._name_after(event.start or Start())
        yield Chunk(_BEGINNING)
        for delta in self._early:
            yield Chunk(delta)
        self._early.clear()

    def _end(self, event: StreamEvent) -> _Chunks:
        if not self._started:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        yield from self._last_chunks(event)

    def _last_chunks(self, event: StreamEvent) -> _Chunks:
        reason = ending_word(event, FORMAT, _REASONS, "stop")
        if reason is not None:
            yield Chunk({}, reason)
        if event.usage is not None:
            yield Chunk(usage=render_usage(event.usage))

    def _error(self, event: StreamEvent) -> _Chunks:
        if event.usage is not None:
            yield Chunk(usage=render_usage(event.usage))
        info = sayable_failure(event)
        if info is not None:
            yield Chunk(error=render_error(info))

    def _status(self, status: Status) -> _Chunks:
        """What a provider wants back. It may come before the answer begins."""
        data = status.data
        if status.kind != "opaque" or data is None or data["format"] != FORMAT or "call" in data:
            return
        delta = {**(data.get("provider_data") or {})}
        delta.pop("format", None)
        if not delta:
            detail = data.get("item") or render_signature(data.get("signature"), data.get("id"))
            delta = {"reasoning_details": [detail]}
        if self._started:
            yield Chunk(delta)
        else:
            self._early.append(delta)

    def _whole_call(self, call: ToolCall) -> _Chunks:
        if call.executed_by == "caller" and call.id not in self._indexes:
            index = len(self._indexes)
            yield self._announce(index, call.id, call.name, call.arguments, call.provider_data)

    def _call_delta(self, delta: ToolCallDelta) -> _Chunks:
        index, arguments = delta.index, delta.arguments
        if delta.id:
            yield self._announce(index, delta.id, delta.name, arguments, delta.provider_data)
        elif index in self._custom:
            yield Chunk({"tool_calls": [{"index": index, "custom": {"input": arguments}}]})
        else:
            yield Chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    def _announce(
        self, index: int, id: str, name: str, arguments: str, provider_data: dict[str, Any] | None
    ) -> Chunk:
        self._indexes[id] = index
        call = render_call(id, name, arguments, provider_data)
        if call["type"] == "custom":
            self._custom.add(index)
        return Chunk({"tool_calls": [{"index": index, **call}]})

    # --- bytes ----------------------------------------------------------------------------------------------

    def _name_after(self, start: Start) -> None:
        """Take the answer's name over into the chunks that follow."""
        self._head = render_head(
            present(id=start.id, model=start.model, provider=start.upstream), created=0
        )

    def _frame(self, chunk: Chunk) -> bytes:
        delta, reason, usage, error = chunk
        if delta is _BEGINNING:
            return self._head + _FIRST_CHOICE
        if error is not None:
            return b"data: " + json_bytes({"error": error}) + b"\n\n"
        if delta is None:
            return self._head + b'],"usage":' + json_bytes(usage) + b"}\n\n"
        return self._head + _choice(delta, reason)

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _content,
        EventType.REASONING_DELTA: _reasoning,
        EventType.REFUSAL_DELTA: _refusal,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _whole_call,
        EventType.SOURCE: _source,
        EventType.STATUS: _status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _end,
        EventType.ERROR: _error,
    }


def render_call(
    id: str, name: str, arguments: str, provider_data: dict[str, Any] | None
) -> dict[str, Any]:
    """A call as an entry of `tool_calls`."""
    data = own_notes(provider_data, FORMAT)
    if data.get("type") == "custom":
        call = {"id": id, "type": "custom", "custom": {"name": name, "input": arguments}}
    else:
        call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {**call, **present(extra_content=data.get("extra_content"))}


def render_signature(signature: str | None, id: str | None, text: str = "") -> dict[str, Any]:
    """The reasoning detail that signs a text."""
    return {"type": "reasoning.text", "signature": signature, **present(id=id, text=text or None)}


def render_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI's usage object."""
    rendered: dict[str, Any] = present(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        prompt_tokens_details=present(
            cached_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            **render_members(usage.input_by_modality),
        ),
        completion_tokens_details=present(
            reasoning_tokens=usage.reasoning_tokens, **render_members(usage.output_by_modality)
        ),
    )
    return rendered


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """OpenAI's error object; `type` or a numeric `code` is added where the rest doesn't already say the kind."""
    body: dict[str, Any] = {"message": info.message}
    if info.code is not None:
        body["code"] = info.code
    if parse_error({"error": body}).kind != info.kind:
        word, status = _TYPES.get(info.kind, ("server_error", 500))
        body |= {"type": word} if info.code is not None or status is None else {"code": status}
    return body


def finish_word(reason: FinishReason) -> str:
    """OpenAI's word for the end of an answer."""
    return _REASONS.get(reason, "stop")


def render_annotation(source: Source) -> dict[str, Any]:
    """OpenAI's citation object."""
    citation = present(
        title=source.title,
        url=source.url,
        content=source.excerpt,
        start_index=source.start,
        end_index=source.end,
    )
    return {"type": "url_citation", "url_citation": citation}
