"""Events to the bytes of an OpenAI Responses stream: the inverse of `decode.py`.

Each event is written as the vendor writes it: `event:` and `type`, a running `sequence_number`, items with their
`added`, deltas and `done`, and the whole response again in the terminal event, so that clients that read only that
are served too. What the format has no place for is left out: files other than images, results of other vendors'
tools (their calls become `mcp_call` items), STATUS of other kinds, RETRY. A failure that only a cut can express
(truncated, connection) writes nothing: whoever sends the bytes ends them there.

It is a long file because the writers of all events share one state: the items that are open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object
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
from llmstream.messages import (
    File,
    FinishReason,
    Source,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.provider_data import own_data, own_members, own_notes
from llmstream.wire.event_encoder import EventEncoder, Writer, sayable_failure
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.items import FORMAT
from llmstream.wire.openai_responses.open_item import Frame, OpenItem, text_of
from llmstream.wire.openai_responses.values import render_annotation, render_error, render_usage
from llmstream.wire.outbound import json_bytes

_STATUSES = frozenset({"completed", "incomplete", "in_progress", "queued"})
_REASONS = {
    FinishReason.LENGTH: "incomplete:max_output_tokens",
    FinishReason.CONTENT_FILTER: "incomplete:content_filter",
    FinishReason.OTHER: "incomplete",
    FinishReason.PAUSE: "incomplete",
}


class ResponsesEncoder(EventEncoder):
    """One per answer; `feed` gives the bytes of each event. Keeps the answer until its end.

    `custom_tools` names the tools with free-form input (`{"type": "custom"}` in the request); calls of others are
    `function_call` items until they turn out otherwise. `created_at` is in seconds since the epoch.
    """

    def __init__(self, *, custom_tools: Collection[str] = (), created_at: int = 0) -> None:
        self._custom = custom_tools
        self._created = created_at
        self._start: Start | None = None
        self._early: list[Status] = []  # what came before MESSAGE_START
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # finished items; empty where one is still open
        self._open: OpenItem | None = None  # the message or reasoning item being written
        self._number = 0  # that of its words
        self._parked: dict[int, OpenItem] = {}  # others of its type that go on, by number
        self._calls: dict[int, OpenItem] = {}  # by the delta's index
        self._by_id: dict[str, OpenItem] = {}  # the same, by the call's id
        # By type: items that providers run, known by their progress.
        self._begun: dict[str, OpenItem] = {}
        self._phase: str | None = None  # of the messages that follow
        self._told = 0  # characters of text in finished items
        self._images: set[str | None] = set()  # ids of images that an item already carries

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        return b"".join(map(render_frame, self.payloads(event)))

    def payloads(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The JSON values of one event, not yet frames: what a WebSocket sends."""
        for kind, payload in self._frames(event):
            number = self._sequence
            self._sequence += 1
            yield {"type": kind, "sequence_number": number, **payload}

    # --- the response as a whole ---------------------------------------------------------------------------

    def _begin(self, event: StreamEvent) -> Iterator[Frame]:
        if self._start is not None:
            return  # another attempt goes on in the same answer
        self._start = event.start or Start()
        yield "response.created", {"response": self._response("in_progress")}
        yield "response.in_progress", {"response": self._response("in_progress")}
        for status in self._early:
            yield from self._status(status)
        self._early.clear()

    def _response(self, status: str, **more: Any) -> dict[str, Any]:
        start = self._start or Start()
        return {
            "id": start.id or "",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": start.model or "",
            "output": [item for item in self._output if item],
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
            **more,
        }

    def _end(self, event: StreamEvent) -> Iterator[Frame]:
        if self._start is None:
            yield from self._begin(event)
            yield from self._whole_answer(event)
        status, _, reason = _render_reason(event).partition(":")
        yield from self._close_all("completed" if status == "completed" else "incomplete")
        details = {"reason": reason} if reason else None
        usage = event.usage and render_usage(event.usage)
        kind = "response.completed" if status == "completed" else "response.incomplete"
        yield kind, {"response": self._response(status, incomplete_details=details, usage=usage)}

    def _error(self, event: StreamEvent) -> Iterator[Frame]:
        info = sayable_failure(event)
        if info is None:
            return
        error = render_error(info)
        if self._start is None and event.usage is None:
            yield "error", {**error, "param": None}
            return
        usage = event.usage and render_usage(event.usage)
        yield "response.failed", {"response": self._response("failed", error=error, usage=usage)}

    # --- items ---------------------------------------------------------------------------------------------

    def _id(self, prefix: str) -> str:
        answer = ((self._start and self._start.id) or "").rpartition("_")[2]
        return f"{prefix}_{answer}{len(self._output)}"

    def _add(self, item: dict[str, Any]) -> OpenItem:
        opened = OpenItem(len(self._output), item)
        self._output.append({})
        return opened

    def _done(self, opened: OpenItem, **more: Any) -> Frame:
        item = {**opened.item, **more}
        self._output[opened.index] = item
        return "response.output_item.done", {"output_index": opened.index, "item": item}

    def _whole(self, item: dict[str, Any], **before: Any) -> Iterator[Frame]:
        """An item that comes at once; `before` is how it looked when it began."""
        yield from self._close()
        opened = self._begun.pop(item.get("type", ""), None)
        if opened is None:
            opened = self._add(item)
            yield (
                "response.output_item.added",
                {"output_index": opened.index, "item": {**item, **before}},
            )
        opened.item = item
        yield self._done(opened)

    def _close(self, status: str = "completed") -> Iterator[Frame]:
        """End the message or reasoning item, and those that go on beside it."""
        going_on = [*self._parked.values(), *([self._open] if self._open else [])]
        self._parked.clear()
        self._open = None
        for opened in going_on:
            yield from opened.end_part()
            self._told += opened.told
            yield self._done(opened, **opened.finished(status))

    def _close_all(self, status: str) -> Iterator[Frame]:
        """End all items. The one that is still open at the end of an answer was cut with it."""
        yield from self._close(status)
        for opened in self._calls.values():
            if not self._output[opened.index]:
                yield self._done(opened, arguments="".join(opened.chunks), status="incomplete")

    # --- text, refusals, reasoning, sources ----------------------------------------------------------------

    def _part(self, kind: str, number: int | None = None) -> Iterator[Frame]:
        """Make sure that a content part of this kind is open: that with this number, or the one that goes on."""
        type = "reasoning" if kind == "summary_text" else "message"
        opened = self._open
        if opened is None or opened.item["type"] != type:
            yield from self._close()
            opened = yield from self._begin_text(type, number or 0)
        elif number is not None and number != self._number:
            self._parked[self._number] = opened
            self._open = self._parked.pop(number, None)
            opened = self._open or (yield from self._begin_text(type, number))
            self._number = number
        if opened.kind != kind:
            yield from opened.end_part()
            yield opened.begin_part(kind)

    def _begin_text(self, type: str, number: int) -> Generator[Frame, None, OpenItem]:
        opened = self._open = self._add(self._text_item(type))
        self._number = number
        yield _added(opened)
        return opened

    def _text_item(self, type: str) -> dict[str, Any]:
        if type == "reasoning":
            return {"id": self._id("rs"), "type": type, "summary": []}
        return {
            "id": self._id("msg"),
            "type": type,
            "status": "in_progress",
            "role": "assistant",
            "content": [],
            **present(phase=self._phase),
        }

    def _text(self, kind: str, content: str, number: int) -> Iterator[Frame]:
        yield from self._part(kind, number)
        if self._open is not None:
            yield self._open.delta(content)

    def _text_delta(self, delta: TextDelta) -> Iterator[Frame]:
        yield from self._text("output_text", delta.content, delta.part)

    def _reasoning_delta(self, delta: ReasoningDelta) -> Iterator[Frame]:
        yield from self._text("summary_text", delta.content, delta.part)

    def _refusal_delta(self, delta: RefusalDelta) -> Iterator[Frame]:
        yield from self._text("refusal", delta.content, delta.part)

    def _source(self, source: Source) -> Iterator[Frame]:
        yield from self._part("output_text")
        if self._open is not None:
            opened = self._open
            earlier = (each for each in self._parked.values() if each.index < opened.index)
            before = self._told + opened.told + sum(len(each.text) for each in earlier)
            yield opened.annotate(self._annotation(source, before))

    def _annotation(self, source: Source, before: int) -> dict[str, Any]:
        return render_annotation(source, before)

    # --- calls, results, files -----------------------------------------------------------------------------

    def _call_delta(self, delta: ToolCallDelta) -> Iterator[Frame]:
        opened = self._calls.get(delta.index)
        if opened is None:
            opened = yield from self._begin_call(delta.index, delta)
        if delta.arguments:
            opened.chunks.append(delta.arguments)
            name = _CALL_EVENTS[opened.item["type"]]
            yield f"{name}.delta", {**opened.place, "delta": delta.arguments}

    def _begin_call(
        self, index: int, call: ToolCall | ToolCallDelta
    ) -> Generator[Frame, None, OpenItem]:
        yield from self._close()
        id, name, own = call.id, call.name, own_data(call.provider_data, FORMAT)
        is_custom = own.pop("type", None) == "custom_tool_call" or name in self._custom
        common = {"status": "in_progress", "call_id": id, "name": name, **own}
        if is_custom:
            item = {"id": self._id("ctc"), "type": "custom_tool_call", **common, "input": ""}
        else:
            item = {"id": self._id("fc"), "type": "function_call", **common, "arguments": ""}
        opened = self._calls[index] = self._add(item)
        self._by_id.setdefault(id, opened)
        yield _added(opened)
        return opened

    def _tool_call(self, call: ToolCall) -> Iterator[Frame]:
        opened = self._by_id.get(call.id)
        if call.executed_by == "provider":
            yield from self._provider_call(call, opened)
            return
        if opened is None:
            index = -1 - len(self._calls)  # never announced: no delta has this index
            opened = yield from self._begin_call(index, call)
            yield from self._call_delta(ToolCallDelta(index, arguments=call.arguments))
        yield from self._end_call(opened, call)

    def _end_call(self, opened: OpenItem, call: ToolCall) -> Iterator[Frame]:
        notes = own_notes(call.provider_data, FORMAT)
        is_ours = (call.provider_data or {}).get("format") == FORMAT
        kind = notes.pop("type", "function_call") if is_ours else opened.item["type"]
        field = "input" if kind == "custom_tool_call" else "arguments"
        if kind == opened.item["type"]:
            yield f"{_CALL_EVENTS[kind]}.done", {**opened.place, field: call.arguments}
        else:
            opened.item = {key: value for key, value in opened.item.items() if key != "arguments"}
        # Of arguments that are no JSON only the answer's end can say whether they were cut.
        is_cut = not call.complete and parse_arguments(call.arguments) is not None
        status = "incomplete" if is_cut else "completed"
        yield self._done(
            opened,
            **{"type": kind, field: call.arguments, "status": status},
            **notes,
            **own_members(call.provider_data, FORMAT),
        )

    def _provider_call(self, call: ToolCall, opened: OpenItem | None) -> Iterator[Frame]:
        own = own_notes(call.provider_data, FORMAT).get("item")
        if own is not None:
            self._images.add(own.get("id"))
            yield from self._whole(own, **_before(own))
            return
        # Another vendor's: shown, but not to be run by whoever reads this.
        item = {
            "id": call.id,
            "type": "mcp_call",
            "status": "completed",
            "server_label": (call.provider_data or {}).get("format") or "provider",
            "name": call.name,
            "arguments": call.arguments,
            "error": None,
            "output": None,
        }
        if opened is None:
            yield from self._whole(item)
        else:
            opened.item = item
            yield self._done(opened)

    def _tool_result(self, result: ToolResult) -> Iterator[Frame]:
        own = own_notes(result.provider_data, FORMAT).get("item")
        if own is not None:  # else the call's item has it
            yield from self._whole(own, **_before(own))

    def _file(self, file: File) -> Iterator[Frame]:
        kind, _, subtype = (file.media_type or "").partition("/")
        if file.id in self._images or kind != "image" or not file.data:
            return
        item = {
            "id": file.id or self._id("ig"),
            "type": "image_generation_call",
            "status": "completed",
        }
        yield from self._whole({**item, "output_format": subtype, "result": file.data}, result=None)

    # --- STATUS --------------------------------------------------------------------------------------------

    def _status(self, status: Status) -> Iterator[Frame]:
        data = status.data or {}
        ours = data.get("format") == FORMAT
        is_progress = status.kind in ("progress", "preview")
        if status.kind != "opaque" and not (is_progress and ours):
            return
        if self._start is None:
            self._early.append(status)
        elif is_progress:
            yield from self._progress(data)
        elif "phases" in data:
            self._add_phases(data["phases"])
        elif "phase" in data:
            yield from self._begin_phase(data["phase"] if ours else None)
        elif "call" in data:
            self._note_call(data)
        elif "item" not in data:
            yield from self._signature(data)
        elif ours:
            yield from self._whole(data["item"])

    def _begin_phase(self, phase: str | None) -> Iterator[Frame]:
        """The texts that follow are messages of this phase."""
        yield from self._close()
        self._phase = phase

    def _add_phases(self, phases: list[list[Any]]) -> None:
        """Messages that have been written get their phases, if these are those of whole messages."""
        items = [item for item in self._output if item.get("type") == "message"]
        if self._open is not None and self._open.item["type"] == "message":
            items.append(self._open.item)
        spans = deque(sorted(phases, key=lambda span: span[2]))
        after = 0
        for item in reversed(items):
            is_open = self._open is not None and item is self._open.item
            size = len(self._open.text if is_open and self._open else text_of(item))
            while spans and spans[0][1] <= after:
                spans.popleft()
            if size and spans and spans[0][2] <= after and spans[0][1] >= after + size:
                item["phase"] = spans[0][0]
            after += size

    def _reasoning_at(self, since: int, until: int) -> dict[str, Any] | None:
        """The finished reasoning that stands there, in characters before the end of all reasoning."""
        after = 0
        item: dict[str, Any]
        for item in reversed(self._output):
            if item.get("type") != "reasoning":
                continue
            size = sum(len(part["text"]) for part in item.get("summary") or ())
            if (after + size, after) == (since, until):
                return item
            after += size
        return None

    def _note_call(self, data: dict[str, Any]) -> None:
        """A call that has been written gets what goes back with it; the last snapshot shows it."""
        opened = self._by_id.get(data["call"])
        if opened is not None:
            self._output[opened.index] |= own_notes(data["provider_data"], FORMAT)

    def _progress(self, data: dict[str, Any]) -> Iterator[Frame]:
        """A phase of a provider's item, which begins with it."""
        kind = data["type"].split(".")[1]
        opened = self._begun.get(kind)
        if opened is None:
            yield from self._close()
            item = {"id": data.get("item_id"), "type": kind, "status": "in_progress"}
            opened = self._begun[kind] = self._add(item)
            yield _added(opened)
        picture = as_object(data.get("file")).get("data")
        yield (
            data["type"],
            {
                "output_index": opened.index,
                "item_id": data.get("item_id"),
                **present(partial_image_b64=picture),
            },
        )

    def _signature(self, data: dict[str, Any]) -> Iterator[Frame]:
        """End the reasoning that this signs, even if it had no text. Of a foreign signature only the end remains."""
        is_own = data.get("format") == FORMAT
        if "span" in data and is_own:
            yield from self._close()
            item = self._reasoning_at(*data["span"])
            if item is not None:
                item |= present(id=data.get("id"), encrypted_content=data.get("signature"))
                return
        if self._open is None or self._open.item["type"] != "reasoning":
            yield from self._close()
            if not is_own:
                return
            id = data.get("id") or self._id("rs")
            self._open = self._add({"id": id, "type": "reasoning", "summary": []})
            yield _added(self._open)
        if is_own:
            signed = {"id": data.get("id"), "encrypted_content": data.get("signature")}
            self._open.item = {**self._open.item, **signed}
        yield from self._close()

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text_delta,
        EventType.REASONING_DELTA: _reasoning_delta,
        EventType.REFUSAL_DELTA: _refusal_delta,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _tool_call,
        EventType.TOOL_RESULT: _tool_result,
        EventType.SOURCE: _source,
        EventType.FILE: _file,
        EventType.STATUS: _status,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _end,
        EventType.ERROR: _error,
    }


_KINDS = {"text": "output_text", "refusal": "refusal", "reasoning": "summary_text"}
_CALL_EVENTS = {
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}


def render_frame(payload: Mapping[str, Any]) -> bytes:
    """One event of a stream: `event:` repeats its type."""
    return b"event: %s\ndata: %s\n\n" % (payload["type"].encode(), json_bytes(payload))


def _added(opened: OpenItem) -> Frame:
    return "response.output_item.added", {"output_index": opened.index, "item": opened.item}


def _render_reason(event: StreamEvent) -> str:
    raw = event.raw_finish_reason
    if raw is not None and raw.partition(":")[0] in _STATUSES:
        return raw
    return _REASONS.get(event.finish_reason or FinishReason.STOP, "completed")


def _before(item: dict[str, Any]) -> dict[str, Any]:
    """How a provider's item looks when it begins: in progress, without an outcome."""
    before: dict[str, Any] = {"status": "in_progress"} if "status" in item else {}
    return before | {
        key: None for key in ("output", "outputs", "results", "result") if item.get(key) is not None
    }
