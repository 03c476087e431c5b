"""OpenAI's chat completions: any OpenAI client, to any provider.

Format: https://platform.openai.com/docs/api-reference/chat. Requests and chunks are those of `wire/openai_chat`; what
is added here is what a client may rely on: an id, a time and a model on every chunk, counts that are numbers, a
finish reason of the official five, usage only for those that ask (`stream_options.include_usage`), and an error in
the stream where the answer breaks off.

`reasoning_content` carries the model's reasoning, and `reasoning_details` what its provider wants sent back (this
format's as it is, with `thinking_blocks` and `reasoning_opaque`; others' under `llmstream`). Citations and these come
in one chunk at the end: clients that add up the chunks know no other way to read a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from llmstream.checks import as_text
from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Gathered
from llmstream.events.types import (
    BESIDE_REASONING,
    EventType,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    failure_of,
)
from llmstream.events.unfold import unfold_stream
from llmstream.message_reader import FORMAT
from llmstream.messages import FinishReason, Part, ProviderPart
from llmstream.plain_values import amended
from llmstream.provider_data import own_notes
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.chat_shapes import in_openai_shape
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.openai_errors import render_error
from llmstream.web.dialects.provider_data import reasoning_of
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.wire.openai_chat.encode import ChatEncoder, render_annotation, render_signature
from llmstream.wire.openai_chat.reasoning_details import with_words
from llmstream.wire.openai_chat.request import parse_request
from llmstream.wire.openai_responses.items import FORMAT as RESPONSES
from llmstream.wire.openai_responses.request import parse_request as parse_responses

_REFUSED = {
    "n": (None, 1),
    "logprobs": (None, False),
    "audio": (None,),
    "functions": (None,),
    "function_call": (None,),
    "modalities": (None, ["text"]),
}
"""Options that ask for another kind of answer, and the values that don't."""
_FINISH = {
    FinishReason.REFUSAL: FinishReason.CONTENT_FILTER,
    FinishReason.PAUSE: FinishReason.LENGTH,
    FinishReason.OTHER: FinishReason.STOP,
    FinishReason.UNKNOWN: FinishReason.STOP,
}
_NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
_CITATION = {"title": "", "url": "", "start_index": 0, "end_index": 0}
"""Defaults that the client's types ask for in a citation."""


@dataclass(slots=True)
class ChatReply:
    """The members that name an answer."""

    id: str
    created: int
    usage: bool
    """Whether a streamed answer ends with its usage."""


@dataclass
class OpenAIChat:
    """The dialect. `now` gives the time in seconds since 1970, `new_id` the end of an answer's id."""

    now: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: uuid4().hex
    format: str | None = FORMAT
    path: str = "/v1/chat/completions"
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b": ping\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        body = {**object_of(body)}
        for name in ("metadata", "stream_options"):
            object_of(body.get(name) or {}, name)
        for name, harmless in _REFUSED.items():
            if body.get(name) not in harmless:
                raise ValueError(f"{name}: {body[name]!r} is not supported here")
        if "messages" not in body and "input" in body:  # Cursor posts Responses requests here, too
            request, format = parse_responses(body), RESPONSES
        else:
            request, format = parse_request(in_openai_shape(body)), FORMAT
        warnings = keep_listed(request, format)
        for message in request.messages:
            message.parts = [*map(_kept, message.parts)]
        usage = (body.get("stream_options") or {}).get("include_usage") is True
        reply = ChatReply(f"chatcmpl-{self.new_id()}", int(self.now()), usage)
        return ask_for(
            request,
            model=request.model,
            stream=body.get("stream"),
            reply=reply,
            warnings=warnings,
        )

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfText(_ChatAnswer(ask))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document."""
        chunks = [*_OfficialChunks(ask).chunks(_official(whole(event), usage=True))]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        document = {**chunks[0], "object": "chat.completion", "choices": [choice]}
        for chunk in chunks:
            document |= {"usage": chunk["usage"]} if "usage" in chunk else {}
            for part in chunk["choices"]:
                choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
                _fold(message, part["delta"])
        if not message["content"]:
            message["content"] = None if message["refusal"] or "tool_calls" in message else ""
        return document

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error."""
        return {"error": {**render_error(info), "request_id": request_id}}


class _ChatAnswer(ProviderAnswer):
    """One streamed answer."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._usage = ask.reply.usage
        self._chunks = _OfficialChunks(ask)

    def _render(self, event: StreamEvent) -> bytes:
        return self._chunks.feed(_official(event, usage=self._usage))


class _OfficialChunks(ChatEncoder):
    """Chunks with all that the official clients' types promise."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._reply: ChatReply = ask.reply
        self._model = ask.model
        self._numbers: dict[int, int] = {}
        # Both come in one chunk at the end.
        self._annotations: Gathered[Any] = Gathered()
        self._seals: dict[str, Any] = {}  # by the member that holds them
        self._thought: list[str] = []

    def chunks(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The chunks of one event, not yet bytes."""
        if event.type is EventType.MESSAGE_COMPLETE and not self._started:
            for each in unfold_stream(event):
                yield from self.chunks(each)
        if event.source is not None:
            citation = render_annotation(event.source)
            citation["url_citation"] = {**_CITATION, **citation["url_citation"]}
            self._annotations.items.append(citation)
            return
        self._annotations.add(event)
        if event.discards or event.ends_round:
            # After a step they belong to a call that the client doesn't know of.
            self._seals.clear()
            self._thought.clear()
        if event.reasoning_delta is not None:
            self._thought.append(event.reasoning_delta.content)
        yield from super()._frames(event)

    def _frames(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        return self.chunks(event)

    def _begin(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        start = amended(event.start or Start(), id=self._reply.id)
        return super()._begin(amended(event, start=start))

    def _status(self, status: Status) -> Iterator[dict[str, Any]]:
        data = status.data
        if status.kind == "opaque" and data is not None and BESIDE_REASONING.isdisjoint(data):
            own = own_notes(data.get("provider_data"), FORMAT)
            self._add_own(own or {"reasoning_details": [self._detail(data)]})
        yield from ()

    def _add_own(self, own: dict[str, Any]) -> None:
        """What a provider that speaks this format wants back goes on as it came, a signature with its words."""
        details = with_words(own.get("reasoning_details"), "".join(self._thought))
        self._thought.clear()
        if details:
            own = {**own, "reasoning_details": details}
        for name, seal in own.items():
            if isinstance(seal, list):
                self._seals.setdefault(name, []).extend(seal)
            else:
                self._seals[name] = seal

    def _detail(self, data: dict[str, Any]) -> dict[str, Any]:
        text = "".join(self._thought)
        is_own = data["format"] == FORMAT
        if "item" in data:
            return data["item"] if is_own else {"type": "reasoning.encrypted", "llmstream": data}
        if is_own:
            return render_signature(data.get("signature"), data.get("id"))
        return {"type": "reasoning.text", "text": text, "llmstream": data}

    def _end(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        yield from self._end_lists()
        yield from super()._end(event)

    def _end_lists(self) -> Iterator[dict[str, Any]]:
        lists = {"annotations": self._annotations.items, **self._seals}
        given = {name: items for name, items in lists.items() if items}
        if given:
            yield self._delta(**given)
        self._annotations = Gathered()
        self._seals = {}

    def _announce(
        self, index: int, id: str, name: str, arguments: str, provider_data: dict[str, Any] | None
    ) -> dict[str, Any]:
        # Clients make a list of them: no number may be left out for a call that was withheld, or come twice.
        if id not in self._indexes:
            self._numbers[index] = len(self._indexes)
        number = self._numbers.get(index, index)
        return super()._announce(number, id, name, arguments, provider_data)

    def _call_delta(self, delta: ToolCallDelta) -> Iterator[dict[str, Any]]:
        if not delta.id:
            delta = amended(delta, index=self._numbers.get(delta.index, delta.index))
        return super()._call_delta(delta)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        if "usage" in more:
            more["usage"] = {**_NOTHING, **more["usage"]}
        chunk = super()._chunk(choices, **more)
        return {"id": self._reply.id, "model": self._model, **chunk, "created": self._reply.created}

    def _error(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        yield from self._end_lists()
        yield {"error": render_error(failure_of(event))}


def _kept(part: Part) -> Part:
    """Reasoning that another format's provider wants back, as `_detail` wrote it."""
    if not isinstance(part, ProviderPart):
        return part
    ours = part.data.get("llmstream")
    if not isinstance(ours, Mapping):
        return part
    return reasoning_of(as_text(part.data.get("text")) or "", ours)


def _official(event: StreamEvent, *, usage: bool) -> StreamEvent:
    """The end of an answer in the official words."""
    if event.type is not EventType.MESSAGE_COMPLETE:
        return event
    reason = event.finish_reason or FinishReason.UNKNOWN
    return amended(
        event,
        finish_reason=_FINISH.get(reason, reason),
        raw_finish_reason=None,
        usage=event.usage if usage else None,
    )


def _fold(message: dict[str, Any], delta: dict[str, Any]) -> None:
    given = {name: value for name, value in delta.items() if value is not None}
    given.pop("role", None)
    calls = given.pop("tool_calls", ())
    for name, value in given.items():
        if isinstance(value, str):
            message[name] = (message.get(name) or "") + value
        else:
            message.setdefault(name, []).extend(value)
    if calls:
        message.setdefault("tool_calls", []).extend(map(_without_index, calls))


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}
