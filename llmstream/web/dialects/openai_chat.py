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
from secrets import token_hex
from typing import Any

from llmstream.checks import as_text, require
from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Gathered
from llmstream.events.types import (
    BESIDE_REASONING,
    ReasoningDelta,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    failure_of,
)
from llmstream.message_reader import FORMAT
from llmstream.messages import FinishReason, Part, ProviderPart, Source
from llmstream.plain_values import amended
from llmstream.provider_data import own_notes
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.chat_shapes import in_openai_shape
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.openai_errors import render_error
from llmstream.web.dialects.provider_data import reasoning_of
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.wire.json_fields import present
from llmstream.wire.openai_chat.encode import (
    ChatEncoder,
    Chunk,
    finish_word,
    render_annotation,
    render_head,
    render_signature,
    render_usage,
)
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
_OBJECTS = ("metadata", "stream_options")
"""Members that are objects, or nothing."""
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
    new_id: Callable[[], str] = lambda: token_hex(16)
    format: str | None = FORMAT
    path: str = "/v1/chat/completions"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b": ping\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        body = {**object_of(body)}
        for name in filter(body.__contains__, _OBJECTS):
            object_of(body[name] or {}, name)
        for name in filter(body.__contains__, _REFUSED):
            value = body[name]
            require(value in _REFUSED[name], f"{name}: {value!r} is not supported here")
        if "messages" not in body and "input" in body:  # Cursor posts Responses requests here, too
            request, format = parse_responses(body), RESPONSES
        else:
            request, format = parse_request(in_openai_shape(body)), FORMAT
        warnings = keep_listed(request, format)
        for message in request.messages:
            if any(isinstance(part, ProviderPart) for part in message.parts):
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
        reply: ChatReply = ask.reply
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        document: dict[str, Any] = {
            "id": reply.id,
            "model": ask.model,
            "object": "chat.completion",
            "created": reply.created,
            "choices": [choice],
        }
        for chunk in _OfficialChunks(ask, usage=True).chunks(whole(event)):
            document |= {} if chunk.usage is None else {"usage": chunk.usage}
            choice["finish_reason"] = chunk.finish_reason or choice["finish_reason"]
            _fold(message, chunk.delta or {})
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
        self._feed = _OfficialChunks(ask, usage=ask.reply.usage).feed

    def _render(self, event: StreamEvent) -> bytes:
        return self._feed(event)


class _OfficialChunks(ChatEncoder):
    """Chunks with all that the official clients' types promise. `usage`: whether the last one tells it."""

    def __init__(self, ask: Ask, *, usage: bool) -> None:
        super().__init__()
        reply: ChatReply = ask.reply
        self._head = render_head({"id": reply.id, "model": ask.model}, created=reply.created)
        self._usage = usage
        self._numbers: dict[int, int] = {}
        # Both come in one chunk at the end.
        self._annotations: Gathered[Any] = Gathered()
        self._seals: dict[str, Any] = {}  # by the member that holds them
        self._thought: list[str] = []

    def chunks(self, event: StreamEvent) -> Iterator[Chunk]:
        """The chunks of one event, not yet bytes."""
        return self._frames(event)

    def _frames(self, event: StreamEvent) -> Iterator[Chunk]:
        if event.retry is not None or event.status is not None:
            self._settle(event)
        return super()._frames(event)

    def _settle(self, event: StreamEvent) -> None:
        """Keep what stands, and drop what no longer does."""
        self._annotations.add(event)
        if event.discards or event.ends_round:
            # After a step they belong to a call that the client doesn't know of.
            self._seals.clear()
            self._thought.clear()

    def _name_after(self, start: Start) -> None:
        """Nothing: the client was promised another name."""

    def _reasoning(self, delta: ReasoningDelta) -> Iterator[Chunk]:
        self._thought.append(delta.content)
        return super()._reasoning(delta)

    def _source(self, source: Source) -> Iterator[Chunk]:
        citation = render_annotation(source)
        citation["url_citation"] = {**_CITATION, **citation["url_citation"]}
        self._annotations.items.append(citation)
        return iter(())

    def _status(self, status: Status) -> Iterator[Chunk]:
        data = status.data
        if status.kind == "opaque" and data is not None and BESIDE_REASONING.isdisjoint(data):
            own = own_notes(data.get("provider_data"), FORMAT)
            self._add_own(own or {"reasoning_details": [self._detail(data)]})
        return iter(())

    def _add_own(self, own: dict[str, Any]) -> None:
        """Hand on, as it came, what a provider of this format wants back: a signature with its words."""
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

    def _last_chunks(self, event: StreamEvent) -> Iterator[Chunk]:
        yield from self._end_lists()
        reason = event.finish_reason or FinishReason.UNKNOWN
        yield Chunk({}, finish_word(_FINISH.get(reason, reason)))
        if self._usage and event.usage is not None:
            yield Chunk(usage={**_NOTHING, **render_usage(event.usage)})

    def _end_lists(self) -> Iterator[Chunk]:
        lists = {"annotations": self._annotations.items, **self._seals}
        given = {name: items for name, items in lists.items() if items}
        if given:
            yield Chunk(given)
        self._annotations = Gathered()
        self._seals = {}

    def _announce(
        self, index: int, id: str, name: str, arguments: str, provider_data: dict[str, Any] | None
    ) -> Chunk:
        # Clients make a list of them: no number may be left out for a call that was withheld, or come twice.
        if id not in self._indexes:
            self._numbers[index] = len(self._indexes)
        number = self._numbers.get(index, index)
        return super()._announce(number, id, name, arguments, provider_data)

    def _call_delta(self, delta: ToolCallDelta) -> Iterator[Chunk]:
        if not delta.id:
            delta = amended(delta, index=self._numbers.get(delta.index, delta.index))
        return super()._call_delta(delta)

    def _error(self, event: StreamEvent) -> Iterator[Chunk]:
        yield from self._end_lists()
        yield Chunk(error=render_error(failure_of(event)))


def _kept(part: Part) -> Part:
    """Reasoning that another format's provider wants back, as `_detail` wrote it."""
    if not isinstance(part, ProviderPart):
        return part
    ours = part.data.get("llmstream")
    if not isinstance(ours, Mapping):
        return part
    return reasoning_of(as_text(part.data.get("text")) or "", ours)


def _fold(message: dict[str, Any], delta: dict[str, Any]) -> None:
    given = present(**delta)
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
