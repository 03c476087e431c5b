"""Cohere's `/v2/chat`: bytes to events.

Format: https://docs.cohere.com/v2/docs/streaming. What real streams show, beside what is documented:

- `delta.message.content`, `.tool_calls` and `.citations` are objects, not lists; whole answers have lists.
- A plan (`tool_plan`) comes before calls. It is reasoning; older models have no other.
- Arguments in pieces, whole in `tool-call-start`, in both places, or none at all.
- The whole message in `message-start` or `message-end`, alone or beside its events.
- A citation counts characters of its own block of text. It may be about the reasoning or the plan.
- `[DONE]` behind the end, or not. No event names the model.
- Usage in two counts: what is billed, and all tokens, which we take.

The end is `message-end`, and nothing else. Its reason may be a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object, as_text
from llmstream.errors import ErrorInfo
from llmstream.messages import Usage, parse_arguments
from llmstream.wire.cohere_v2 import members
from llmstream.wire.cohere_v2.calls import CohereCalls, parse_call
from llmstream.wire.cohere_v2.citations import FORMAT, parse_citation
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES, Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count, as_string, listed, objects_in
from llmstream.wire.open_calls import OpenCall, content_of
from llmstream.wire.text_record import TextRecord

_TEXT_ALONE = frozenset({"text"})
_SAID_BY = {
    "content-start": "content",
    "content-delta": "content",
    "tool-plan-delta": "tool_plan",
    "tool-call-start": "tool_calls",
    "tool-call-delta": "tool_calls",
    "citation-start": "citations",
}
"""The member of a message that an event tells."""
_SAYING = frozenset(_SAID_BY.values())


class CohereDecoder(Decoder):
    """One answer of `/v2/chat`."""

    format = FORMAT
    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._table = CohereCalls()
        self._given: dict[
            OpenCall, str
        ] = {}  # arguments of starts: what follows may tell them again
        self._thoughts = TextRecord()
        self._blocks: dict[Any, Any] = {}  # what begun blocks said in their starts, by index
        self._early: Mapping[str, Any] = {}  # the message of the start, which events may tell again
        self._begins: dict[Any, int] = {}  # characters of the text before each block of it
        self._last_begin = 0
        self._cited = False

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("type") or event
        handler = self._HANDLERS.get(kind)
        if carries_error(payload):
            self._fail(parse_error(payload))
        elif handler is not None:
            self._is_known = True
            if not payload.keys() <= members.EVENT:
                self._unread.look_over(f"{kind}.", payload, members.EVENT)
            if self._early:
                self._settle_start(kind, payload)
            handler(self, payload)
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

    def _fail(self, info: ErrorInfo) -> None:
        """The arguments of starts are shown, too."""
        given, self._given = self._given, {}
        for call, arguments in given.items():
            self._call_delta(call, arguments, first=True, named=bool(call.name))
        super()._fail(info)

    def is_failure(self, payload: dict[str, Any]) -> bool:
        """Cohere's own errors have no `error`."""
        return _is_failure(payload) or super().is_failure(payload)

    # --- events --------------------------------------------------------------------------------------------

    def _parse_start(self, payload: dict[str, Any]) -> None:
        self._parse_head(payload)
        message = as_object(as_object(payload.get("delta")).get("message"))
        if any(message.get(name) for name in _SAYING) and not self._started:
            self._early = message

    def _parse_head(self, payload: dict[str, Any]) -> None:
        if not self._started:
            self.start.id = as_text(payload.get("id")) or self.start.id
            self.start.model = as_text(payload.get("model")) or self.start.model

    def _settle_start(self, kind: str, payload: dict[str, Any]) -> None:
        """Tell what the start said, unless this event begins to tell it again."""
        message, self._early = self._early, {}
        index = payload.get("index") or 0
        told = message.get(_SAID_BY.get(kind, ""))
        if not told or index >= len(listed(told)):
            self._parse_message(message)

    def _parse_content_start(self, payload: dict[str, Any]) -> None:
        """A block begins; some begin twice."""
        index, content = _key(payload.get("index")), self._said_in(payload).get("content")
        if content != self._blocks.get(index):
            self._blocks[index] = content
            self._parse_content(payload)

    def _end_content(self, payload: dict[str, Any]) -> None:
        """A block ends."""
        self._texts.end(_key(payload.get("index")))

    def _parse_content(self, payload: dict[str, Any]) -> None:
        """A block goes on."""
        content = self._said_in(payload).get("content")
        if (
            type(content) is dict
            and content.keys() == _TEXT_ALONE
            and payload.get("index") in self._begins
        ):
            self._part = self._texts.begin(payload.get("index"))
            self._plain_text(
                content["text"]
            )  # nearly every event: there is nothing else to look for
            return
        for block in listed(content):
            self._parse_block(block, payload.get("index"))

    def _parse_block(self, block: Any, index: Any) -> None:
        if block is None:
            return
        if isinstance(block, str):
            block = {"text": block}
        if thinking := block.get("thinking"):
            self._think(thinking)
        if "text" in block and index not in self._begins:
            self._last_begin = self._begins[_key(index)] = self._record.size
        if "text" in block:
            self._part = self._texts.begin(_key(index))
        self._text(block.get("text") or "")
        if not block.keys() <= members.CONTENT:
            self._unread.look_over("content.", block, members.CONTENT)

    def _think(self, text: str) -> None:
        self._thoughts.chunks.append(self._reasoning(text))

    def _parse_plan(self, payload: dict[str, Any]) -> None:
        self._think(self._said_in(payload).get("tool_plan") or "")

    def _said_in(self, payload: dict[str, Any]) -> dict[str, Any]:
        """What an event's delta says; nothing, where it is null. AttributeError makes its frame a bad one."""
        delta = payload.get("delta") or {}
        if not delta.keys() <= members.DELTA:
            self._unread.look_over("delta.", delta, members.DELTA)
        message: dict[str, Any] = delta.get("message") or {}
        if not message.keys() <= members.MESSAGE:
            self._unread.look_over("message.", message, members.MESSAGE)
        return message

    # --- calls ---------------------------------------------------------------------------------------------

    def _parse_call_start(self, payload: dict[str, Any]) -> None:
        """A call begins. Several in one event are at the indices that follow."""
        calls = listed(self._said_in(payload).get("tool_calls"))
        index = payload.get("index")
        for place, given in enumerate(calls):
            self._add_to_call(given, index + place if type(index) is int else None, starts=True)

    def _parse_call(self, payload: dict[str, Any]) -> None:
        """A call goes on."""
        for given in listed(self._said_in(payload).get("tool_calls")):
            self._add_to_call(given, payload.get("index"))

    def _add_to_call(self, given: dict[str, Any], index: Any, *, starts: bool = False) -> OpenCall:
        piece = parse_call(given, self._unread)
        call = self._table.find(index, piece, starts=starts)
        if call is None:
            call = self._open_call(piece.id, piece.name)
            self._table.add(index, piece, call)
        if starts and piece.arguments.strip() and parse_arguments(piece.arguments) is not None:
            self._given[call] = piece.arguments
        elif piece.arguments.strip() or call not in self._given:
            self._given.pop(call, None)
            self._call_delta(call, piece.arguments, first=not call.has_begun)
        return call

    def _end_call(self, call: OpenCall) -> None:
        """No more of it comes: the arguments of its start count, if none followed."""
        arguments = self._given.pop(call, None)
        if arguments is not None:
            self._call_delta(call, arguments, first=True, named=bool(call.name))
        call.done = True

    def _parse_call_end(self, payload: dict[str, Any]) -> None:
        call = self._table.at(payload.get("index"))
        if call is not None:
            self._end_call(call)

    # --- citations, and messages that are whole ------------------------------------------------------------

    def _parse_citation(self, payload: dict[str, Any]) -> None:
        for citation in listed(self._said_in(payload).get("citations")):
            self._cite(citation)

    def _cite(self, citation: dict[str, Any]) -> None:
        before = self._begins.get(citation.get("content_index"), self._last_begin)
        self._cited = True
        for source in parse_citation(citation, before):
            self._source(source)

    def _parse_message(self, message: Mapping[str, Any]) -> None:
        """A whole message."""
        self._think(message.get("tool_plan") or "")
        for index, block in enumerate(listed(message.get("content"))):
            self._parse_block(block, index)
        for citation in listed(message.get("citations")):
            self._cite(citation)
        for index, call in enumerate(listed(message.get("tool_calls"))):
            self._add_whole_call(call, index)
        self._unread.look_over("message.", message, members.MESSAGE)

    def _add_whole_call(self, given: dict[str, Any], index: int) -> None:
        self._end_call(self._add_to_call(given, index, starts=True))

    def _tell_rest(self, message: dict[str, Any]) -> None:
        """The whole message at its end: what its events didn't tell."""
        content = listed(message.get("content"))
        blocks = [{"text": each} if isinstance(each, str) else each for each in content if each]
        plan, thoughts = message.get("tool_plan") or "", _joined(blocks, "thinking")
        thought, text = plan + thoughts, _joined(blocks, "text")
        more_thought = self._thoughts.rest(thought) if thought else ""
        more_text = self._record.rest(text) if text else ""
        self._think(more_thought or "")
        self._text(more_text or "")
        if more_thought is None or more_text is None:
            self._unread.note("message-end.message", message)
        self._tell_calls(objects_in(listed(message.get("tool_calls"))))
        for citation in () if self._cited else objects_in(listed(message.get("citations"))):
            self._cite(citation)

    def _tell_calls(self, listed_calls: list[dict[str, Any]]) -> None:
        """Those of all calls that weren't told, by their ids; under another id by what they ask for."""
        ids = {call.get("id") for call in listed_calls} - {None, ""}
        told = self._table.all
        others = [content_of(call.name, call.arguments) for call in told if told[call] not in ids]
        known = ids & set(told.values())
        for given in listed_calls:
            if given.get("id") in known:
                continue
            content = parse_call(given, self._unread).content
            if content in others:
                others.remove(content)
            else:
                self._add_whole_call(given, len(told))

    def _parse_end(self, payload: dict[str, Any]) -> None:
        delta = as_object(payload.get("delta"))
        self._unread.look_over("message-end.", delta, members.END)
        for call in list(self._given):
            self._end_call(call)
        message = delta.get("message")
        if isinstance(message, dict):
            self._tell_rest(message)
        self._end({**payload, **delta})

    def _end(self, said: Any) -> None:
        """How the answer ended."""
        self._count(_usage_of(as_object(said.get("usage") or said.get("meta"))))
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
        "content-start": _parse_content_start,
        "content-delta": _parse_content,
        "content-end": _end_content,
        "tool-plan-delta": _parse_plan,
        "tool-call-start": _parse_call_start,
        "tool-call-delta": _parse_call,
        "tool-call-end": _parse_call_end,
        "citation-start": _parse_citation,
        "citation-end": _ignore,
        "message-end": _parse_end,
    }


def _joined(blocks: Iterable[Mapping[str, Any]], member: str) -> str:
    return "".join(block.get(member) or "" for block in blocks)


def _is_failure(payload: dict[str, Any]) -> bool:
    """Whether it is the body of one of Cohere's errors: a text as `message`, and an id or a type."""
    beside = payload.keys() & {"error_type", "id"}
    return "type" not in payload and bool(beside) and isinstance(payload.get("message"), str)


def _key(index: Any) -> Any:
    return index if type(index) is int else None


def _usage_of(usage: Any) -> Usage | None:
    """The counts of all tokens; those that are billed, where another lacks."""
    places = [as_object(usage.get(name)) for name in ("tokens", "billed_units")]
    asked, said = (_first_count(places, name) for name in ("input_tokens", "output_tokens"))
    given = (asked, said, as_count(usage.get("cached_tokens")))
    return None if given == (None, None, None) else Usage(*given)


def _first_count(places: Iterable[Mapping[str, Any]], name: str) -> int | None:
    counts = (as_count(place.get(name)) for place in places)
    return next((count for count in counts if count is not None), None)
