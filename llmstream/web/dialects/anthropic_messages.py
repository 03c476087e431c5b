"""Anthropic's Messages: any Anthropic client, to any provider.

Format: https://docs.anthropic.com/en/api/messages. Requests and frames are those of `wire/anthropic_messages`; what is
added here is what a client may rely on: an id and a model, counts that are numbers (0 where nobody reported any), a
stop reason of the official ones, and an error in the stream where the answer breaks off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from llmstream.checks import as_text
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import (
    FinishReason,
    Part,
    ProviderPart,
    ReasoningPart,
    Source,
    parse_arguments,
)
from llmstream.plain_values import amended
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.provider_data import reasoning_of, seal, unseal
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.wire.anthropic_messages.blocks import FORMAT
from llmstream.wire.anthropic_messages.encode import MessagesEncoder, render_error
from llmstream.wire.anthropic_messages.request import parse_request
from llmstream.wire.context_overflow import anthropic_words, parse_overflow
from llmstream.wire.finish_words import render_finish_word
from llmstream.wire.json_fields import present

_FINISH = {FinishReason.OTHER: FinishReason.STOP, FinishReason.UNKNOWN: FinishReason.STOP}
_MESSAGE: dict[str, Any] = {"stop_details": None, "container": None}
_DELTA_USAGE: dict[str, Any] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "output_tokens": 0,
    "output_tokens_details": None,
    "server_tool_use": None,
}
_USAGE: dict[str, Any] = {
    **_DELTA_USAGE,
    "cache_creation": None,
    "inference_geo": None,
    "service_tier": None,
}
_SAID = re.compile(r"prompt is too long|exceed context limit: \d|capability_rejected")
"""Anthropic's own words for a conversation that is too long."""
_BLOCKS: dict[str, dict[str, Any]] = {
    "text": {"citations": None},
    "tool_use": {"caller": {"type": "direct"}},
    "server_tool_use": {"caller": {"type": "direct"}},
}
"""Defaults that the client's types ask for in an answer, its usage and its blocks. Counts of tokens are 0."""
_CITATIONS: dict[str, dict[str, Any]] = {
    "web_search_result_location": {"cited_text": "", "encrypted_index": "", "title": None},
    "char_location": {
        "cited_text": "",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 0,
        "file_id": None,
    },
}
"""Defaults that the client's types ask for in a citation."""


@dataclass
class AnthropicMessages:
    """The dialect. `new_id` gives the end of an answer's id."""

    new_id: Callable[[], str] = lambda: uuid4().hex
    format: str | None = FORMAT
    path: str = "/v1/messages"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b": ping\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        body = object_of(body)
        request = parse_request(body)
        warnings = keep_listed(request, FORMAT)
        for message in request.messages:
            message.parts = [_kept(part) for part in message.parts]
        reply = f"msg_{self.new_id()}"
        return ask_for(
            request,
            model=request.model,
            stream=body.get("stream"),
            reply=reply,
            warnings=warnings,
        )

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfText(_MessagesAnswer(ask))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document."""
        document: dict[str, Any] = {}
        for frame in _Frames(ask).frames(_official(whole(event))):
            _fold(document, frame)
        for block in document["content"]:
            if (written := block.pop("written", None)) is not None:
                block["input"] = parse_arguments(written) or {}
        return document

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error."""
        return {"type": "error", "error": _render_error(info), "request_id": request_id}


class _MessagesAnswer(ProviderAnswer):
    """One streamed answer."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._frames = _Frames(ask)

    def _render(self, event: StreamEvent) -> bytes:
        return self._frames.feed(_official(event))


class _Frames(MessagesEncoder):
    """Frames with all that the official clients' types promise."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._id: str = ask.reply
        self._model = ask.model

    def frames(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The frames of one event, not yet bytes."""
        for frame in super()._frames(event):
            complete = _COMPLETED.get(frame["type"])
            if complete is not None:
                complete(frame)
            if frame["type"] == "message_start":
                message = frame["message"]
                message |= {"id": self._id, "model": message.get("model") or self._model}
            yield frame

    def _frames(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        return self.frames(event)

    def _opaque(self, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Seal what another format's provider wants back: clients keep a signature as it is."""
        if "phase" in data or data["format"] == FORMAT:
            return super()._opaque(data)
        if "item" in data:
            sealed: dict[str, Any] = {"item": {"type": "redacted_thinking", "data": seal(data)}}
        else:
            sealed = {"signature": seal(data)}
        return super()._opaque({"format": FORMAT, **sealed})

    def _error(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        info = event.error_info
        if info is not None:
            yield {"type": "error", "error": _render_error(info), "request_id": info.request_id}

    def _source(self, source: Source) -> Iterator[dict[str, Any]]:
        if source.url is not None:  # its offsets in the text are not the blocks of a search result
            source = amended(source, start=None, end=None)
        return super()._source(source)


def _kept(part: Part) -> Part:
    """Reasoning that another format's provider wants back, as it was sealed."""
    text, word = "", None
    if isinstance(part, ReasoningPart):
        text, word = part.text, part.signature
    elif isinstance(part, ProviderPart):
        word = as_text(part.data.get("data"))
    sealed = unseal(word)
    return part if sealed is None else reasoning_of(text, sealed)


def _render_error(info: ErrorInfo) -> dict[str, Any]:
    """The error in Anthropic's types. Its clients take a 413 for too many bytes, so long prompts are a 400."""
    text = info.message
    if info.status_code == 413:
        return {"type": "request_too_large", "message": text}
    if info.kind == "context_length":
        said = _SAID.search(text)
        words = text if said else anthropic_words(parse_overflow(text))
        return {"type": "invalid_request_error", "message": words}
    return render_error(replace(info, code=None))


def _complete_start(frame: dict[str, Any]) -> None:
    message = frame["message"]
    message |= _MESSAGE
    message["usage"] = {**_USAGE, **present(**message["usage"])}


def _complete_block(frame: dict[str, Any]) -> None:
    block = frame["content_block"]
    frame["content_block"] = {**_BLOCKS.get(block["type"], {}), **block}


def _complete_delta(frame: dict[str, Any]) -> None:
    cited = frame["delta"].get("citation")
    if cited is not None:
        frame["delta"]["citation"] = {**_CITATIONS.get(cited["type"], {}), **cited}


def _complete_end(frame: dict[str, Any]) -> None:
    frame["delta"] = {**_MESSAGE, **frame["delta"]}
    frame["usage"] = {**_DELTA_USAGE, **present(**frame["usage"])}


_COMPLETED: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "message_start": _complete_start,
    "content_block_start": _complete_block,
    "content_block_delta": _complete_delta,
    "message_delta": _complete_end,
}
"""How a frame gets what the client's types ask of it."""


def _official(event: StreamEvent) -> StreamEvent:
    """The end of an answer in the official words, and an ERROR without the counts that would look like an end."""
    if event.error_info is not None:
        return amended(event, usage=None, error_info=replace(event.error_info, code=None))
    if event.type is not EventType.MESSAGE_COMPLETE:
        return event
    reason = event.finish_reason or FinishReason.UNKNOWN
    raw = render_finish_word(event.raw_finish_reason, None, FORMAT)
    return amended(event, finish_reason=_FINISH.get(reason, reason), raw_finish_reason=raw)


def _fold(document: dict[str, Any], frame: dict[str, Any]) -> None:
    kind = frame["type"]
    if kind == "message_start":
        document.update(frame["message"])
    elif kind == "message_delta":
        document.update(frame["delta"])
        document["usage"] |= frame["usage"]
    elif kind == "content_block_start":
        document["content"].append(frame["content_block"])
    elif kind == "content_block_delta":
        _fold_delta(document["content"][frame["index"]], frame["delta"])


def _fold_delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "citations_delta":
        block["citations"] = [*(block["citations"] or ()), delta["citation"]]
    elif delta["type"] == "input_json_delta":
        block["written"] = block.get("written", "") + delta["partial_json"]
    else:
        name = delta["type"].removesuffix("_delta")
        block[name] = block.get(name, "") + delta[name]
