"""OpenAI's Responses: Codex and any OpenAI client, to any provider.

Format: https://platform.openai.com/docs/api-reference/responses. Requests and events are those of
`wire/openai_responses`; what is added here is what a client may rely on: ids that stay the same from an item's `added`
to the whole response, every member of the official types, the tools under the client's own names, and an error in the
stream where the answer breaks off.

Nothing is kept: `store` is answered as false, and what names a kept response is refused. Reasoning goes to the client
in `encrypted_content`, whoever signed it, and from there back to that provider.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any
from uuid import uuid4

from llmstream.checks import as_object, check_type, require, require_type
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import Part, ReasoningPart, ToolCall
from llmstream.provider_data import own_members
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.chat_shapes import plain_choice
from llmstream.web.dialects.openai_errors import render_error
from llmstream.web.dialects.provider_data import call_data_of, reasoning_of, unseal
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.web.dialects.responses_compaction import (
    TRIGGER,
    ask_for_summary,
    take_trigger,
    user_messages,
    with_summaries,
)
from llmstream.web.dialects.responses_echo import check_refused, repeated
from llmstream.web.dialects.responses_events import OfficialEvents, ResponsesReply, official_usage
from llmstream.web.errors import RefusedError
from llmstream.wire.openai_responses.encode import render_frame
from llmstream.wire.openai_responses.items import FORMAT
from llmstream.wire.openai_responses.request import parse_request
from llmstream.wire.outbound import encode_json

Render = Callable[[Mapping[str, Any]], bytes]
"""An event of the answer as bytes."""
# Looked up once: in Python 3.11 that takes 50 ns, which every event would pay.
_TEXT = EventType.TEXT_DELTA
_NOT_STORED = "store: this server keeps no answers; treated as false"


@dataclass
class OpenAIResponses:
    """The dialect. `now` gives the time in seconds since 1970, `new_id` the end of an answer's id."""

    now: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: uuid4().hex
    format: str | None = FORMAT
    path: str = "/v1/responses"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b": ping\n\n"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place.

        Raises RefusedError, with OpenAI's code, for what only a server that keeps answers can do.
        """
        body = {**object_of(body)}
        given, compacts = take_trigger(body.get("input"))
        body["input"] = with_summaries(given)
        check_refused(body)
        require(body.get("input") not in (None, []), "input is empty")
        store = check_type(body.pop("store", None), bool, "store must be true or false")
        choice = plain_choice(body)
        request = parse_request({**body, **choice})
        if "tools" not in choice:  # else the answer repeats what narrowed them
            body |= choice
        warnings = keep_listed(request, FORMAT)
        for message in request.messages:
            message.parts = [_kept(part) for part in message.parts]
        id = f"resp_{self.new_id()}"
        reply = ResponsesReply(id, int(self.now()), repeated(body), self.now, compacts)
        if compacts:
            request = ask_for_summary(request)
        return ask_for(
            request,
            model=request.model,
            stream=body.get("stream"),
            reply=reply,
            warnings=[*warnings, *([_NOT_STORED] if store else [])],
            notes=[_NOT_STORED] if store is None else [],
        )

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfNumberedText(ResponsesAnswer(ask))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document.

        Raises RefusedError for a summary that the model didn't write.
        """
        *_, last = OfficialEvents(ask).payloads(whole(event))
        response: dict[str, Any] = last["response"]
        if response["error"] is not None:
            raise RefusedError(502, "invalid_output", response["error"]["message"])
        return response

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error."""
        return {"error": {**render_error(info), "request_id": request_id}}


@dataclass
class CompactedResponses(OpenAIResponses):
    """`POST /v1/responses/compact`: the user's messages, and one item for all the rest."""

    path: str = "/v1/responses/compact"

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises as `OpenAIResponses.parse` does."""
        body = {**object_of(body)}
        given = body.get("input")
        asked = [{"role": "user", "content": given}] if isinstance(given, str) else given
        items = require_type(asked, list, "input must be a string or a list of items")
        require(items, "input is empty")
        triggered = [*take_trigger(items)[0], TRIGGER]
        ask = super().parse({**body, "input": triggered, "stream": False})
        ask.reply.input = items
        ask.notes = ()  # nothing else could be kept
        return ask

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The compacted conversation as one JSON document."""
        response = super().document(ask, event)
        return {
            "id": response["id"],
            "object": "response.compaction",
            "created_at": response["created_at"],
            "output": [*user_messages(ask.reply.input), *response["output"]],
            "usage": response["usage"] or official_usage({}),
        }


class ResponsesAnswer(ProviderAnswer):
    """One streamed answer."""

    def __init__(self, ask: Ask, render: Render = render_frame) -> None:
        super().__init__(ask)
        self.events = OfficialEvents(ask)
        self.render = render

    def _render(self, event: StreamEvent) -> bytes:
        return b"".join(map(self.render, self.events.payloads(event)))


class RunsOfNumberedText:
    """An answer whose texts that follow one another are not rendered again: only the number and the text differ."""

    def __init__(self, answer: ResponsesAnswer) -> None:
        self._answer = answer
        self._frame: tuple[bytes, bytes, bytes] | None = None
        self._part = 0  # of the text before

    @property
    def ended(self) -> bool:
        """Nothing that follows will be sent."""
        return self._answer.ended

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event."""
        if event.type is not _TEXT or event.text_delta is None:
            self._frame = None
            return self._answer.feed(event)
        if event.text_delta.part != self._part:
            self._part, self._frame = event.text_delta.part, None
        if self._frame is not None:
            content = event.text_delta.content
            number = self._answer.events.add_text(content)
            before, between, after = self._frame
            text = encode_json(encode_basestring(content))
            return b"%s%d%s%s%s" % (before, number, between, text, after)
        data = self._answer.feed(event)
        if data:
            self._frame = self._learn()
        return data

    def _learn(self) -> tuple[bytes, bytes, bytes] | None:
        """A frame as the last one, without its number and its text."""
        payload = self._answer.events.text_payload()
        if payload is None:
            return None
        frame = self._answer.render(payload)
        before, _, rest = frame.partition(b":0,")
        between, name, after = rest.partition(b'"delta":""')
        return before + b":", b"," + between + name[:-2], after


def _kept(part: Part) -> Part:
    """A part with what its provider wants back, as `OfficialEvents` wrote it."""
    if isinstance(part, ReasoningPart):
        sealed = unseal(part.signature)
        return part if sealed is None else reasoning_of(part.text, sealed)
    if isinstance(part, ToolCall):
        ours = as_object(own_members(part.provider_data, FORMAT).get("llmstream"))
        data = call_data_of(ours) if ours else None
        if data is not None:
            part.provider_data = data
    return part
