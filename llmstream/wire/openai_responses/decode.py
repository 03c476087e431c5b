"""OpenAI Responses, and the servers that speak it: bytes to events.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. Rules, and what real servers add, all seen
in recordings:

- The end is `response.completed` or `.incomplete` (MESSAGE_COMPLETE; elsewhere also `.done` and `.requires_action`),
  `.failed`, `.cancelled` or `error` (ERROR; the first one counts). Nothing else ends the answer: a cut before it is
  `truncated`. `[DONE]` (OpenRouter) says nothing.
- The JSON `type` decides; `event:` lines may be absent (OpenRouter, Bedrock), and so may `output_index` on `.done`.
- State is kept by `output_index`: item ids change from event to event behind Copilot's proxy. A call whose index
  changes is still known by its `call_id` or item id: it must not be made twice.
- Deltas count. Text, refusals, reasoning and arguments are taken from `.done` events only where no delta came
  (LM Studio's arguments), from the terminal `response.output` only where no item event came: it may be empty (Codex).
- A resumed stream starts mid-way: of an item whose start was not seen, text is not repeated from its `.done`.
- `encrypted_content` of a reasoning item's `.done` is its signature. Its summary parts are joined by blank lines;
  `reasoning_text` (DeepSeek, LM Studio, gpt-oss) and summaries are both reasoning.
- A custom tool's input is any text: its call is whole although the text is no JSON.
- `response.<item>.<phase>` of tools that the provider runs becomes STATUS(kind="progress"); their item becomes
  TOOL_CALL and what came of it (see `items.py`). Other items are opaque. Unknown events are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import parse_arguments
from llmstream.wire.error_body import is_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.openai_responses.items import (
    FORMAT,
    compact,
    is_provider_call,
    is_provider_result,
    parse_call,
    parse_result,
)
from llmstream.wire.openai_responses.values import parse_annotation, parse_usage

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_TEXTS = {"output_text": "text", "refusal": "refusal"}


class _ItemState:
    """What is known of one output item."""

    __slots__ = ("call", "done", "part", "seen", "sources", "type", "whole")

    def __init__(self, type: str, *, whole: bool) -> None:
        self.type = type
        self.whole = whole  # its start was seen
        self.done = False
        self.call: OpenCall | None = None
        self.seen: set[Any] = set()  # content parts that streamed something
        self.part: Any = None  # the part of the last reasoning delta
        self.sources: dict[Any, int] = {}  # annotations so far, by content part


class ResponsesDecoder(Decoder):
    """One answer of the Responses API."""

    format = FORMAT
    framing = SSE("delta", ("sequence_number", "obfuscation"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items: dict[Any, _ItemState] = {}
        self._last: Any = None  # the output_index last added
        self._callers: dict[str, _ItemState] = {}  # the items of calls, by call_id and by item id

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("type") or event
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, payload)
        elif is_error(payload):
            self._fail(parse_error(payload))
        else:
            self._parse_progress(kind, payload)

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
        if response and not self._started:
            self.start.id = self.start.id or _text(response.get("id")) or None
            self.start.model = self.start.model or _text(response.get("model")) or None

    def _parse_end(self, payload: dict[str, Any]) -> None:
        self._parse_response(payload)
        response = payload.get("response") or {}
        self._usage = parse_usage(response.get("usage")) or self._usage
        self._parse_output(response.get("output") or ())
        named = payload.get("type", "response.completed").rpartition(".")[2]
        status = response.get("status") or named
        if status in ("in_progress", "queued"):  # a server that forgets to change it
            status = named
        failure = _find_error(payload, response)
        if failure or status in ("failed", "cancelled"):
            self._parse_failure(failure, status)
            return
        reason = (response.get("incomplete_details") or {}).get("reason")
        raw = f"{status}:{reason}" if reason else str(status)
        self._finish_word(str(reason or status), raw=raw)
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
        """The items of the terminal event: all if none came before, else those whose `.done` is missing."""
        alone = not self._items
        for index, item in enumerate(output):
            known = self._items.get(index)
            if alone or (known is not None and not known.done and known.type == item.get("type")):
                self._end_item(
                    item,
                    self._items.setdefault(index, _ItemState(item.get("type", ""), whole=True)),
                )

    def _parse_error(self, payload: dict[str, Any]) -> None:
        self._fail(parse_error(payload))

    def _parse_progress(self, kind: Any, payload: dict[str, Any]) -> None:
        names = str(kind).split(".")
        if len(names) != 3 or not is_provider_call(names[1]) or names[2] == "partial_image":
            return
        data = {"format": FORMAT, "type": kind, "item_id": payload.get("item_id")}
        status = Status("progress", f"{names[1]} {names[2]}", data)
        self._out.append(StreamEvent(EventType.STATUS, status=status))

    # --- items ---------------------------------------------------------------------------------------------

    def _item(self, payload: dict[str, Any]) -> _ItemState:
        index = payload.get("output_index", self._last)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _ItemState("", whole=False)
        return item

    def _parse_added(self, payload: dict[str, Any]) -> None:
        item = payload["item"]
        index = payload.get("output_index", len(self._items))
        self._last = index
        state = self._items[index] = _ItemState(_text(item["type"]), whole=True)
        if state.type in _CALLS:
            self._begin_call(state, item)

    def _parse_item_done(self, payload: dict[str, Any]) -> None:
        item, state = payload["item"], self._item(payload)
        if item.get("type") in _CALLS and state.call is None:
            state = self._callers.get(_text(item.get("call_id"))) or state
        self._end_item(item, state)

    def _end_item(self, item: dict[str, Any], state: _ItemState) -> None:
        if state.done:
            return
        state.done = True
        kind = _text(item["type"])
        if kind == "message":
            self._end_message(item.get("content") or (), state)
        elif kind == "reasoning":
            self._end_reasoning(item, state)
        elif kind in _CALLS:
            self._end_call(item, state)
        elif is_provider_call(kind):
            self._provider_call(item)
        elif is_provider_result(kind):
            self._tool_result(parse_result(item))
        else:
            self._opaque(item=item)

    # --- text ----------------------------------------------------------------------------------------------

    def _parse_text(self, payload: dict[str, Any]) -> None:
        self._item(payload).seen.add(payload.get("content_index"))
        self._plain_text(_text(payload.get("delta")))

    def _parse_refusal(self, payload: dict[str, Any]) -> None:
        self._item(payload).seen.add(payload.get("content_index"))
        self._refusal(_text(payload.get("delta")))

    def _parse_text_done(self, payload: dict[str, Any]) -> None:
        part = {"type": "output_text", "text": payload.get("text")}
        self._end_part(part, payload.get("content_index"), self._item(payload))

    def _parse_refusal_done(self, payload: dict[str, Any]) -> None:
        part = {"type": "refusal", "refusal": payload.get("refusal")}
        self._end_part(part, payload.get("content_index"), self._item(payload))

    def _parse_part_done(self, payload: dict[str, Any]) -> None:
        self._end_part(payload["part"], payload.get("content_index"), self._item(payload))

    def _end_message(self, parts: Any, state: _ItemState) -> None:
        """A finished message. Its parts are counted, for their `content_index` may have differed (Bedrock)."""
        alone, known = not state.seen, sum(state.sources.values())
        for index, part in enumerate(parts):
            if alone:
                self._end_part(part, index, state)
                continue
            annotations = part.get("annotations") or ()
            for annotation in annotations[known:] if state.whole else ():
                self._annotation(annotation, index, state)
            known = max(0, known - len(annotations))

    def _end_part(self, part: dict[str, Any], index: Any, state: _ItemState) -> None:
        """What a content part holds beyond its deltas: all of it, if there were none."""
        kind = part.get("type")
        if kind not in _TEXTS or not state.whole:
            return
        content = _text(part.get(_TEXTS[kind]))
        if content and index not in state.seen:
            state.seen.add(index)
            if kind == "refusal":
                self._refusal(content)
            else:
                self._text(content)
        for annotation in (part.get("annotations") or ())[state.sources.get(index, 0) :]:
            self._annotation(annotation, index, state)

    def _parse_annotation(self, payload: dict[str, Any]) -> None:
        self._annotation(
            payload.get("annotation"), payload.get("content_index"), self._item(payload)
        )

    def _annotation(self, annotation: Any, index: Any, state: _ItemState) -> None:
        state.sources[index] = state.sources.get(index, 0) + 1
        if (source := parse_annotation(annotation or {})) is not None:
            self._source(source)

    # --- reasoning -----------------------------------------------------------------------------------------

    def _parse_summary(self, payload: dict[str, Any]) -> None:
        self._reason(
            _text(payload.get("delta")),
            ("summary", payload.get("summary_index")),
            self._item(payload),
        )

    def _parse_reasoning(self, payload: dict[str, Any]) -> None:
        self._reason(
            _text(payload.get("delta")),
            ("content", payload.get("content_index")),
            self._item(payload),
        )

    def _parse_summary_done(self, payload: dict[str, Any]) -> None:
        self._reason_whole(
            payload.get("text"), ("summary", payload.get("summary_index")), self._item(payload)
        )

    def _parse_reasoning_done(self, payload: dict[str, Any]) -> None:
        self._reason_whole(
            payload.get("text"), ("content", payload.get("content_index")), self._item(payload)
        )

    def _reason(self, content: str, part: Any, state: _ItemState) -> None:
        if content and state.part not in (None, part):
            self._reasoning("\n\n")
        if content:
            state.part = part
            state.seen.add(part)
        self._reasoning(content)

    def _reason_whole(self, content: Any, part: Any, state: _ItemState) -> None:
        if state.whole and part not in state.seen:
            self._reason(_text(content), part, state)

    def _end_reasoning(self, item: dict[str, Any], state: _ItemState) -> None:
        if not state.seen:  # what streamed as one kind may stand in the item as the other
            for name in ("summary", "content"):
                for index, part in enumerate(item.get(name) or ()):
                    self._reason_whole(part.get("text"), (name, index), state)
        if signature := _text(item.get("encrypted_content")):
            self._opaque(signature=signature, id=_text(item.get("id")) or None)

    # --- calls ---------------------------------------------------------------------------------------------

    def _begin_call(self, state: _ItemState, item: dict[str, Any]) -> OpenCall:
        id = _text(item.get("call_id")) or _text(item.get("id"))
        call = state.call = self._open_call(id, _text(item.get("name")))
        self._callers |= dict.fromkeys(filter(None, (call.id, _text(item.get("id")))), state)
        self._call_delta(call, "", first=True)
        return call

    def _call(self, payload: dict[str, Any]) -> OpenCall | None:
        state = self._item(payload)
        return (
            state
            if state.call is not None
            else self._callers.get(_text(payload.get("item_id")), state)
        ).call

    def _parse_arguments(self, payload: dict[str, Any]) -> None:
        call = self._call(payload)
        if call is not None:
            self._call_delta(call, _text(payload.get("delta")))

    def _parse_arguments_done(self, payload: dict[str, Any]) -> None:
        call = self._call(payload)
        if call is not None and not call.chunks:
            self._call_delta(call, _arguments(payload.get("arguments") or payload.get("input")))

    def _end_call(self, item: dict[str, Any], state: _ItemState) -> None:
        kind = item["type"]
        call = state.call or self._begin_call(state, item)
        if not call.chunks:
            self._call_delta(call, _arguments(item.get(_CALLS[kind])))
        data = {key: item[key] for key in ("namespace", "caller") if item.get(key)}
        if kind == "custom_tool_call":
            call.freeform = True
            data["type"] = kind
        if data:
            call.provider_data = {"format": FORMAT, **data}
        # Cut arguments that are no JSON are over, too; those that might be JSON wait for the finish reason.
        call.done = item.get("status") != "incomplete" or (
            not call.freeform and parse_arguments("".join(call.chunks)) is None
        )

    def _provider_call(self, item: dict[str, Any]) -> None:
        parsed, result, file = parse_call(item)
        call = self._open_call(parsed.id, parsed.name, by_provider=True)
        call.chunks.append(parsed.arguments)
        call.provider_data, call.done = parsed.provider_data, True
        self._flush_calls()
        if result is not None:
            result.tool_call_id = call.id
            self._tool_result(result)
        if file is not None:
            self._piece(StreamEvent(EventType.FILE, file=file))

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
        "response.reasoning_summary_text.delta": _parse_summary,
        "response.reasoning_summary_text.done": _parse_summary_done,
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
    return response.get("error") or payload.get("error") or detailed


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _arguments(value: Any) -> str:
    return compact(value) if isinstance(value, (dict, list)) else _text(value)
