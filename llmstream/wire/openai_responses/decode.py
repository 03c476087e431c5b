"""OpenAI Responses, and the servers that speak it: bytes to events.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. Rules, and what real servers add, all seen
in recordings or public reports:

- The end is `response.completed` or `.incomplete` (MESSAGE_COMPLETE; elsewhere also `.done` and `.requires_action`),
  `.failed`, `.cancelled` or `error` (ERROR; the first one counts). Nothing else ends the answer: a cut before it is
  `truncated`. `[DONE]` (OpenRouter) says nothing.
- The JSON `type` decides; `event:` lines may be absent (OpenRouter, Bedrock), and so may `output_index` on `.done`.
- Indices and ids disagree: item ids change from event to event (Copilot), each delta has the next `content_index`, an
  item's `.done` has another `output_index` (vLLM, LocalAI). What an item says counts (see `item_table.py`).
- Whatever streamed isn't told again by its `.done`, its part's, its item's or the terminal `response.output`. What
  stands in one of these alone is told.
- A resumed stream starts mid-way: what it had sent before isn't told again.
- `encrypted_content` of a reasoning item's `.done` is its signature. A blank line joins parts of reasoning, if the
  server said where they begin or end; `reasoning_text` (DeepSeek, LM Studio, gpt-oss) and summaries are both reasoning.
- A custom tool's input is any text: its call is whole although the text is no JSON.
- A message's `phase` ("commentary", "final_answer") is kept with its text.
- `response.<item>.<phase>` of tools that the provider runs becomes STATUS(kind="progress"); their item becomes
  TOOL_CALL and what came of it (see `items.py`). Other items are opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import parse_arguments
from llmstream.wire.error_body import is_error, parse_error
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count
from llmstream.wire.open_calls import OpenCall, as_name, content_of
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.item_content import (
    ItemContent,
    look_over_item,
    look_over_part,
    part_text,
    read_content,
)
from llmstream.wire.openai_responses.item_table import CALLS, Fit, Item, ItemTable, family_of
from llmstream.wire.openai_responses.item_writer import ItemWriter, as_arguments, as_words
from llmstream.wire.openai_responses.items import (
    FORMAT,
    is_provider_call,
    is_provider_result,
    parse_result,
)
from llmstream.wire.openai_responses.values import parse_annotation
from llmstream.wire.streamed_text import StreamedText
from llmstream.wire.usage_counts import read_counts, usage_of

_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})


class ResponsesDecoder(ItemWriter):
    """One answer of the Responses API."""

    framing = SSE("delta", ("sequence_number", "obfuscation"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items = ItemTable()
        self._claimed: dict[Item, None] = {}  # the items that the snapshot names by an id
        self._asked: set[tuple[str, str]] = set()  # what finished calls ask for
        self._is_resumed = False  # the stream begins after its own beginning

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("type") or event
        if not self._is_known:
            self._is_known = str(kind).startswith("response.")
            number = as_count(payload.get("sequence_number"))
            self._is_resumed = bool(number) and kind not in _BEGINNINGS
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, payload)
            if not payload.keys() <= members.EVENT:
                self._unread.look_over(f"{kind}.", payload, members.EVENT)
        elif is_error(payload):
            self._fail(parse_error(payload))
        elif not (self._parse_progress(kind, payload) or members.is_empty_event(str(kind))):
            self._unread.note(str(kind), members.without_names(payload))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole `response` object."""
        if payload.get("object") != "response" and not isinstance(payload.get("output"), list):
            return False
        if payload.get("status") in ("queued", "in_progress"):
            return False
        self._parse_end({"response": payload})
        return self.ended

    # --- the response as a whole ---------------------------------------------------------------------------

    def _parse_response(self, payload: dict[str, Any]) -> None:
        response = payload.get("response")
        if response:
            self._unread.look_over("response.", response, members.RESPONSE)
        if response and not self._started:
            self.start.id = self.start.id or as_words(response.get("id")) or None
            self.start.model = self.start.model or as_words(response.get("model")) or None

    def _parse_end(self, payload: dict[str, Any]) -> None:
        self._parse_response(payload)
        response = payload.get("response") or {}
        self._count(usage_of(read_counts(response.get("usage") or payload.get("usage"))))
        self._parse_output(response.get("output") or ())
        self._parse_output_text(response)
        named = payload.get("type", "response.completed").rpartition(".")[2]
        status = response.get("status") or named
        if status in ("in_progress", "queued"):  # a server that forgets to change it
            status = named
        failure = _find_error(payload, response)
        if failure or status in ("failed", "cancelled"):
            self._parse_failure(failure, status)
            return
        details = response.get("incomplete_details") or {}
        reason = details if isinstance(details, str) else details.get("reason")
        raw = f"{status}:{reason}" if reason else str(status)
        self._finish_word(str(reason or status), raw=raw)
        if (speech := self._speech.take()) is not None:
            self._file(speech)
        self._complete()

    def _parse_failure(self, failure: Any, status: str) -> None:
        if failure:
            self._fail(parse_error({"error": failure}))
        elif status == "cancelled":
            self._fail(
                ErrorInfo("server", "the response was cancelled", retryable=False, code=status)
            )
        else:
            self._fail(ErrorInfo("server", "the provider reported a failed response", code=status))

    def _parse_output(self, output: Any) -> None:
        """The items of the terminal event: those that weren't told before."""
        for item in self._items.going_on():
            if item.opening is not None and not (item.text or item.done):
                self._end_item(item.opening, item)
        read = [read_content(item, self._unread) for item in output]
        families = [family_of(one.type) for one in read]
        named = [
            self._items.take_named(item, family, one.key)
            for item, family, one in zip(output, families, read, strict=True)
        ]
        told = [
            is_named or self._items.take_told(family, one.key)
            for is_named, family, one in zip(named, families, read, strict=True)
        ]
        self._claimed = {state: None for item in output for state in self._items.named(item)}
        for index, item in enumerate(output):
            if not told[index]:
                self._items.forget_told()
                self._parse_snapshot(item, index, read[index])

    def _parse_output_text(self, response: Mapping[str, Any]) -> None:
        """The text of all messages, which some servers give here alone."""
        whole = response.get("output_text")
        if not isinstance(whole, str):
            self._unread.note("response.output_text", whole)
            return
        told = [item for item in self._items.messages if item.text]
        rest: str | None = whole
        for item in told:
            rest = None if rest is None else item.text.rest(rest)
        if rest and not self._is_resumed:
            self._tell("text", rest, told[-1] if told else self._item({}, "message"))

    def _parse_snapshot(self, item: dict[str, Any], index: int, read: ItemContent) -> None:
        if read.type == "message" and self._tells_again(read.text):
            return
        known = self._find(item, {"output_index": index, **item}, read)
        if known is not None:
            self._end_item(item, known, read)
        elif not self._is_resumed:
            self._end_item(item, self._new_item(item, None, whole=True), read)

    def _tells_again(self, text: str) -> bool:
        """Whether one message of the snapshot is what several messages have told."""
        told = [item for item in self._items.messages if item.text]
        rest: str | None = text
        for item in told:
            rest = None if rest is None else item.text.rest(rest)
        return len(told) > 1 and rest == ""

    def _parse_error(self, payload: dict[str, Any]) -> None:
        self._fail(parse_error(payload))

    def _parse_progress(self, kind: Any, payload: dict[str, Any]) -> bool:
        """A phase of a tool that the provider runs; False if the event is something else."""
        names = str(kind).split(".")
        if len(names) != 3 or not is_provider_call(names[1]):
            return False
        if names[2] == "partial_image":
            return True
        data = {"format": FORMAT, "type": kind, "item_id": payload.get("item_id")}
        status = Status("progress", f"{names[1]} {names[2]}", data)
        self._out.append(StreamEvent(EventType.STATUS, status=status))
        return True

    # --- items ---------------------------------------------------------------------------------------------

    def _new_item(self, item: Mapping[str, Any], index: Any, *, whole: bool) -> Item:
        state = Item(family_of(as_words(item.get("type"))), whole=whole)
        self._items.add(state, index, as_words(item.get("id")), as_words(item.get("call_id")))
        return state

    def _item(self, payload: dict[str, Any], family: str) -> Item:
        """The item that a delta belongs to. One that never began begins with it."""
        item = self._items.place(payload, family)
        if item is None:
            item = Item(family, whole=False)
            self._items.add(item, payload.get("output_index"), as_words(payload.get("item_id")))
        return item

    def _find(
        self, item: Mapping[str, Any], payload: Mapping[str, Any], read: ItemContent
    ) -> Item | None:
        """The known item that a finished one is."""
        numbers = {"item_id": payload.get("item_id"), "output_index": payload.get("output_index")}
        family = family_of(read.type)
        known = self._items.match(
            {**numbers, **item}, family, read.key, lambda state: self._fit(state, item, read)
        )
        if known is None and family == "reasoning" and not read.reasoning:
            return self._items.at(payload.get("output_index"), family)
        if known is not None and known.call is not None and not _is_call(known, read):
            return None
        return known

    def _fit(self, state: Item, item: Mapping[str, Any], read: ItemContent) -> Fit:
        """How an open item fits the finished one. In the snapshot another one may have its id."""
        is_anothers = state in self._claimed and state not in self._items.named(item)
        return "" if is_anothers else _fit(state, read)

    def _parse_added(self, payload: dict[str, Any]) -> None:
        item = payload["item"]
        look_over_item(item, self._unread)
        kind = as_words(item["type"])
        state = self._items.same_start(payload, item, family_of(kind))
        if state is None:
            state = self._new_item(item, payload.get("output_index"), whole=True)
        state.phase = as_words(item.get("phase")) or state.phase
        if item.get("content") or item.get(CALLS.get(kind, "")):
            state.opening = item
        if kind in CALLS:
            self._begin_call(state, item)

    def _parse_item_done(self, payload: dict[str, Any]) -> None:
        item = payload["item"]
        read = read_content(item, self._unread)
        state = self._find(item, payload, read)
        if state is None:
            is_whole = not self._is_resumed or read.type in CALLS
            state = self._new_item(item, payload.get("output_index"), whole=is_whole)
        self._end_item(item, state, read)

    def _end_item(self, item: dict[str, Any], state: Item, read: ItemContent | None = None) -> None:
        if state.done:
            if state.call is not None and item["type"] in CALLS:
                self._add_late(state.call, as_arguments(item.get(CALLS[item["type"]])))
            return
        read = read or read_content(item, self._unread)
        self._items.finish(state, read.key)
        kind = read.type
        if kind == "message":
            self._end_message(state, read)
        elif kind == "reasoning":
            self._end_reasoning(item, state, read)
        elif kind in CALLS:
            self._asked |= {content_of(name, read.arguments) for name in (read.name, "")}
            self._end_call(item, state)
        elif is_provider_call(kind):
            self._provider_call(item)
        elif is_provider_result(kind):
            self._tool_result(parse_result(item))
        else:
            if kind not in members.OPAQUE_ITEMS:
                self._unread.note(f"output.{kind}", members.without_names(item))
            self._opaque(item=item, understood=kind in members.OPAQUE_ITEMS)

    # --- text ----------------------------------------------------------------------------------------------

    def _parse_text(self, payload: dict[str, Any]) -> None:
        item = self._item(payload, "message")
        self._go_on(item)
        self._plain_text(as_words(payload.get("delta")))

    def _parse_refusal(self, payload: dict[str, Any]) -> None:
        self._tell_refusal(as_words(payload.get("delta")), self._item(payload, "message"))

    def _parse_text_done(self, payload: dict[str, Any]) -> None:
        self._end_part({**payload, "type": "output_text"}, payload)

    def _parse_refusal_done(self, payload: dict[str, Any]) -> None:
        self._end_part({**payload, "type": "refusal"}, payload)

    def _parse_part_added(self, payload: dict[str, Any]) -> None:
        self._end_part({"type": (payload.get("part") or {}).get("type")}, payload)

    def _parse_part_done(self, payload: dict[str, Any]) -> None:
        look_over_part(payload["part"], self._unread)
        self._end_part(payload["part"], payload)

    def _end_part(self, part: dict[str, Any], payload: dict[str, Any]) -> None:
        """A content part begins or ends: what its text adds to its deltas."""
        kind, content = part_text(part)
        family = "reasoning" if kind == "reasoning" else "message"
        state = self._part_item(payload, family, kind, content)
        if state is None:
            return
        text: StreamedText = getattr(state, kind)
        self._tell(kind, text.rest_of_part(content), state)
        text.end_part()
        self._add_annotations(part.get("annotations") or (), state)

    def _part_item(
        self, payload: dict[str, Any], family: str, kind: str, content: str
    ) -> Item | None:
        """The item of a part; None if its start wasn't seen, so that some of it may have been told."""
        state = self._items.place(payload, family)
        if state is not None and state.done:
            return None
        if state is None and content and not self._is_resumed:
            is_told = any(getattr(item, kind).rest(content) == "" for item in self._items.messages)
            state = None if is_told else self._item(payload, family)
            if state is not None:
                state.whole = True
        if state is None or not (state.whole or getattr(state, kind)):
            return None
        return state

    def _parse_annotation(self, payload: dict[str, Any]) -> None:
        source = parse_annotation(payload.get("annotation") or {})
        if source is not None:
            self._item(payload, "message").sources[repr(source)] += 1
            self._source(source)

    # --- reasoning -----------------------------------------------------------------------------------------

    def _parse_reasoning(self, payload: dict[str, Any]) -> None:
        self._think(as_words(payload.get("delta")), self._item(payload, "reasoning"))

    def _parse_reasoning_done(self, payload: dict[str, Any]) -> None:
        self._end_part({**payload, "type": "reasoning_text"}, payload)

    def _parse_reasoning_part(self, payload: dict[str, Any]) -> None:
        self._end_part({**(payload.get("part") or {}), "type": "summary_text"}, payload)

    # --- calls ---------------------------------------------------------------------------------------------

    def _call(self, payload: dict[str, Any]) -> OpenCall:
        """The call of some arguments. One that never began gets its name later."""
        state = self._item(payload, "call")
        if state.call is None:
            state.call = self._open_call(None, "")
        return state.call

    def _parse_arguments(self, payload: dict[str, Any]) -> None:
        self._call_delta(self._call(payload), as_words(payload.get("delta")))

    def _parse_arguments_done(self, payload: dict[str, Any]) -> None:
        whole = as_arguments(payload.get("arguments") or payload.get("input"))
        name = as_name(payload.get("name"))
        state = self._items.place_arguments(payload, whole)
        if state is None or not self._may_ask(state, payload, name, whole):
            state = self._begin_asked(payload, name, whole)
        if state is None or state.call is None:
            return
        if state.done:
            self._add_late(state.call, whole)
            return
        state.asked = True
        state.call.name = state.call.name or name
        self._add_arguments(state.call, whole)

    def _may_ask(self, state: Item, payload: dict[str, Any], name: str, whole: str) -> bool:
        """Whether whole arguments may be those of an item. One that has its own takes no others by mere position."""
        call = state.call
        if call is None:
            return True
        if not _has_name(call, name):
            return False
        is_free = not state.asked or content_of("", whole) == content_of("", call.arguments)
        return is_free or self._items.is_numbered(state, payload)

    def _begin_asked(self, payload: dict[str, Any], name: str, whole: str) -> Item | None:
        """A call that begins with its whole arguments; None if a finished one asked for the same."""
        is_empty = not (name or whole)
        if is_empty or self._is_resumed or content_of(name, whole) in self._asked:
            return None
        state = Item("call", whole=True)
        ids = as_words(payload.get("item_id")), as_words(payload.get("call_id"))
        self._items.add(state, payload.get("output_index"), *ids)
        state.call = self._open_call(ids[1] or ids[0], name)
        return state

    # --- speech --------------------------------------------------------------------------------------------

    def _parse_speech(self, payload: dict[str, Any]) -> None:
        self._speech.add(payload.get("delta"), payload.get("item_id"))

    def _parse_transcript(self, payload: dict[str, Any]) -> None:
        item = self._item(payload, "message")
        self._go_on(item)
        self._text(as_words(payload.get("delta")))

    _HANDLERS: ClassVar[dict[Any, Callable[[Any, dict[str, Any]], None]]] = {
        "response.created": _parse_response,
        "response.queued": _parse_response,
        "response.in_progress": _parse_response,
        "response.completed": _parse_end,
        "response.incomplete": _parse_end,
        "response.failed": _parse_end,
        "response.cancelled": _parse_end,
        "response.done": _parse_end,
        "response.requires_action": _parse_end,
        "error": _parse_error,
        "response.output_item.added": _parse_added,
        "response.output_item.done": _parse_item_done,
        "response.output_text.delta": _parse_text,
        "response.output_text.done": _parse_text_done,
        "response.output_text.annotation.added": _parse_annotation,
        "response.refusal.delta": _parse_refusal,
        "response.refusal.done": _parse_refusal_done,
        "response.content_part.done": _parse_part_done,
        "response.content_part.added": _parse_part_added,
        "response.reasoning_part.added": _parse_reasoning_part,
        "response.reasoning_part.done": _parse_reasoning_part,
        "response.reasoning_summary_part.added": _parse_reasoning_part,
        "response.reasoning_summary_part.done": _parse_reasoning_part,
        "response.reasoning_summary_text.delta": _parse_reasoning,
        "response.reasoning_summary_text.done": _parse_reasoning_done,
        "response.reasoning_summary.delta": _parse_reasoning,
        "response.audio.delta": _parse_speech,
        "response.audio.transcript.delta": _parse_transcript,
        "response.output_audio.delta": _parse_speech,
        "response.output_audio_transcript.delta": _parse_transcript,
        "response.reasoning_text.delta": _parse_reasoning,
        "response.reasoning_text.done": _parse_reasoning_done,
        "response.function_call_arguments.delta": _parse_arguments,
        "response.function_call_arguments.done": _parse_arguments_done,
        "response.custom_tool_call_input.delta": _parse_arguments,
        "response.custom_tool_call_input.done": _parse_arguments_done,
    }


def _find_error(payload: dict[str, Any], response: dict[str, Any]) -> Any:
    """The error of a terminal event: in the response, beside it, or in its status's details (Realtime)."""
    details = response.get("status_details")
    detailed = details.get("error") if isinstance(details, dict) else None
    found = (response.get("error"), payload.get("error"), detailed, response.get("last_error"))
    return next(filter(None, found), None)


def _fit(state: Item, read: ItemContent) -> Fit:
    """How an open item fits the finished one, by what it has told."""
    call = state.call
    if call is not None:
        if not (_has_name(call, read.name) and read.begins_with(call.arguments)):
            return ""
        return "same" if call.chunks and call.arguments == read.arguments else "begins"
    is_reasoning = read.type == "reasoning"
    text = state.reasoning if is_reasoning else state.text
    if not text:
        return "begins"
    rests = [text.rest(form) for form in (read.reasoning_forms if is_reasoning else [read.text])]
    if "" in rests:
        return "same"
    return "begins" if any(rest is not None for rest in rests) else ""


def _is_call(state: Item, read: ItemContent) -> bool:
    """Whether a finished call is this one. One that was over with other arguments isn't."""
    call = state.call
    if call is None or not _has_name(call, read.name):
        return False
    is_open = not state.done or not parse_arguments(call.arguments)
    return is_open or not parse_arguments(read.arguments) or read.begins_with(call.arguments)


def _has_name(call: OpenCall, name: str) -> bool:
    return not name or call.name in ("", name)
