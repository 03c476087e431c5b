"""ItemWriter: the words of output items, as events. Which item an event belongs to is `decode.py`'s to find out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from llmstream.messages import parse_arguments
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.open_calls import OpenCall, as_name
from llmstream.wire.openai_responses.item_content import ItemContent
from llmstream.wire.openai_responses.item_table import CALLS, Item
from llmstream.wire.openai_responses.items import FORMAT, compact, parse_call
from llmstream.wire.openai_responses.values import parse_annotation
from llmstream.wire.speech import Speech


class ItemWriter(Decoder):
    """The half of the decoder that knows items. It tells what wasn't told of them."""

    format = FORMAT

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._phase: str | None = None  # of the text that goes on
        self._speech = Speech()

    # --- texts ---------------------------------------------------------------------------------------------

    def _end_message(self, state: Item, read: ItemContent) -> None:
        if not state.whole:
            return
        state.phase = read.phase or state.phase
        for kind, whole in (
            ("reasoning", read.reasoning),
            ("text", read.text),
            ("refusal", read.refusal),
        ):
            if whole:
                self._tell(kind, getattr(state, kind).rest(whole) or "", state)
        for file in read.files:
            self._file(file)
        self._add_annotations(read.annotations, state)

    def _tell(self, kind: str, content: str, state: Item) -> None:
        if kind == "text" and content:
            self._go_on(state)
            self._text(content)
        elif kind == "refusal":
            self._tell_refusal(content, state)
        elif kind == "reasoning":
            self._think(content, state)

    def _tell_refusal(self, content: str, state: Item) -> None:
        if told := self._refusal(content):
            state.refusal.record.chunks.append(told)

    def _go_on(self, state: Item) -> None:
        """The text that follows is this item's."""
        record = state.text.record
        if record is self._record:
            return
        self._record_text(record)
        is_first = not state.text
        if is_first and (state.phase or self._phase):
            self._phase = state.phase
            self._opaque(phase=state.phase)

    def _add_annotations(self, annotations: Iterable[Any], state: Item) -> None:
        """The citations of a part or an item, of which some may have streamed."""
        told = Counter(state.sources)
        for annotation in annotations:
            source = parse_annotation(annotation or {})
            if source is None or not state.whole:
                continue
            if told[repr(source)] > 0:
                told[repr(source)] -= 1
                continue
            state.sources[repr(source)] += 1
            self._source(source)

    # --- reasoning -----------------------------------------------------------------------------------------

    def _think(self, content: str, state: Item) -> None:
        if not content:
            return
        text = state.reasoning
        if text.has_gap and text:
            self._reasoning("\n\n")
            text.parts[-1].chunks.append("\n\n")
        text.has_gap = False
        text.record.chunks.append(self._reasoning(content))

    def _end_reasoning(self, item: dict[str, Any], state: Item, read: ItemContent) -> None:
        if state.whole:
            self._think_rest(state, read)
        if signature := as_words(item.get("encrypted_content")):
            self._opaque(signature=signature, id=as_words(item.get("id")) or None)

    def _think_rest(self, state: Item, read: ItemContent) -> None:
        """What streamed as a summary may stand in the item as content, and with or without blank lines."""
        text = state.reasoning
        if not text:
            self._think(read.reasoning, state)
            return
        rests = (text.rest(form) for form in read.reasoning_forms)
        rest = next((rest for rest in rests if rest is not None), "")
        text.has_gap = False
        self._think(rest, state)

    # --- calls ---------------------------------------------------------------------------------------------

    def _begin_call(self, state: Item, item: dict[str, Any]) -> OpenCall:
        name = as_name(item.get("name"))
        call = state.call
        if call is None:
            id = as_words(item.get("call_id")) or as_words(item.get("id"))
            call = state.call = self._open_call(id, name)
        elif not call.name:
            call.name = name
            call.id = call.id or as_words(item.get("call_id")) or as_words(item.get("id"))
        call.freeform = item["type"] == "custom_tool_call"
        if call.index is None:
            self._call_delta(call, "", named=True)
        return call

    def _add_arguments(self, call: OpenCall, whole: str) -> None:
        """The arguments as a whole, of which some may have streamed."""
        told = call.arguments
        if (not call.name and whole) or (not call.chunks and parse_arguments(whole)):
            call.forget()  # nothing of it was told: a placeholder, or the end of arguments that began elsewhere
            told = ""
        if whole.startswith(told):
            self._call_delta(call, whole[len(told) :])

    def _add_late(self, call: OpenCall, whole: str) -> None:
        """The arguments of a finished call that had none, if it wasn't told yet."""
        if not parse_arguments(call.arguments) and not call.freeform and call in self._calls:
            self._add_arguments(call, whole)

    def _end_call(self, item: dict[str, Any], state: Item) -> None:
        kind = item["type"]
        whole = as_arguments(item.get(CALLS[kind]))
        if state.call is not None and not state.call.name:
            state.call.forget()
        call = self._begin_call(state, item)
        self._add_arguments(call, whole)
        data = {key: item[key] for key in ("namespace", "caller") if item.get(key)}
        if kind == "custom_tool_call":
            data["type"] = kind
        if data:
            call.provider_data = {"format": FORMAT, **data}
        # Cut arguments that are no JSON are over, too; those that might be JSON wait for the finish reason.
        call.done = item.get("status") != "incomplete" or (
            not call.freeform and parse_arguments(call.arguments) is None
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
            self._file(file)


def as_words(value: Any) -> str:
    """A member that holds words, or null; TypeError makes its frame a bad one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def as_arguments(value: Any) -> str:
    """Arguments as text, which some servers send as an object."""
    return compact(value) if isinstance(value, (dict, list)) else as_words(value)
