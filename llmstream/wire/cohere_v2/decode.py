"""Cohere's `/v2/chat`: bytes to events.

Format: https://docs.cohere.com/v2/docs/streaming. What real streams show, beside what is documented:

- `delta.message.content`, `.tool_calls` and `.citations` are objects, not lists; whole answers have lists.
- A plan (`tool_plan`) comes before calls. It is reasoning; older models have no other.
- Arguments in pieces, whole in `tool-call-start`, or none at all.
- A citation counts characters of its own block of text. It may be about the reasoning or the plan.
- `[DONE]` behind the end, or not. No event names the model.
- Usage in two counts: what is billed, and all tokens, which we take.

The end is `message-end`, and nothing else. Its reason may be a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from llmstream.checks import as_object, as_text
from llmstream.messages import Usage
from llmstream.wire.cohere_v2 import members
from llmstream.wire.cohere_v2.citations import FORMAT, parse_citation
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES, Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count, as_string, listed
from llmstream.wire.open_calls import OpenCall, as_name

_TEXT_ALONE = frozenset({"text"})


class CohereDecoder(Decoder):
    """One answer of `/v2/chat`."""

    format = FORMAT
    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_index: dict[Any, OpenCall] = {}
        self._latest: OpenCall | None = None
        self._begins: dict[Any, int] = {}  # characters of the text before each block of it
        self._last_begin = 0

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("type") or event
        handler = self._HANDLERS.get(kind)
        if carries_error(payload):
            self._fail(parse_error(payload))
        elif handler is not None:
            self._is_known = True
            handler(self, payload)
            if not payload.keys() <= members.EVENT:
                self._unread.look_over(f"{kind}.", payload, members.EVENT)
        elif kind == "error" or _is_failure(payload) or is_error(payload):
            self._fail(parse_error(payload))
        elif kind not in KEEP_ALIVES and kind not in members.EMPTY_EVENTS:
            rest = {name: value for name, value in payload.items() if name != "type"}
            self._unread.note(str(kind), rest)

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole answer."""
        message = payload.get("message")
        if _is_failure(payload):
            self._fail(parse_error(payload))
            return True
        if not isinstance(message, dict) or "finish_reason" not in payload:
            return False
        self._parse_head(payload)
        self._parse_message(message)
        self._unread.look_over("", payload, members.DOCUMENT)
        self._end(payload)
        return True

    # --- events --------------------------------------------------------------------------------------------

    def _parse_start(self, payload: dict[str, Any]) -> None:
        self._parse_head(payload)
        message = as_object(payload.get("delta")).get("message")
        if message and not self._started:
            self._parse_message(message)

    def _parse_head(self, payload: dict[str, Any]) -> None:
        if not self._started:
            self.start.id = as_text(payload.get("id")) or self.start.id
            self.start.model = as_text(payload.get("model")) or self.start.model

    def _parse_content(self, payload: dict[str, Any]) -> None:
        """A block begins or goes on."""
        content = _said(payload).get("content")
        if (
            type(content) is dict
            and content.keys() == _TEXT_ALONE
            and payload.get("index") in self._begins
        ):
            self._plain_text(
                content["text"]
            )  # nearly every event: there is nothing else to look for
            return
        for block in listed(content):
            self._parse_block(block, payload.get("index"))

    def _parse_block(self, block: Any, index: Any) -> None:
        if isinstance(block, str):
            block = {"text": block}
        if thinking := block.get("thinking"):
            self._reasoning(thinking)
        if "text" in block and index not in self._begins:
            self._last_begin = self._begins[_key(index)] = self._record.size
        self._text(block.get("text") or "")
        if not block.keys() <= members.CONTENT:
            self._unread.look_over("content.", block, members.CONTENT)

    def _parse_plan(self, payload: dict[str, Any]) -> None:
        self._reasoning(_said(payload).get("tool_plan") or "")

    def _parse_call(self, payload: dict[str, Any]) -> None:
        """A call begins or goes on."""
        index = _key(payload.get("index"))
        for given in listed(_said(payload).get("tool_calls")):
            self._add_to_call(given, index)

    def _add_to_call(self, given: dict[str, Any], index: Any) -> None:
        function = as_object(given.get("function"))
        name, id = as_name(function.get("name")), as_string(given.get("id") or "")
        arguments = as_string(function.get("arguments") or "")
        call = self._by_index.get(index) if index is not None else self._latest
        is_another = call is not None and bool(id) and id != call.id
        if call is None or is_another:
            call = self._by_index[index] = self._latest = self._open_call(id, name)
            self._call_delta(call, arguments, first=True, named=bool(name))
        elif not name or arguments:
            self._call_delta(call, arguments)
        self._unread.look_over("tool_calls.", given, members.CALL)
        self._unread.look_over("tool_calls.function.", function, members.FUNCTION)

    def _parse_call_end(self, payload: dict[str, Any]) -> None:
        call = self._by_index.get(_key(payload.get("index")), self._latest)
        if call is not None:
            call.done = True

    def _parse_citation(self, payload: dict[str, Any]) -> None:
        for citation in listed(_said(payload).get("citations")):
            self._cite(citation)

    def _cite(self, citation: dict[str, Any]) -> None:
        before = self._begins.get(citation.get("content_index"), self._last_begin)
        for source in parse_citation(citation, before):
            self._source(source)

    def _parse_message(self, message: dict[str, Any]) -> None:
        """A whole message."""
        self._reasoning(message.get("tool_plan") or "")
        for index, block in enumerate(listed(message.get("content"))):
            self._parse_block(block, index)
        for citation in listed(message.get("citations")):
            self._cite(citation)
        for index, call in enumerate(listed(message.get("tool_calls"))):
            self._add_to_call(call, index)
            self._by_index[index].done = True
        self._unread.look_over("message.", message, members.MESSAGE)

    def _parse_end(self, payload: dict[str, Any]) -> None:
        delta = as_object(payload.get("delta"))
        self._unread.look_over("message-end.", delta, members.END)
        self._end(delta)

    def _end(self, said: Any) -> None:
        """How the answer ended."""
        self._count(_usage_of(as_object(said.get("usage"))))
        if told := said.get("error"):
            kind = said.get("error_type")
            self._fail(parse_error({"message": as_string(told), "error_type": kind}))
            return
        if reason := said.get("finish_reason"):
            self._finish_word(as_string(reason))
        self._complete()

    def _ignore(self, payload: dict[str, Any]) -> None:
        """A block or a citation is over."""

    _HANDLERS: ClassVar[dict[Any, Callable[[Any, dict[str, Any]], None]]] = {
        "message-start": _parse_start,
        "content-start": _parse_content,
        "content-delta": _parse_content,
        "content-end": _ignore,
        "tool-plan-delta": _parse_plan,
        "tool-call-start": _parse_call,
        "tool-call-delta": _parse_call,
        "tool-call-end": _parse_call_end,
        "citation-start": _parse_citation,
        "citation-end": _ignore,
        "message-end": _parse_end,
    }


def _said(payload: dict[str, Any]) -> dict[str, Any]:
    """What an event's delta says; nothing, where it is null. AttributeError makes its frame a bad one."""
    delta = payload.get("delta")
    message: dict[str, Any] | None = None if delta is None else delta.get("message")
    return {} if message is None else message


def _is_failure(payload: dict[str, Any]) -> bool:
    """Whether it is the body of one of Cohere's errors: a text as `message`, and an id or a type."""
    beside = payload.keys() & {"error_type", "id"}
    return "type" not in payload and bool(beside) and isinstance(payload.get("message"), str)


def _key(index: Any) -> Any:
    return index if type(index) is int else None


def _usage_of(usage: Any) -> Usage | None:
    counts = as_object(usage.get("tokens")) or as_object(usage.get("billed_units"))
    given = (
        as_count(counts.get("input_tokens")),
        as_count(counts.get("output_tokens")),
        as_count(usage.get("cached_tokens")),
    )
    return None if given == (None, None, None) else Usage(*given)
